"""Cuts tables of users, or of items, into blocks of neighbouring indices: what an executor holds at once.

A block holds the same users whatever the cluster and whoever else is in the table, so that what is computed from it
comes out the same in every re-run.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

BLOCK = "block"
"""Name of the column that `Blocks.split` adds."""

MAX_USERS_PER_BLOCK = 512
"""Bounds a block of a small catalogue; that of a large one is bounded by its scores."""
MAX_SCORES_PER_BLOCK = 8_000_000
"""A block's scores are one dense matrix of float32: at most 32 MB in each executor, whatever the catalogue."""
MAX_PARTITIONS = 200
"""The most partitions that blocks are spread over, however many blocks there are."""


@dataclass(frozen=True)
class Blocks:
    """How many users make a block, and over how many partitions blocks are spread.

    Attributes:
        key: the column whose neighbours stand together.
    """

    num_users_each: int
    num_partitions: int
    key: str = "user_index"

    @classmethod
    def of_users(cls, num_users: int, num_items: int) -> Blocks:
        """Blocks of users who are each held against the whole catalogue; fewer users each, the larger it is."""
        return cls._over(num_users, num_items, "user_index")

    @classmethod
    def of_items(cls, num_items: int) -> Blocks:
        """Blocks of items that are each held against the whole catalogue."""
        return cls._over(num_items, num_items, "item_index")

    @classmethod
    def _over(cls, num_rows: int, num_items: int, key: str) -> Blocks:
        num_each = max(1, min(MAX_USERS_PER_BLOCK, MAX_SCORES_PER_BLOCK // max(num_items, 1)))
        num_blocks = -(-num_rows // num_each)
        # Blocks fall on partitions by hash; with twice as many of these, fewer blocks queue behind one another.
        return cls(num_each, max(1, min(MAX_PARTITIONS, 2 * num_blocks)), key)

    def split(self, rows: DataFrame) -> DataFrame:
        """Adds the block of each of the `rows`, which have the column `key`, and spreads them by it.

        The number of partitions is stated, because Spark would otherwise melt small inputs into one task:
        they are small here, and the work on them is not.
        """
        block = F.floor(F.col(self.key) / self.num_users_each).cast("int")
        return rows.withColumn(BLOCK, block).repartition(self.num_partitions, BLOCK)
