"""Puts new items into the lists of the users who are most likely to want them, for a share of each list.

A model hardly proposes what nobody met yet, and so nobody meets it. Whoever is in the audience of a new item finds it
in the last places of their list, no more of these than `exploration_share` of the shop file; the rest stays as it is.
Such places are given, not drawn: their propensity is 1.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from expectations.program import Night
from jobs.build_new_item_audiences import new_item_audiences
from jobs.finished_lists import FILL_STEP, SCORE_DECIMALS


def num_explored(night: Night) -> int:
    """Places of a list that may go to new items."""
    return int(night.shop.new_items.exploration_share * night.shop.top_k + 1e-9)


def explored(recommendations: DataFrame, spark: SparkSession, night: Night, is_fallback: bool) -> DataFrame:
    """The rows of `user_recommendations` with new items at the end of lists; the same rows where none may explore.

    Args:
        is_fallback: of the night, and so of every row.
    """
    num_places = num_explored(night)
    if num_places == 0:
        return recommendations
    audiences = new_item_audiences(spark, night).withColumn("is_fallback", F.lit(is_fallback))
    # They are looked at more than once, and cost the most of all tables.
    return with_new_items(recommendations.persist(), audiences, num_places)


def with_new_items(recommendations: DataFrame, audiences: DataFrame, num_places: int) -> DataFrame:
    """Lists of the same lengths, of which at most the last `num_places` items are new ones that were not in them.

    A new item has no score in the scale of the list: like a filled one, it takes that of the row before it, less a
    little.

    Args:
        audiences: rows of `new_item_audiences` with because_item_id and is_fallback.
    """
    best_first = Window.partitionBy("user_id").orderBy(F.desc("score"), "item_id")
    brought = (
        audiences.join(recommendations.select("user_id", "item_id"), on=["user_id", "item_id"], how="left_anti")
        .withColumn("place", F.row_number().over(best_first))
        .where(F.col("place") <= num_places)
    )
    num_brought = brought.groupBy("user_id").agg(F.count("*").alias("num_brought"))
    of_list = Window.partitionBy("user_id")
    kept = (
        recommendations.join(num_brought, on="user_id", how="left")
        .withColumn("length", F.count("*").over(of_list) - F.coalesce("num_brought", F.lit(0)))
        .where(F.col("rank") <= F.col("length"))
    )
    ends = kept.where(F.col("rank") == F.col("length")).select("user_id", "length", F.col("score").alias("last_score"))
    new = brought.join(ends, on="user_id", how="inner").select(
        "user_id",
        (F.col("length") + F.col("place")).cast("int").alias("rank"),
        "item_id",
        F.round(F.col("last_score") - FILL_STEP * F.col("place"), SCORE_DECIMALS).alias("score"),
        "source",
        "reason_code",
        "reason",
        F.array("because_item_id").alias("because_item_ids"),
        "is_fallback",
        F.lit(1.0).alias("propensity"),
    )
    return kept.select(*new.columns).unionByName(new)
