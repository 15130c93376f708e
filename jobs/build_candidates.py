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
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.lake import Lake, Version
from expectations.runtime.program import Night, night_and_days, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.semantics.candidates import candidates_fingerprint, is_fitted_from
from expectations.tables import (
    CANDIDATES,
    FITTED_MODELS,
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
from jobs.storage.partitions import put_partition, read_versions
from jobs.storage.user_blocks import BLOCK, Blocks

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the candidates of the days asked for."""
    night, days = night_and_days(__doc__, argv)
    spark = session_from_environment("build_candidates")
    for as_of in days:
        build_candidates(spark, night, as_of)


def build_candidates(spark: SparkSession, night: Night, as_of: str) -> list[str]:
    """Builds the partition of every retrieval model of the shop that was fitted from the features of `as_of`.

    Returns:
        The models' names, in the shop's order.

    Raises:
        NightError: no retrieval model was fitted from these features.
    """
    features = FeatureTables.resolve(night.lake, as_of)
    found = [fitted for name in night.shop.models if (fitted := _fitted(night.lake, features, name))]
    if not found:
        raise NightError(
            f"candidates ds={as_of}: no retrieval model of {', '.join(night.shop.models)} has vectors or neighbours "
            f"of the day's features. Was models.train run with --as-of {as_of}?"
        )
    for fitted in found:
        build = _build_from_neighbours if fitted.neighbours else _build_from_vectors
        build(spark, night.lake, features, fitted, night.shop.num_candidates)
    return [fitted.model for fitted in found]


@dataclass(frozen=True)
class FittedRetrieval:
    """A fit of the day's features, with what it says of users and items: either vectors of both, or neighbours."""

    model: str
    fit: Version
    users: Version | None
    items: Version | None
    neighbours: Version | None


def _fitted(lake: Lake, features: FeatureTables, model: str) -> FittedRetrieval | None:
    """Looks a model up; None where its last fit was made from other features, or has neither vectors nor neighbours.

    What was fitted before the day's features were built anew speaks of other users and items by the same indices.
    """
    fit = lake.current(FITTED_MODELS, features.ds, model)
    if fit is None or not is_fitted_from(fit, features.versions):
        return None
    found = [lake.current(table, features.ds, model) for table in (USER_VECTORS, ITEM_VECTORS, ITEM_NEIGHBOURS)]
    # A fit that failed half-way leaves vectors that no row vouches for.
    users, items, neighbours = (v if v and v.fingerprint == fit.fingerprint else None for v in found)
    return FittedRetrieval(model, fit, users, items, neighbours) if neighbours or (users and items) else None


def _build_from_vectors(
    spark: SparkSession, lake: Lake, features: FeatureTables, fitted: FittedRetrieval, num_candidates: int
) -> None:
    assert fitted.users is not None and fitted.items is not None, "a model without neighbours has vectors"
    user_vectors, item_vectors = fitted.users, fitted.items

    def lists(users: pa.Table, met: pa.Table) -> pa.Table:
        return lists_from_vectors(users, met, item_vectors.path, num_candidates)

    def rows() -> DataFrame:
        blocks = _blocks(features)
        users = read_versions(spark, USER_VECTORS, [user_vectors]).select("user_index", "vector")
        met = blocks.split(_met_items(spark, features))
        return blocks.split(users).groupBy(BLOCK).cogroup(met.groupBy(BLOCK)).applyInArrow(lists, LISTS_DDL)

    _build(lake, features, fitted, rows, num_candidates)


def _build_from_neighbours(
    spark: SparkSession, lake: Lake, features: FeatureTables, fitted: FittedRetrieval, num_candidates: int
) -> None:
    assert fitted.neighbours is not None, "asked by whoever calls"
    neighbours = fitted.neighbours

    def lists(met: pa.Table) -> pa.Table:
        return lists_from_neighbours(met, neighbours.path, num_candidates)

    def rows() -> DataFrame:
        met = _blocks(features).split(_met_items(spark, features))
        return met.groupBy(BLOCK).applyInArrow(lists, LISTS_DDL)

    _build(lake, features, fitted, rows, num_candidates)


def _build(
    lake: Lake, features: FeatureTables, fitted: FittedRetrieval, rows: Callable[[], DataFrame], num_candidates: int
) -> None:
    ds, model = features.ds, fitted.model
    fingerprint = candidates_fingerprint(ds, model, fitted.fit, features.versions, num_candidates)
    put_partition(lake, CANDIDATES, ds, fingerprint, lambda: rows().withColumn("model", F.lit(model)), model)


def _blocks(features: FeatureTables) -> Blocks:
    """Returns the blocks of the users of one as-of day."""
    return Blocks.of_users(features.version(USER_FEATURES).rows, features.version(ITEM_FEATURES).rows)


def _met_items(spark: SparkSession, features: FeatureTables) -> DataFrame:
    return features.read(spark, INTERACTIONS).select("user_index", "item_index")


if __name__ == "__main__":
    run_program(main)
