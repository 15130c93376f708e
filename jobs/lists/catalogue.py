"""The catalogue of a night as the published tables need it: indices beside the shop's own ids and readable titles."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.semantics.item_eligibility.in_spark import (
    boost_factor,
    category_path,
    is_new,
    item_group,
    refused_by,
)
from expectations.semantics.titles import readable_title_in_spark
from expectations.shop.list_rules import ListRules
from expectations.tables import ITEMS, VOCABULARIES
from jobs.lists.feature_tables import FeatureTables


def catalogue_rows(spark: SparkSession, features: FeatureTables, rules: ListRules) -> DataFrame:
    """Items known when `ds` ended: item_index, item_id, title, and what the shop's rules say of each.

    `refused_by` names the rule that keeps an item out of all lists, be it only `availability`, and is null where none
    does. The rules of lists look at `category`, as far as they tell categories apart, `brand`, `item_group`, `is_new`
    and `boost`.
    """
    vocabulary = features.read(spark, VOCABULARIES).where(F.col("field") == "item_id")
    indices = vocabulary.select(F.col("value").alias("item_id"), F.col("index").alias("item_index"))
    return (
        features.read(spark, ITEMS)
        .join(indices, on="item_id")
        .select(
            "item_index",
            "item_id",
            readable_title_in_spark(F.col("title"), F.col("item_id")).alias("title"),
            "is_available",
            refused_by(rules).alias("refused_by"),
            category_path(rules.category_level).alias("category"),
            "brand",
            item_group(rules).alias("item_group"),
            is_new(rules, features.ds).alias("is_new"),
            boost_factor(rules, features.ds).alias("boost"),
        )
    )
