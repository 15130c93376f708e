"""Builds `items`: the catalogue as it stood when a day ended.

Reads `item_updates` and `events` up to the day, so a catalogue of the past never knows what came later. Each
attribute is the last one that was told. Safe to re-run: the partition is replaced, or left alone when nothing changed.

Whether an item is for sale: with a `full` items file, when it is in the latest one, and its flag says so; with
`changes`, by its last flag; without a file, when an event or update of the last `SOLD_WITHIN_DAYS` days spoke of it.
An item that events name and no items file does is known, but not for sale.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.lake import Version
from expectations.program import Night, days_before, night_from, night_parser, run_program
from expectations.shop import Shop
from expectations.spark_session import session_from_environment
from expectations.tables import EVENTS, ITEM_UPDATES, ITEMS
from jobs.partitions import build_partition, log_versions, read_log

SOLD_WITHIN_DAYS = 365
"""A year: goods of a season come back, and a catalogue that nobody keeps should rather hold too much."""


def build_items(spark: SparkSession, night: Night, as_of: str) -> Version:
    """Builds the partition `as_of`."""
    lake = night.lake
    inputs = [*log_versions(lake, ITEM_UPDATES, as_of), *log_versions(lake, EVENTS, as_of)]
    return build_partition(
        night,
        ITEMS,
        as_of,
        inputs,
        [night.shop.items is not None, night.shop.items_file],
        lambda: items_from_updates(
            read_log(spark, lake, ITEM_UPDATES, as_of), read_log(spark, lake, EVENTS, as_of), night.shop, as_of
        ),
    )


def items_from_updates(updates: DataFrame, events: DataFrame, shop: Shop, as_of: str) -> DataFrame:
    """One row per item that any update or event up to `as_of` names."""
    told = updates.groupBy("item_id").agg(
        *(_last_known(name).alias(name) for name in ("title", "description", "brand", "price", "image_path", "domain")),
        _last_known("category", F.size("category") > 0).alias("category"),
        _last_known("is_available").alias("flag"),
        F.min("ds").alias("first_told"),
        F.max("ds").alias("last_told"),
    )
    met = events.groupBy("item_id").agg(
        F.min("ds").alias("first_met"),
        F.max("ds").alias("last_met"),
        F.max_by("domain", F.struct("ds", "domain")).alias("met_domain"),
    )
    return (
        told.join(met, on="item_id", how="full")
        .withColumn("is_available", F.coalesce(_is_available(updates, shop, as_of), F.lit(False)))
        .withColumn("first_seen", F.least("first_told", "first_met"))
        .withColumn("domain", F.coalesce("domain", "met_domain"))
        .withColumn("category", F.coalesce("category", F.array().cast("array<string>")))
        .select(*(name for name in ITEMS.column_names if name != "ds"))
        .sortWithinPartitions("item_id")
    )


def _is_available(updates: DataFrame, shop: Shop, as_of: str) -> Column:
    if shop.items is None:
        return F.greatest("last_told", "last_met") > days_before(as_of, SOLD_WITHIN_DAYS)
    if shop.items_file == "changes":
        return F.col("flag")
    latest_file = updates.agg(F.max("ds")).collect()[0][0]
    return F.col("flag") & (F.col("last_told") == F.lit(latest_file))


def _last_known(name: str, is_known: Column | None = None) -> Column:
    """The value of the latest day that told one; an item has one update a day, so that days do not tie."""
    is_known = F.col(name).isNotNull() if is_known is None else is_known
    return F.max_by(name, F.when(is_known, F.col("ds")))


def main(argv: Sequence[str] | None = None) -> None:
    """Builds `items` of `--ds`."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    build_items(session_from_environment("build_items"), night, night.ds)


if __name__ == "__main__":
    run_program(main)
