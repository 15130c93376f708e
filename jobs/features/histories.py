"""Builds `histories`: each user's latest events up to a day, and all purchases before, in time order, as indices.

Reads the `recent_events` of the day's anchor, and the `events` since. Purchases that came back whole are left out. Safe
to re-run: the partition is replaced, or left alone when nothing changed.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import code_version
from expectations.runtime.days import SECONDS_PER_DAY
from expectations.runtime.lake import Version
from expectations.semantics.gap_buckets import gap_bucket_in_spark
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, HISTORIES, PAIR_TOTALS, PURCHASE_INDEX, RECENT_EVENTS, VOCABULARIES
from jobs.features.pair_totals import (
    PAIR,
    added_up,
    came_back,
    indexed,
    is_taken_back,
    returnable,
    totals_of_events,
)
from jobs.features.recent_events import recent_events_up_to
from jobs.storage.log_as_of import LogAsOf, build_from_log, sums_up_to
from jobs.storage.partitions import read_partition


def build_histories(spark: SparkSession, log: LogAsOf, shop: Shop) -> Version:
    """Builds the partition of `log.until`."""

    def rows() -> DataFrame:
        recent = sums_up_to(spark, log, shop, RECENT_EVENTS, recent_events_up_to)
        return histories_from(recent, returned_pairs(spark, log, shop), shop)

    return build_from_log(log, shop, HISTORIES, code_version(__name__), rows)


def returned_pairs(spark: SparkSession, log: LogAsOf, shop: Shop) -> DataFrame:
    """Returns `user_index`, `item_index` of the purchases that came back whole, all of them."""
    anchor_totals = read_partition(spark, log.lake, PAIR_TOTALS, log.anchor)
    if log.until == log.anchor:
        return anchor_totals.where(came_back()).select(*PAIR)
    # Only a pair that was doubtful at the anchor, or of which something came back since, can be one: these are few.
    vocabularies = read_partition(spark, log.lake, VOCABULARIES, log.until)
    events = indexed(log.read(spark, EVENTS, after=log.anchor), vocabularies)
    since, took_back = totals_of_events(events), events.where(is_taken_back())
    doubtful = anchor_totals.where(returnable()).select(*PAIR).unionByName(took_back.select(*PAIR))
    doubtful = doubtful.distinct()
    parts = [part.join(doubtful, on=list(PAIR), how="left_semi") for part in (anchor_totals, since)]
    totals = added_up(*parts)
    return totals.where(came_back()).select(*PAIR)


def histories_from(recent: DataFrame, returned: DataFrame, shop: Shop) -> DataFrame:
    """Returns one row per user of `recent` with an event that counts.

    Args:
        recent: `user_index` and `entries`, in order: before the latest `max_history` of them, purchases alone.
        returned: `user_index`, `item_index` of pairs whose purchases do not count.
    """
    by_user = returned.groupBy("user_index").agg(F.collect_set("item_index").alias("returned"))
    num_older = F.greatest(F.size("entries") - shop.max_history, F.lit(0))
    latest, older = F.slice("entries", num_older + 1, shop.max_history), F.slice("entries", 1, num_older)
    kept = recent.join(by_user, on="user_index", how="left").select(
        "user_index",
        _in_seconds(_without_returned(latest, F.col("returned"))).alias("entries"),
        _in_seconds(_without_returned(older, F.col("returned"))).alias("older"),
    )
    entries = F.col("entries")
    return (
        kept.where(F.size(entries) + F.size("older") > 0)
        .select(
            "user_index",
            F.col("entries.item_index").alias("item_indices"),
            F.col("entries.event_type_index").alias("event_type_indices"),
            gap_buckets(F.col("entries.seconds")).alias("gap_buckets"),
            F.col("entries.seconds").alias("event_times"),
            session_starts(entries, shop.session_pause_minutes).alias("session_starts"),
            F.transform("entries.seconds", weekday).alias("weekdays"),
            F.col("older.item_index").alias("older_purchase_indices"),
            F.col("older.seconds").alias("older_purchase_times"),
        )
        .sortWithinPartitions("user_index")
    )


def _without_returned(entries: Column, returned: Column) -> Column:
    def counts(entry: Column) -> Column:
        is_purchase = entry["event_type_index"] == PURCHASE_INDEX
        return ~(is_purchase & F.array_contains(returned, entry["item_index"]))

    return F.when(returned.isNull(), entries).otherwise(F.filter(entries, counts))


def _in_seconds(entries: Column) -> Column:
    """Returns the entries with `seconds` in place of what put them in their order."""

    def entry(of: Column) -> Column:
        micros = of["micros"]
        seconds = ((micros - F.pmod(micros, F.lit(1_000_000))) / 1_000_000).cast("bigint")
        others = (of[name].alias(name) for name in ("item_index", "event_type_index", "session"))
        return F.struct(seconds.alias("seconds"), *others)

    return F.transform(entries, entry)


def gap_buckets(seconds: Column) -> Column:
    """The bucket of the pause before each entry, see `expectations.semantics.gap_buckets`; 0 for the first entry."""

    def bucket(second: Column, before: Column) -> Column:
        return F.when(before.isNull(), F.lit(0)).otherwise(gap_bucket_in_spark(second - before))

    return F.zip_with(seconds, _one_before(seconds), bucket)


def session_starts(entries: Column, session_pause_minutes: int) -> Column:
    """1 where an entry opens a session: it names another than the one before, or follows it after a long pause.

    Args:
        entries: in order, with `seconds` and `session`.
        session_pause_minutes: where no session is named, a longer pause ends one.
    """

    def starts(entry: Column, before: Column) -> Column:
        is_pause = entry["seconds"] - before["seconds"] > 60 * session_pause_minutes
        is_other = F.coalesce(entry["session"] != before["session"], is_pause)
        return F.when(before.isNull() | is_other, F.lit(1)).otherwise(F.lit(0))

    return F.zip_with(entries, _one_before(entries), starts)


def _one_before(values: Column) -> Column:
    """Each value's predecessor; null for the first. To look one up by its place would read the array anew each time."""
    return F.slice(F.concat(F.array(F.lit(None)), values), 1, F.size(values))


def weekday(seconds: Column) -> Column:
    """Returns 1 for Monday to 7 for Sunday, in UTC; the first of January 1970 was a Thursday."""
    return F.pmod(F.floor(seconds / SECONDS_PER_DAY) + 3, F.lit(7)) + 1
