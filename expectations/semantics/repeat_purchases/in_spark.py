"""Repeat purchases in Spark, for all pairs of a night. `expectations.semantics.repeat_purchases` says what the rule is.

The job that builds the lists and the check that looks at them ask the same question here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.runtime.days import SECONDS_PER_DAY, end_of
from expectations.semantics.known_events import known_events
from expectations.shop.shop import Shop
from expectations.tables import HISTORIES, INTERACTIONS, PURCHASE_INDEX, Table


def excluded_pairs(read: Callable[[Table], DataFrame], shop: Shop, ds: str) -> DataFrame | None:
    """`user_index`, `item_index` of what must not be in the user's list on account of a purchase; None: nothing is.

    Args:
        read: gives the partition `ds` of a table.
    """
    if shop.repeats == "never":
        return read(INTERACTIONS).where("num_purchases > 0").select("user_index", "item_index")
    if shop.repeats == "after_gap":
        return within_repurchase_gap(read(HISTORIES), end_of(ds, shop.drops.day_timezone), shop.num_prior_gaps)
    return None


def within_repurchase_gap(histories: DataFrame, end: datetime, num_prior_gaps: int) -> DataFrame:
    """`user_index`, `item_index` of pairs whose last purchase is more recent than the item's usual gap.

    Args:
        end: of the day as of which the histories are.
    """
    bought = _purchase_days(histories)
    today = int(end.timestamp()) // SECONDS_PER_DAY
    gaps = bought.join(F.broadcast(usual_gaps(bought, num_prior_gaps)), on="item_index")
    return gaps.where(today - F.col("last_day") < F.col("usual_gap_days")).select("user_index", "item_index")


def usual_gaps(bought: DataFrame, num_prior_gaps: int) -> DataFrame:
    """`item_index`, `usual_gap_days`: the mean time from one day with a purchase to the same user's next one.

    An item that nobody bought twice has the shop's, or never comes back where there is none at all.
    """
    gaps = bought.groupBy("item_index").agg(
        F.sum(F.col("last_day") - F.col("first_day")).alias("days"), F.sum(F.col("num_days") - 1).alias("num_gaps")
    )
    of_shop = gaps.agg(F.try_divide(F.sum("days"), F.sum("num_gaps")).alias("gap_of_shop"))
    usual = (F.col("days") + num_prior_gaps * F.col("gap_of_shop")) / (F.col("num_gaps") + num_prior_gaps)
    never = F.lit(float("inf"))
    return gaps.crossJoin(of_shop).select("item_index", F.coalesce(usual, never).alias("usual_gap_days"))


def _purchase_days(histories: DataFrame) -> DataFrame:
    """The days on which a user bought an item: how many, the first and the last."""
    day = F.floor(F.col("event_time") / SECONDS_PER_DAY).alias("day")
    bought = known_events(histories).where(F.col("event_type_index") == PURCHASE_INDEX)
    days = bought.select("user_index", "item_index", day).distinct()
    return days.groupBy("user_index", "item_index").agg(
        F.count("*").alias("num_days"), F.min("day").alias("first_day"), F.max("day").alias("last_day")
    )
