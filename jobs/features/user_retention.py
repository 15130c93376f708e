"""Who is retained: users without an event for `retention_days` are forgotten, so a night costs what active users cost.

Whoever had no event in the `retention_days` up to an anchor is left out of its sums. Should they come back, they begin
anew, as a new user would, under their old index. Because anchors hang on the calendar, who is forgotten and when
follows from the log alone, whatever night ran last: a day that goes on from its anchor knows the same people as one
that reads the whole log.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.runtime.days import days_before
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, USERS, VOCABULARIES
from jobs.storage.log_as_of import LogAsOf
from jobs.storage.partitions import read_partition


def retained_events(spark: SparkSession, log: LogAsOf, shop: Shop, base: str | None) -> DataFrame:
    """Returns the events after `base`, whose sums are gone on from, or without a base all those that nobody forgot."""
    events = log.read(spark, EVENTS, after=base)
    if base is not None or not shop.retention_days:
        # No anchor lies between a base and the day that goes on from it.
        return events
    returned = first_day_after_return(events, shop.retention_days)
    return (
        events.join(returned, on="user_id", how="left")
        .where(F.col("first_day_after_return").isNull() | (F.col("ds") >= F.col("first_day_after_return")))
        .drop("first_day_after_return")
    )


def first_day_after_return(events: DataFrame, retention_days: int) -> DataFrame:
    """`user_id` of those who were forgotten and came back, and the `first_day_after_return` since the last time."""
    active_days = events.select("user_id", "ds").distinct()
    before = F.lag("ds").over(Window.partitionBy("user_id").orderBy("ds"))
    forgotten_on = sunday_from(F.date_add(before.cast("date"), retention_days)).cast("string")
    return (
        active_days.withColumn("forgotten_on", forgotten_on)
        .where(F.col("forgotten_on") < F.col("ds"))
        .groupBy("user_id")
        .agg(F.max("ds").alias("first_day_after_return"))
    )


def sunday_from(day: Column) -> Column:
    """Returns the first Sunday, which is an anchor, on or after a day."""
    return F.date_add(day, F.pmod(8 - F.dayofweek(day), F.lit(7)))


def keep_retained(spark: SparkSession, log: LogAsOf, shop: Shop, rows: DataFrame) -> DataFrame:
    """Keeps the `rows` (by their `user_index`) of users who were active in the `retention_days` up to `log.until`."""
    if not shop.retention_days:
        return rows
    since = days_before(log.until, shop.retention_days)
    users = read_partition(spark, log.lake, USERS, log.until).where(F.col("last_active") > since)
    entries = read_partition(spark, log.lake, VOCABULARIES, log.until).where(F.col("field") == "user_id")
    retained = entries.join(users, on=F.col("value") == F.col("user_id"), how="left_semi")
    return rows.join(retained.select(F.col("index").alias("user_index")), on="user_index", how="left_semi")
