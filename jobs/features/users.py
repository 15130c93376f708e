"""Builds `users`: everybody the shop knew when a day ended.

Reads the users of the day that this one goes on from, and the `user_updates` and `events` since. Each attribute has the
latest value of all updates. Safe to re-run: the partition is replaced, or left alone when nothing changed.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, USER_UPDATES, USERS
from jobs.storage.log_as_of import LogAsOf, base_day, build_from_log, read_base

_ATTRIBUTES = ("age", "gender", "country", "interests")


def build_users(spark: SparkSession, log: LogAsOf, shop: Shop) -> Version:
    """Builds the partition of `log.until`."""

    def rows() -> DataFrame:
        base = base_day(log, shop, USERS, code_version(__name__))
        return users_from_updates(
            log.read(spark, USER_UPDATES, after=base),
            log.read(spark, EVENTS, after=base),
            read_base(spark, log.lake, USERS, base),
        )

    return build_from_log(log, shop, USERS, code_version(__name__), rows)


def users_from_updates(updates: DataFrame, events: DataFrame, base: DataFrame) -> DataFrame:
    """Returns one row per user of `base`, the users of an earlier day, or that an update since names.

    Whoever has an event has an update of the same day.
    """
    # What an earlier day knew of a user is as good as an update of that day.
    nobody_active = F.lit(None).cast("string").alias("last_active")
    dated_updates = updates.select(
        "user_id", "ds", *_ATTRIBUTES, "filed", F.col("ds").alias("first_seen"), nobody_active
    )
    dated_updates = dated_updates.unionByName(base.select(*dated_updates.columns))
    latest = dated_updates.groupBy("user_id").agg(
        *(_last_known(name).alias(name) for name in _ATTRIBUTES),
        F.array_sort(F.array_distinct(F.flatten(F.collect_list("filed")))).alias("filed"),
        F.min("first_seen").alias("first_seen"),
        F.max("last_active").alias("active_before"),
    )
    active = events.groupBy("user_id").agg(F.max("ds").alias("active_since"))
    return (
        latest.join(active, on="user_id", how="left")
        .withColumn("last_active", F.coalesce("active_since", "active_before"))
        .withColumn("interests", F.coalesce("interests", F.array().cast("array<string>")))
        .select(*(name for name in USERS.column_names if name != "ds"))
        .sortWithinPartitions("user_id")
    )


def _last_known(name: str) -> Column:
    """Returns an aggregate: the latest value that a users file gave, whatever events said later; else the latest."""
    is_known = F.size(name) > 0 if name == "interests" else F.col(name).isNotNull()
    return F.max_by(name, F.when(is_known, F.struct(F.array_contains("filed", name), "ds")))
