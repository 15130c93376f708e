"""Puts new items into the lists of the users who are most likely to want them, for a share of each list.

A model hardly proposes what nobody met yet, and so nobody meets it. Whoever is in the audience of a new item finds it
in the last places of their list, no more of these than `exploration_share` of the shop file; the rest stays as it is.
Whatever a cap of category, brand or variants has no room for beside the rest of the list is left out.
Such places are given, not drawn: their propensity is 1.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from expectations.semantics.item_eligibility.in_spark import caps_of
from expectations.shop.list_rules import ListRules
from expectations.shop.shop import Shop
from expectations.tables import ITEMS
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.list_assembly import FILL_STEP, SCORE_DECIMALS
from jobs.tables.new_item_audiences import new_item_audiences


def num_explored(shop: Shop) -> int:
    """Returns how many places of a list may go to new items."""
    return int(shop.new_items.exploration_share * shop.top_k + 1e-9)


def explored(
    spark: SparkSession, features: FeatureTables, recommendations: DataFrame, shop: Shop, is_fallback: bool
) -> DataFrame:
    """The rows of `user_recommendations` with new items at the end of lists; the same rows where none may explore.

    Args:
        is_fallback: of the night, and so of every row.
    """
    num_places = num_explored(shop)
    if num_places == 0:
        return recommendations
    audiences = new_item_audiences(spark, features, shop).withColumn("is_fallback", F.lit(is_fallback))
    # They are looked at more than once, and cost the most of all tables.
    recommendations = recommendations.persist()
    items = features.read(spark, ITEMS)
    return with_new_items(recommendations, within_caps(audiences, recommendations, items, shop.rules), num_places)


def within_caps(audiences: DataFrame, recommendations: DataFrame, items: DataFrame, rules: ListRules) -> DataFrame:
    """Returns the rows of `audiences` that no cap forbids in their user's list: beside all of its rows but the last.

    With one place to explore this is exact; with more, some that would fit are left out.
    """
    by_list = Window.partitionBy("user_id")
    rest = recommendations.withColumn("length", F.max("rank").over(by_list)).where("rank < length")
    audiences = audiences.join(recommendations.select("user_id", "item_id"), on=["user_id", "item_id"], how="left_anti")
    for name, (most, group) in caps_of(rules).items():
        groups = F.broadcast(items.select("item_id", group.alias(name)))
        used = rest.join(groups, on="item_id").groupBy("user_id", name).agg(F.count("*").alias("num_used"))
        by_group = Window.partitionBy("user_id", name).orderBy(F.desc("score"), "item_id")
        audiences = (
            audiences.join(groups, on="item_id")
            .join(used, on=["user_id", name], how="left")
            .withColumn("nth", F.row_number().over(by_group))
            .where(F.col(name).isNull() | (F.coalesce("num_used", F.lit(0)) + F.col("nth") <= most))
            .drop(name, "num_used", "nth")
        )
    return audiences


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
    by_list = Window.partitionBy("user_id")
    kept = (
        recommendations.join(num_brought, on="user_id", how="left")
        .withColumn("length", F.count("*").over(by_list) - F.coalesce("num_brought", F.lit(0)))
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
