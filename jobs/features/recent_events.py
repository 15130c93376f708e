"""Builds `recent_events`: each user's latest events up to an anchor day, from which a later day's histories go on.

Reads those of the anchor before, and the `events` since. The latest `max_history` of a user are among the latest
`max_history` before and the events since, so the rows are the same as from the whole log. Purchases stay, however many
events came since; those that come back later are still in it: only the day that is asked for knows of that. Safe to
re-run: the partition is replaced, or left alone when nothing changed.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version
from expectations.shop.shop import Shop
from expectations.tables import PURCHASE_INDEX, RECENT_EVENTS, VOCABULARIES
from jobs.features.pair_totals import indexed, is_taken_back
from jobs.features.user_retention import keep_retained, retained_events
from jobs.features.vocabulary_index import with_index
from jobs.storage.log_as_of import LogAsOf, base_day, build_from_log, read_base
from jobs.storage.partitions import read_partition

ENTRY = ("micros", "place", "item_index", "event_type_index", "session")
"""What is kept of an event, in the order that decides between two events: by time, then as the shop's files tell."""


def build_recent_events(spark: SparkSession, log: LogAsOf, shop: Shop) -> Version:
    """Builds the partition of `log.until`, which is an anchor."""
    return build_from_log(
        log, shop, RECENT_EVENTS, code_version(__name__), lambda: recent_events_up_to(spark, log, shop)
    )


def recent_events_up_to(spark: SparkSession, log: LogAsOf, shop: Shop) -> DataFrame:
    """Returns the latest events of any day: those that it goes on from, and the events since."""
    base, max_history = base_day(log, shop, RECENT_EVENTS, code_version(__name__)), shop.max_history
    vocabularies = read_partition(spark, log.lake, VOCABULARIES, log.until)
    since = recent_events_of(retained_events(spark, log, shop, base), vocabularies, max_history)
    recent = continued(read_base(spark, log.lake, RECENT_EVENTS, base), since, max_history) if base else since
    return keep_retained(spark, log, shop, recent)


def recent_events_of(events: DataFrame, vocabularies: DataFrame, max_history: int) -> DataFrame:
    """Returns one row per user of `events`: `user_index` and `entries`."""
    # Lines that take something back are no events of their own.
    happened = indexed(events.where(~is_taken_back()), vocabularies)
    happened = with_index(happened, vocabularies, "event_type", "event_type", "event_type_index", is_small=True)
    happened = happened.withColumn("micros", F.unix_micros("event_time")).withColumn(
        "session", F.when(F.col("session_id").isNotNull(), F.xxhash64("session_id"))
    )
    latest_first = Window.partitionBy("user_id").orderBy(*(F.desc(name) for name in ENTRY))
    is_kept = (F.col("rank") <= max_history) | (F.col("event_type_index") == PURCHASE_INDEX)
    kept = happened.withColumn("rank", F.row_number().over(latest_first)).where(is_kept)
    entries = F.array_sort(F.collect_list(F.struct(*ENTRY))).alias("entries")
    return kept.groupBy("user_id", "user_index").agg(entries).drop("user_id")


def continued(before: DataFrame, since: DataFrame, max_history: int) -> DataFrame:
    """Returns the latest entries of both and all purchases, for the users of either."""
    none = F.array().cast(since.schema["entries"].dataType)
    both = before.select("user_index", F.col("entries").alias("before")).join(since, on="user_index", how="full")
    entries = F.array_sort(F.concat(F.coalesce("before", none), F.coalesce("entries", none)))
    # Most users had no event since: theirs are in order already, and few enough.
    entries = F.when(F.col("entries").isNull(), F.col("before")).otherwise(entries)
    both = both.select("user_index", entries.alias("entries"))
    num_older = F.size("entries") - max_history

    def is_kept(entry: Column, place: Column) -> Column:
        return (place >= num_older) | (entry["event_type_index"] == PURCHASE_INDEX)

    return both.withColumn("entries", F.when(num_older > 0, F.filter("entries", is_kept)).otherwise(F.col("entries")))
