"""Builds `users`: everybody the shop knew when a day ended.

Reads `user_updates` and `events` up to the day. Each attribute is the last one that was told. Safe to re-run: the
partition is replaced, or left alone when nothing changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.lake import Version
from expectations.program import Night, night_from, night_parser, run_program
from expectations.spark_session import session_from_environment
from expectations.tables import EVENTS, USER_UPDATES, USERS
from jobs.partitions import build_partition, log_versions, read_log


def build_users(spark: SparkSession, night: Night, as_of: str) -> Version:
    """Builds the partition `as_of`."""
    lake = night.lake
    return build_partition(
        night,
        USERS,
        as_of,
        [*log_versions(lake, USER_UPDATES, as_of), *log_versions(lake, EVENTS, as_of)],
        [],
        lambda: users_from_updates(read_log(spark, lake, USER_UPDATES, as_of), read_log(spark, lake, EVENTS, as_of)),
    )


def users_from_updates(updates: DataFrame, events: DataFrame) -> DataFrame:
    """One row per user that any update names; whoever has an event has an update of the same day."""
    told = updates.groupBy("user_id").agg(
        *(_last_known(name, F.col(name).isNotNull()).alias(name) for name in ("age", "gender", "country")),
        _last_known("interests", F.size("interests") > 0).alias("interests"),
    )
    active = events.groupBy("user_id").agg(F.max("ds").alias("last_active"))
    return (
        told.join(active, on="user_id", how="left")
        .withColumn("interests", F.coalesce("interests", F.array().cast("array<string>")))
        .select(*(name for name in USERS.column_names if name != "ds"))
        .sortWithinPartitions("user_id")
    )


def _last_known(name: str, is_known: Column) -> Column:
    """The value of the latest day that told one; a user has one update a day, so that days do not tie."""
    return F.max_by(name, F.when(is_known, F.col("ds")))


def main(argv: Sequence[str] | None = None) -> None:
    """Builds `users` of `--ds`."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    build_users(session_from_environment("build_users"), night, night.ds)


if __name__ == "__main__":
    run_program(main)
