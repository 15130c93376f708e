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
from jobs.lists.feature_tables import FeatureTables
from jobs.storage.partitions import build_partition, read_versions
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
    features, num_candidates = FeatureTables.resolve(lake, as_of), night.shop.num_candidates
    for model in models:
        if model in by_vectors:
            _build_from_vectors(spark, lake, features, model, num_candidates)
        else:
            _build_from_neighbours(spark, lake, features, model, num_candidates)
    return models


def _build_from_vectors(
    spark: SparkSession, lake: Lake, features: FeatureTables, model: str, num_candidates: int
) -> None:
    user_vectors, item_vectors = (lake.require(table, features.ds, model) for table in (USER_VECTORS, ITEM_VECTORS))

    def lists(users: pa.Table, met: pa.Table) -> pa.Table:
        return lists_from_vectors(users, met, item_vectors.path, num_candidates)

    def rows() -> DataFrame:
        blocks = _blocks(features)
        users = read_versions(spark, USER_VECTORS, [user_vectors]).select("user_index", "vector")
        met = blocks.split(_met_items(spark, features))
        return blocks.split(users).groupBy(BLOCK).cogroup(met.groupBy(BLOCK)).applyInArrow(lists, LISTS_DDL)

    _build(lake, features, model, [user_vectors, item_vectors], rows, num_candidates)


def _build_from_neighbours(
    spark: SparkSession, lake: Lake, features: FeatureTables, model: str, num_candidates: int
) -> None:
    neighbours = lake.require(ITEM_NEIGHBOURS, features.ds, model)

    def lists(met: pa.Table) -> pa.Table:
        return lists_from_neighbours(met, neighbours.path, num_candidates)

    def rows() -> DataFrame:
        met = _blocks(features).split(_met_items(spark, features))
        return met.groupBy(BLOCK).applyInArrow(lists, LISTS_DDL)

    _build(lake, features, model, [neighbours], rows, num_candidates)


def _build(
    lake: Lake,
    features: FeatureTables,
    model: str,
    fitted: Sequence[Version],
    rows: Callable[[], DataFrame],
    num_candidates: int,
) -> None:
    read = [features.version(table) for table in (INTERACTIONS, USER_FEATURES, ITEM_FEATURES)]
    build_partition(
        lake,
        CANDIDATES,
        features.ds,
        inputs=[*fitted, *read],
        settings=[num_candidates],
        rows=lambda: rows().withColumn("model", F.lit(model)),
        code=code_version("jobs.build_candidates"),
        model=model,
    )


def _blocks(features: FeatureTables) -> Blocks:
    """Returns the blocks of the users of one as-of day."""
    return Blocks.of_users(features.version(USER_FEATURES).rows, features.version(ITEM_FEATURES).rows)


def _met_items(spark: SparkSession, features: FeatureTables) -> DataFrame:
    return features.read(spark, INTERACTIONS).select("user_index", "item_index")


if __name__ == "__main__":
    run_program(main)
