"""Builds `interactions`: one row per user and item that met up to a day.

Reads the `pair_totals` of the day's anchor and the `events` since. Purchases that came back whole do not count. Safe to
re-run: the partition is replaced, or left alone when nothing changed.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version
from expectations.shop.shop import Shop
from expectations.tables import EVENT_TYPES, INTERACTIONS, PAIR_TOTALS
from jobs.features.pair_totals import came_back, totals_up_to
from jobs.storage.log_as_of import LogAsOf, build_from_log, sums_up_to


def build_interactions(spark: SparkSession, log: LogAsOf, shop: Shop) -> Version:
    """Builds the partition of `log.until`."""

    def rows() -> DataFrame:
        totals = sums_up_to(spark, log, shop, PAIR_TOTALS, totals_up_to)
        return interactions_from_totals(totals, shop.event_weights)

    return build_from_log(log, shop, INTERACTIONS, code_version(__name__), rows)


def interactions_from_totals(totals: DataFrame, event_weights: Mapping[str, float]) -> DataFrame:
    """Returns one row per pair with an event that counts.

    A type that `event_weights` does not name weighs nothing, but counts as an event.
    """
    is_kept = ~came_back()
    counts = {name: F.col(f"num_{name}s") for name in EVENT_TYPES}
    counts["purchase"] = F.when(is_kept, counts["purchase"]).otherwise(0)
    # Counts are whole numbers, so that the weight does not depend on the order of a sum.
    weight = sum((event_weights.get(name, 0.0) * counts[name] for name in EVENT_TYPES), F.lit(0.0))
    pairs = totals.select(
        "user_index",
        "item_index",
        weight.alias("weight"),
        sum(counts.values(), F.lit(0)).alias("num_events"),
        counts["purchase"].alias("num_purchases"),
        F.least("first_other_time", F.when(is_kept, F.col("first_purchase_time"))).alias("first_time"),
        F.greatest("last_other_time", F.when(is_kept, F.col("last_purchase_time"))).alias("last_time"),
    )
    return pairs.where(F.col("num_events") > 0).sortWithinPartitions("user_index", "item_index")
