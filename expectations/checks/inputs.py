"""What a day of events and the catalogue mean, before anything is learnt from them."""

from __future__ import annotations

import math
from statistics import median

import great_expectations.expectations as gxe
from pyspark.sql import functions as F

from expectations.checks.partitions import Partitions
from expectations.checks.row_rules import Check, RowCheck
from expectations.runtime.days import days_before, end_of
from expectations.runtime.lake import Lake
from expectations.shop.shop import Shop
from expectations.tables import EVENT_TYPES, EVENTS, ITEMS, USERS, Table


def events_day(lake: Lake, ds: str, shop: Shop) -> str:
    """The day whose events are checked: `ds`, or the latest drop before it when the shop was closed on `ds`."""
    if shop.drops.missing_day == "closed":
        days = lake.days(EVENTS, until=ds)
        return days[-1] if days else ds
    return ds


def min_events(lake: Lake, table: Table, ds: str, shop: Shop) -> int:
    """Fewer rows than this make a half-empty day; see `Drops.min_rows_share`."""
    days = lake.days(table, until=days_before(ds, 1))[-shop.drops.compared_drops :]
    counts = [lake.require(table, day).rows for day in days]
    return max(1, math.ceil(shop.drops.min_rows_share * median(counts))) if counts else 1


def event_checks(partitions: Partitions, ds: str, catalogue_ds: str, shop: Shop) -> list[Check]:
    """Known words, no event from the future, no negative price.

    Args:
        catalogue_ds: the day of the catalogue that knows the domains, which is later where the shop was closed.
    """
    domains = partitions.rows(ITEMS, catalogue_ds).select("domain", F.lit(True).alias("is_known_domain")).distinct()
    events = partitions.rows(EVENTS, ds).join(F.broadcast(domains), on="domain", how="left")
    row_checks = [
        RowCheck(
            "event_is_not_after_ds",
            f"No event happened after {ds} ended.",
            F.col("event_time") >= F.lit(end_of(ds, shop.drops.day_timezone)),
            ("event_time", "user_id", "item_id"),
        ),
        RowCheck(
            "domain_is_known",
            "Every domain is one that the catalogue has.",
            F.col("is_known_domain").isNull(),
            ("domain", "item_id"),
        ),
    ]
    words = gxe.ExpectColumnValuesToBeInSet(column="event_type", value_set=list(EVENT_TYPES))
    return [Check(events, [words, gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0)], row_checks)]


def item_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Something can be sold, and nothing was first seen in the future."""
    items = partitions.rows(ITEMS, ds).withColumn("num_available", F.col("is_available").cast("int"))
    some_available = gxe.ExpectColumnSumToBeBetween(
        column="num_available", min_value=1, description="At least one item is available."
    )
    return [
        Check(items, [some_available, gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0)], _seen_by(ds))
    ]


def user_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Nobody was active in the future, and ages are ages."""
    rule = RowCheck(
        "last_active_is_not_after_ds",
        f"Nobody was last active after {ds}.",
        F.col("last_active") > ds,
        ("user_id", "last_active"),
    )
    age = gxe.ExpectColumnValuesToBeBetween(column="age", min_value=0, max_value=150)
    return [Check(partitions.rows(USERS, ds), [age], [rule])]


def _seen_by(ds: str) -> list[RowCheck]:
    return [
        RowCheck(
            "first_seen_is_not_after_ds",
            f"No item was first seen after {ds}.",
            F.col("first_seen") > ds,
            ("item_id", "first_seen"),
        )
    ]
