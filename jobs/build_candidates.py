"""Every retrieval model's best items for every user, exactly, over the whole catalogue.

Reads user_vectors and item_vectors, or item_neighbours, and interactions, all of one as-of day; writes one
partition of candidates per model. Users are taken in blocks of neighbouring indices, a block at a time in each
executor, so that memory does not grow with their number, and a block holds the same users whatever the cluster:
a re-run gives the same rows.

Nothing is filtered but by rank: an item that is sold out today still competes, because the backtest ranks the full
catalogue. Rules come later, in `jobs.build_tables`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Lake, Version
from expectations.runtime.program import Night, night_and_days, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.tables import (
    CANDIDATES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    USER_FEATURES,
    USER_VECTORS,
    NightError,
)
from jobs.lists.block_scoring import LISTS_DDL, lists_from_neighbours, lists_from_vectors
from jobs.storage.partitions import build_partition, read_partition
from jobs.storage.user_blocks import BLOCK, Blocks

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the candidates of the days asked for."""
    night, days = night_and_days(__doc__, argv)
    spark = session_from_environment("build_candidates")
    for as_of in days:
        build_candidates(spark, night, as_of)


def build_candidates(spark: SparkSession, night: Night, as_of: str) -> list[str]:
    """Builds the partition of every retrieval model of the shop that was fitted as of `as_of`.

    Returns:
        The models' names, in the shop's order.

    Raises:
        NightError: no retrieval model was fitted as of that day.
    """
    lake = night.lake
    by_vectors, by_neighbours = lake.models(USER_VECTORS, as_of), lake.models(ITEM_NEIGHBOURS, as_of)
    models = [name for name in night.shop.models if name in by_vectors or name in by_neighbours]
    if not models:
        raise NightError(
            f"candidates ds={as_of}: no retrieval model of {', '.join(night.shop.models)} has vectors or neighbours. "
            f"Was models.train run with --as-of {as_of}?"
        )
    for model in models:
        if model in by_vectors:
            _build_from_vectors(spark, night, as_of, model)
        else:
            _build_from_neighbours(spark, night, as_of, model)
    return models


def _build_from_vectors(spark: SparkSession, night: Night, as_of: str, model: str) -> None:
    lake, num_candidates = night.lake, night.shop.num_candidates
    item_vectors = lake.require(ITEM_VECTORS, as_of, model)

    def lists(users: pa.Table, met: pa.Table) -> pa.Table:
        return lists_from_vectors(users, met, item_vectors.path, num_candidates)

    def rows() -> DataFrame:
        blocks = _blocks(lake, as_of)
        users = read_partition(spark, lake, USER_VECTORS, as_of, model).select("user_index", "vector")
        met = blocks.split(_met_items(spark, lake, as_of))
        return blocks.split(users).groupBy(BLOCK).cogroup(met.groupBy(BLOCK)).applyInArrow(lists, LISTS_DDL)

    _build(night, as_of, model, [lake.require(USER_VECTORS, as_of, model), item_vectors], rows)


def _build_from_neighbours(spark: SparkSession, night: Night, as_of: str, model: str) -> None:
    lake, num_candidates = night.lake, night.shop.num_candidates
    neighbours = lake.require(ITEM_NEIGHBOURS, as_of, model)

    def lists(met: pa.Table) -> pa.Table:
        return lists_from_neighbours(met, neighbours.path, num_candidates)

    def rows() -> DataFrame:
        met = _blocks(lake, as_of).split(_met_items(spark, lake, as_of))
        return met.groupBy(BLOCK).applyInArrow(lists, LISTS_DDL)

    _build(night, as_of, model, [neighbours], rows)


def _build(night: Night, as_of: str, model: str, fitted: Sequence[Version], rows: Callable[[], DataFrame]) -> None:
    features = [night.lake.require(table, as_of) for table in (INTERACTIONS, USER_FEATURES, ITEM_FEATURES)]
    build_partition(
        night.lake,
        CANDIDATES,
        as_of,
        inputs=[*fitted, *features],
        settings=[night.shop.num_candidates],
        rows=lambda: rows().withColumn("model", F.lit(model)),
        code=code_version("jobs.build_candidates"),
        model=model,
    )


def _blocks(lake: Lake, as_of: str) -> Blocks:
    """Blocks of the users of one as-of day."""
    return Blocks.of_users(*(lake.require(table, as_of).rows for table in (USER_FEATURES, ITEM_FEATURES)))


def _met_items(spark: SparkSession, lake: Lake, as_of: str) -> DataFrame:
    return read_partition(spark, lake, INTERACTIONS, as_of).select("user_index", "item_index")


if __name__ == "__main__":
    run_program(main)
