"""Turns the raw rows of a shop's events files into rows of `events`, or gives each the reason why not."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.shop import Shop
from expectations.tables import EVENT_TYPES
from jobs.row_rules import (
    DUPLICATE,
    Rule,
    first_reason,
    id_rules,
    mapped_id,
    mapped_text,
    mapped_time,
    number,
    number_rules,
    price_rules,
    raw_text,
    shop_rules,
)


def judged_events(raw_rows: DataFrame, shop: Shop, tasks_per_day: int) -> DataFrame:
    """Every raw row of the events files with its verdict.

    Args:
        raw_rows: as `jobs.raw_rows` reads them.
        tasks_per_day: into how many parts the rows of a day are spread.

    Returns:
        `ds`, `reason` (null for accepted rows), `raw`, the columns of `events`, and what the shop file maps in
        `items_from_events` and `users_from_events`, as text, under `item_<column>` and `user_<column>`.
    """
    rows = raw_rows.select("ds", "raw", first_reason(_rules(shop)).alias("reason"), *_event_columns(shop))
    return _with_duplicates_marked(rows, tasks_per_day)


def _rules(shop: Shop) -> list[Rule]:
    raw = shop.events
    time, event_type = mapped_time(raw, "event_time"), _event_type(shop)
    day_after = F.date_add(F.to_date("ds"), 1).cast("timestamp")
    return [
        ("malformed", F.col("values").isNull()),
        *shop_rules(raw.reject),
        *id_rules(mapped_id(raw, "user_id"), "user_id"),
        *id_rules(mapped_id(raw, "item_id"), "item_id"),
        ("unreadable_time", time.isNull()),
        ("future", time >= day_after),
        ("unknown_event_type", ~F.coalesce(event_type.isin(*EVENT_TYPES), F.lit(False))),
        *number_rules(mapped_text(raw, "quantity"), "quantity"),
        *price_rules(mapped_text(raw, "price")),
    ]


def _event_columns(shop: Shop) -> list[Column]:
    raw = shop.events
    quantity, domain = number(mapped_text(raw, "quantity")), mapped_text(raw, "domain")
    return [
        mapped_time(raw, "event_time").alias("event_time"),
        mapped_id(raw, "user_id").alias("user_id"),
        mapped_id(raw, "item_id").alias("item_id"),
        _event_type(shop).alias("event_type"),
        F.coalesce(quantity, F.lit(1.0)).alias("quantity"),
        number(mapped_text(raw, "price")).alias("price"),
        mapped_text(raw, "session_id").alias("session_id"),
        # A shop without departments is one department, named like the shop.
        F.coalesce(domain, F.lit(shop.name)).alias("domain"),
        *(raw_text(name).alias(f"item_{column}") for column, name in sorted(shop.items_from_events.items())),
        *(raw_text(name).alias(f"user_{column}") for column, name in sorted(shop.users_from_events.items())),
    ]


def _event_type(shop: Shop) -> Column:
    word = mapped_text(shop.events, "event_type")
    if not shop.events.event_types:
        return word
    pairs = [F.lit(text) for pair in sorted(shop.events.event_types.items()) for text in pair]
    return F.try_element_at(F.create_map(*pairs), word)


def _with_duplicates_marked(rows: DataFrame, tasks_per_day: int) -> DataFrame:
    """The second and further copies of a line get the reason `duplicate`, unless they already have another."""
    # A day may be one of hundreds or the only one; the parts make use of all cores in both cases.
    part = F.pmod(F.xxhash64("raw"), F.lit(tasks_per_day))
    identical = Window.partitionBy("ds", "part", "raw").orderBy("raw")
    copy = F.row_number().over(identical)
    reason = F.coalesce("reason", F.when(copy > 1, F.lit(DUPLICATE)))
    return rows.withColumn("part", part).repartition("ds", "part").withColumn("reason", reason).drop("part")
