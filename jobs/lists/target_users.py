"""Who gets a list."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.days import days_before
from expectations.runtime.program import Night
from expectations.tables import USERS, VOCABULARIES
from jobs.storage.partitions import read_partition


def target_users(spark: SparkSession, night: Night) -> DataFrame:
    """Who gets a list, as user_index and user_id: everybody of the log, or those of the last `active_days`."""
    users = read_partition(spark, night.lake, USERS, night.ds)
    # An empty text lies before every day, and a user without any event has none.
    since = days_before(night.ds, night.shop.active_days) if night.shop.active_days else ""
    vocabulary = read_partition(spark, night.lake, VOCABULARIES, night.ds).where(F.col("field") == "user_id")
    indices = vocabulary.select(F.col("value").alias("user_id"), F.col("index").alias("user_index"))
    return users.where(F.col("last_active") > since).join(indices, on="user_id").select("user_index", "user_id")
