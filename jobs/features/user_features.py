"""Builds `user_features`: what is known of each user, as indices, as of a day.

Reads `users` and `vocabularies` of the day. Safe to re-run: the partition is replaced, or left alone when nothing
changed.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Lake, Version
from expectations.tables import USER_FEATURES, USERS, VOCABULARIES
from jobs.features.categorical_values import age_bucket
from jobs.features.vocabulary_index import index_lists, with_index
from jobs.storage.partitions import build_partition, read_partition


def build_user_features(spark: SparkSession, lake: Lake, as_of: str) -> Version:
    """Builds the partition `as_of`."""
    return build_partition(
        lake,
        USER_FEATURES,
        as_of,
        [lake.require(USERS, as_of), lake.require(VOCABULARIES, as_of)],
        [],
        lambda: user_features_from(
            read_partition(spark, lake, USERS, as_of), read_partition(spark, lake, VOCABULARIES, as_of)
        ),
        code=code_version(__name__),
    )


def user_features_from(users: DataFrame, vocabularies: DataFrame) -> DataFrame:
    """Returns one row per user."""
    interests = index_lists(users, vocabularies, "interest", "user_id", F.col("interests"))
    features = users.withColumn("age_bucket", age_bucket(F.col("age"))).join(interests, on="user_id", how="left")
    for field in ("user_id", "age_bucket", "gender", "country"):
        features = with_index(features, vocabularies, field, field, f"{field.removesuffix('_id')}_index")
    return features.select(
        "user_index",
        "age_bucket_index",
        "gender_index",
        "country_index",
        F.coalesce("indices", F.array().cast("array<int>")).alias("interest_indices"),
    ).sortWithinPartitions("user_index")
