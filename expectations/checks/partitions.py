"""What validation reads: the current versions of partitions, as Spark frames."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.lake import Lake, Version
from expectations.tables import Table

ROWS_PER_SHUFFLE_PARTITION = 250_000
"""Rows that a task of a shuffle gets: a small shop has few tasks, and a large one has up to 400 of bounded size."""


@dataclass
class Partitions:
    """Partitions of one lake; every reader sees the same version of each, also while a backfill replaces one."""

    spark: SparkSession
    lake: Lake
    _versions: dict[tuple[str, str], Version] = field(default_factory=dict)

    def version(self, table: Table, ds: str) -> Version:
        """Returns the version that was current when it was first asked for.

        Raises:
            TableContractError: the partition was never built.
        """
        key = (table.name, ds)
        if key not in self._versions:
            self._versions[key] = self.lake.require(table, ds)
        return self._versions[key]

    def rows(self, table: Table, ds: str) -> DataFrame:
        """A partition with the columns and types that its files hold, be they the contract's or not."""
        rows = self.spark.read.parquet(self.version(table, ds).path)
        # The files of a Delta table do not repeat what the partition's folder says.
        return rows.select(F.lit(ds).alias("ds"), "*") if table.home == "published" else rows


def shuffle_partitions(num_rows: int) -> int:
    """How many tasks a shuffle of so many rows deserves: Great Expectations runs many small queries."""
    return max(2, min(400, num_rows // ROWS_PER_SHUFFLE_PARTITION))
