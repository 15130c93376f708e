"""Builds `interactions`: one row per user and item that met up to a day.

Reads `events` up to the day and its `vocabularies`. Purchases that came back whole do not count. Safe to re-run: the
partition is replaced, or left alone when nothing changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.lake import Version
from expectations.program import Night, night_and_as_of, run_program
from expectations.spark_session import session_from_environment
from expectations.tables import EVENTS, INTERACTIONS, VOCABULARIES
from jobs.partitions import build_partition, log_versions, read_log, read_partition
from jobs.returned_purchases import without_returns
from jobs.vocabulary_index import with_index


def build_interactions(spark: SparkSession, night: Night, as_of: str) -> Version:
    """Builds the partition `as_of`."""
    lake = night.lake
    return build_partition(
        night,
        INTERACTIONS,
        as_of,
        [lake.require(VOCABULARIES, as_of), *log_versions(lake, EVENTS, as_of)],
        [night.shop.event_weights],
        lambda: interactions_from_events(
            read_log(spark, lake, EVENTS, as_of),
            read_partition(spark, lake, VOCABULARIES, as_of),
            night.shop.event_weights,
        ),
    )


def interactions_from_events(
    events: DataFrame, vocabularies: DataFrame, event_weights: Mapping[str, float]
) -> DataFrame:
    """One row per pair. A type that `event_weights` does not name weighs nothing, but counts as an event."""
    event_type = F.col("event_type")
    # Counts are whole numbers, so that the weight does not depend on the order of a sum.
    weight = sum(
        (weight * F.count(F.when(event_type == name, True)) for name, weight in sorted(event_weights.items())),
        F.lit(0.0),
    )
    pairs = (
        without_returns(events)
        .groupBy("user_id", "item_id")
        .agg(
            weight.alias("weight"),
            F.count(F.lit(1)).alias("num_events"),
            F.count(F.when(event_type == "purchase", True)).alias("num_purchases"),
            F.min("event_time").alias("first_time"),
            F.max("event_time").alias("last_time"),
        )
    )
    pairs = with_index(pairs, vocabularies, "user_id", "user_id", "user_index")
    pairs = with_index(pairs, vocabularies, "item_id", "item_id", "item_index")
    columns = [name for name in INTERACTIONS.column_names if name != "ds"]
    return pairs.select(*columns).repartition("user_index").sortWithinPartitions("user_index", "item_index")


def main(argv: Sequence[str] | None = None) -> None:
    """Builds `interactions` of `--as-of`."""
    night, as_of = night_and_as_of(__doc__, argv)
    build_interactions(session_from_environment("build_interactions"), night, as_of)


if __name__ == "__main__":
    run_program(main)
