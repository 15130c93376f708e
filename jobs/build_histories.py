"""Builds `histories`: each user's latest events up to a day, in time order, as indices.

Reads `events` up to the day and its `vocabularies`. Purchases that came back whole are left out. Safe to re-run: the
partition is replaced, or left alone when nothing changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.lake import Version
from expectations.program import Night, night_and_as_of, run_program
from expectations.spark_session import session_from_environment
from expectations.tables import EVENTS, HISTORIES, VOCABULARIES
from jobs.partitions import build_partition, log_versions, read_log, read_partition
from jobs.returned_purchases import without_returns
from jobs.vocabulary_index import with_index


def build_histories(spark: SparkSession, night: Night, as_of: str) -> Version:
    """Builds the partition `as_of`."""
    lake = night.lake
    return build_partition(
        night,
        HISTORIES,
        as_of,
        [lake.require(VOCABULARIES, as_of), *log_versions(lake, EVENTS, as_of)],
        [night.shop.max_history],
        lambda: histories_from_events(
            read_log(spark, lake, EVENTS, as_of),
            read_partition(spark, lake, VOCABULARIES, as_of),
            night.shop.max_history,
        ),
    )


def histories_from_events(events: DataFrame, vocabularies: DataFrame, max_history: int) -> DataFrame:
    """One row per user with an event that counts. Ties of time go by item_id, then by event type."""
    latest_first = Window.partitionBy("user_id").orderBy(
        F.desc("event_time"), F.desc("item_id"), F.desc("event_type"), F.desc("quantity")
    )
    latest = (
        without_returns(events)
        .withColumn("recency_rank", F.row_number().over(latest_first))
        .where(F.col("recency_rank") <= max_history)
        .withColumn("seconds", F.unix_timestamp("event_time"))
    )
    latest = with_index(latest, vocabularies, "item_id", "item_id", "item_index")
    latest = with_index(latest, vocabularies, "event_type", "event_type", "event_type_index")
    entry = F.struct((-F.col("recency_rank")).alias("place"), "item_index", "event_type_index", "seconds")
    histories = latest.groupBy("user_id").agg(F.array_sort(F.collect_list(entry)).alias("entries"))
    histories = with_index(histories, vocabularies, "user_id", "user_id", "user_index")
    return histories.select(
        "user_index",
        F.col("entries.item_index").alias("item_indices"),
        F.col("entries.event_type_index").alias("event_type_indices"),
        gap_buckets(F.col("entries.seconds")).alias("gap_buckets"),
        F.col("entries.seconds").alias("event_times"),
    ).sortWithinPartitions("user_index")


def gap_buckets(seconds: Column) -> Column:
    """0 for the first entry; then 1 for less than a minute since the one before, and one more each time it doubles.

    With m whole minutes it is floor(log2(m + 1)) + 1: the number of binary digits of m + 1, which is exact.
    """

    def bucket(second: Column, place: Column) -> Column:
        minutes = F.floor((second - F.get(seconds, place - 1)) / 60)
        return F.when(place == 0, F.lit(0)).otherwise(F.length(F.bin(minutes + 1)))

    return F.transform(seconds, bucket)


def main(argv: Sequence[str] | None = None) -> None:
    """Builds `histories` of `--as-of`."""
    night, as_of = night_and_as_of(__doc__, argv)
    build_histories(session_from_environment("build_histories"), night, as_of)


if __name__ == "__main__":
    run_program(main)
