"""The users who get a list: everybody, or those who were active lately."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.days import days_before
from expectations.tables import USERS, VOCABULARIES
from jobs.lists.feature_tables import FeatureTables


def target_users(spark: SparkSession, features: FeatureTables, active_days: int) -> DataFrame:
    """Who gets a list, as user_index and user_id: everybody of the log, or of its last `active_days` if not 0."""
    users = features.read(spark, USERS)
    # An empty text lies before every day, and a user without any event has none.
    since = days_before(features.ds, active_days) if active_days else ""
    vocabulary = features.read(spark, VOCABULARIES).where(F.col("field") == "user_id")
    indices = vocabulary.select(F.col("value").alias("user_id"), F.col("index").alias("user_index"))
    return users.where(F.col("last_active") > since).join(indices, on="user_id").select("user_index", "user_id")
