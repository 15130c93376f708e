"""Builds `items`: the catalogue as it stood when a day ended.

Reads the catalogue of the day that this one goes on from, and the `item_updates` and `events` since, so a catalogue of
the past never knows what came later. An attribute has the latest value of all updates. Safe to re-run: the partition is
replaced, or left alone when nothing changed.

Whether an item is for sale: with a `full` items file, when it is in the latest one, and its flag says so; with
`changes`, by its last flag; without a file, when an event or update of the last `sold_within_days` days spoke of it.
An item that events name and no items file does is known, but not for sale, unless `[items_from_events]` says what it
is. Of an item that a file ever named, what events say does not count: a sold-out item is not on sale again because
somebody looked at it.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import code_version
from expectations.runtime.days import days_before
from expectations.runtime.lake import Version
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, ITEM_UPDATES, ITEMS
from jobs.storage.log_as_of import LogAsOf, base_day, build_from_log, last_known, read_base

_ATTRIBUTES = (
    "title",
    "description",
    "category",
    "brand",
    "price",
    "image_path",
    "item_group_id",
    "domain",
    "is_available",
)


def build_items(spark: SparkSession, log: LogAsOf, shop: Shop) -> Version:
    """Builds the partition of `log.until`."""

    def rows() -> DataFrame:
        base = base_day(log, shop, ITEMS, code_version(__name__))
        return items_from_updates(
            log.read(spark, ITEM_UPDATES, after=base),
            log.read(spark, EVENTS, after=base),
            shop,
            log.until,
            read_base(spark, log.lake, ITEMS, base),
        )

    return build_from_log(log, shop, ITEMS, code_version(__name__), rows)


def items_from_updates(updates: DataFrame, events: DataFrame, shop: Shop, as_of: str, base: DataFrame) -> DataFrame:
    """Returns one row per item of `base`, the catalogue of an earlier day, or that an update or event since names."""
    # What an earlier day knew of an item is as good as an update of that day.
    dated_updates = updates.select(
        "item_id", "ds", *_ATTRIBUTES, "is_filed", F.col("ds").alias("first_seen"), F.col("ds").alias("seen")
    )
    dated_updates = dated_updates.unionByName(
        base.select(*dated_updates.columns[:-1], F.col("last_seen").alias("seen"))
    )
    latest = dated_updates.groupBy("item_id").agg(
        *(_last_known(name).alias(name) for name in _ATTRIBUTES),
        _last_known("ds").alias("updated_in"),
        F.max("is_filed").alias("is_filed"),
        F.min("first_seen").alias("first_updated"),
        F.max("seen").alias("last_updated"),
    )
    met = events.groupBy("item_id").agg(
        F.min("ds").alias("first_met"),
        F.max("ds").alias("last_met"),
        F.min_by("domain", F.struct("ds", "domain")).alias("met_domain"),
    )
    latest_file = F.broadcast(dated_updates.agg(F.max("ds").alias("latest_file")))
    return (
        latest.join(met, on="item_id", how="full")
        .crossJoin(latest_file)
        .withColumn("first_seen", F.least("first_updated", "first_met"))
        .withColumn("last_seen", F.greatest("last_updated", "last_met"))
        .withColumn("is_available", F.coalesce(_is_available(shop, as_of), F.lit(False)))
        .withColumn("is_filed", F.coalesce("is_filed", F.lit(False)))
        .withColumn("domain", F.coalesce("domain", "met_domain"))
        .withColumn("category", F.coalesce("category", F.array().cast("array<string>")))
        .select(*(name for name in ITEMS.column_names if name != "ds"))
        .sortWithinPartitions("item_id")
    )


def _is_available(shop: Shop, as_of: str) -> Column:
    if shop.items is None:
        return F.col("last_seen") > days_before(as_of, shop.sold_within_days)
    if shop.items_file == "changes":
        return F.col("is_available")
    return F.col("is_available") & (F.col("updated_in") == F.col("latest_file"))


def _last_known(name: str) -> Column:
    """Returns an aggregate: what files said last, of an item that a file ever named; else what events said last."""
    is_known = F.size(name) > 0 if name == "category" else F.col(name).isNotNull()
    by_file = last_known(name, F.col("is_filed") & is_known)
    return F.when(F.max("is_filed"), by_file).otherwise(last_known(name, is_known))
