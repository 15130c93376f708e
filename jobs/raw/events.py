"""Turns the raw rows of a shop's events files into rows of `events`, or gives each the reason why not."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.shop.shop import Shop
from expectations.tables import EVENT_TYPES, EVENTS
from jobs.raw.ingest_plan import required_columns
from jobs.raw.reject_rules import (
    DUPLICATE,
    TOO_MANY_EVENTS,
    RejectCondition,
    first_reject_reason,
    id_rules,
    mapped_id,
    mapped_text,
    mapped_time,
    number,
    number_rules,
    price_rules,
    raw_text,
    shop_rules,
    with_texts,
)


def validated_events(raw_rows: DataFrame, shop: Shop, tasks_per_day: int) -> DataFrame:
    """Returns every raw row of the events files with the reason why it is rejected.

    Args:
        raw_rows: as `jobs.raw.raw_rows` reads them.
        tasks_per_day: into how many parts the rows of a day are spread.

    Returns:
        `ds`, `reason` (null for accepted rows), `raw`, the columns of `events`, and what the shop file maps in
        `items_from_events` and `users_from_events`, as text, under `item_<column>` and `user_<column>`.
    """
    texts = with_texts(raw_rows, required_columns(shop)["events"])
    # In steps, because Spark computes a value that several rules look at only once when it is a column by then.
    values = texts.select("ds", "raw", "is_malformed", *_values(shop))
    columns = [
        name for name in values.columns if name.startswith(("item_", "user_")) and name not in EVENTS.column_names
    ]
    rows = values.select("ds", "raw", _reason().alias("reason"), *_event_columns(shop), *columns)
    return _with_repeats_marked(rows, shop, tasks_per_day)


def _values(shop: Shop) -> list[Column]:
    """Returns every value that a rule or a column needs, read from its text but not yet validated."""
    raw = shop.events
    return [
        first_reject_reason(shop_rules(raw.reject)).alias("shop_reason"),
        mapped_time(raw, "event_time").alias("event_time"),
        mapped_id(raw, "user_id").alias("user_id"),
        mapped_id(raw, "item_id").alias("item_id"),
        _event_type(shop).alias("event_type"),
        *(mapped_text(raw, name).alias(name) for name in ("quantity", "price", "session_id", "domain")),
        *(raw_text(name).alias(f"item_{column}") for column, name in sorted(shop.items_from_events.items())),
        *(raw_text(name).alias(f"user_{column}") for column, name in sorted(shop.users_from_events.items())),
    ]


def _reason() -> Column:
    malformed: RejectCondition = ("malformed", F.col("is_malformed"))
    return F.coalesce(first_reject_reason([malformed]), F.col("shop_reason"), first_reject_reason(_contract_rules()))


def _contract_rules() -> list[RejectCondition]:
    day_after = F.date_add(F.to_date("ds"), 1).cast("timestamp")
    return [
        *id_rules(F.col("user_id"), "user_id"),
        *id_rules(F.col("item_id"), "item_id"),
        ("unreadable_time", F.col("event_time").isNull()),
        ("future", F.col("event_time") >= day_after),
        ("unknown_event_type", ~F.coalesce(F.col("event_type").isin(*EVENT_TYPES), F.lit(False))),
        *number_rules(F.col("quantity"), "quantity"),
        *price_rules(F.col("price")),
    ]


def _event_columns(shop: Shop) -> list[Column]:
    return [
        *(F.col(name) for name in ("event_time", "user_id", "item_id", "event_type", "session_id")),
        F.coalesce(number(F.col("quantity")), F.lit(1.0)).alias("quantity"),
        number(F.col("price")).alias("price"),
        # A shop without departments is one department, named like the shop.
        F.coalesce("domain", F.lit(shop.name)).alias("domain"),
    ]


def _event_type(shop: Shop) -> Column:
    word = mapped_text(shop.events, "event_type")
    if not shop.events.event_types:
        return word
    pairs = [F.lit(text) for pair in sorted(shop.events.event_types.items()) for text in pair]
    return F.try_element_at(F.create_map(*pairs), word)


def _with_repeats_marked(rows: DataFrame, shop: Shop, tasks_per_day: int) -> DataFrame:
    """Gives accepted rows that repeat an event the reason `duplicate`, and those of robots `too_many_events`.

    Of rows that agree in the shop's key, the first in the order of their other columns, then of the raw text, is kept.
    """
    owner = F.when(F.col("reason").isNull(), F.col("user_id"))
    # A day may be one of hundreds or the only one; the parts make use of all cores in both cases. Every key holds the
    # user, so that one shuffle serves both questions; refused rows, which may lack one, are spread by their text.
    part = F.pmod(F.xxhash64(F.coalesce(owner, "raw")), F.lit(tasks_per_day))
    spread = rows.withColumn("owner", owner).withColumn("part", part).repartition("ds", "part")
    of_user = Window.partitionBy("ds", "part", "owner")
    key = [name for name in shop.duplicate_key if name != "user_id"]
    others = [name for name in EVENTS.column_names if name not in ("ds", "user_id", *key)]
    of_event = Window.partitionBy("ds", "part", "owner", *key).orderBy(*others, "raw")
    copy = F.row_number().over(of_event)
    marked = spread.withColumn("reason", F.coalesce("reason", F.when(copy > 1, F.lit(DUPLICATE))))
    if shop.drops.max_user_events:
        whole_day = of_user.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
        num_events = F.count(F.when(F.col("reason").isNull(), 1)).over(whole_day)
        is_robot = num_events > shop.drops.max_user_events
        marked = marked.withColumn("reason", F.coalesce("reason", F.when(is_robot, F.lit(TOO_MANY_EVENTS))))
    return marked.drop("owner", "part")
