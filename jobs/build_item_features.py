"""Builds `item_features`: what is known of each item, as indices, as of a day.

Reads `items` and `vocabularies` of the day. Safe to re-run: the partition is replaced, or left alone when nothing
changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.lake import Version
from expectations.program import Night, night_and_as_of, run_program
from expectations.spark_session import session_from_environment
from expectations.tables import ITEM_FEATURES, ITEMS, VOCABULARIES
from jobs.feature_values import category_levels, title_words
from jobs.partitions import build_partition, read_partition
from jobs.vocabulary_index import index_lists, with_index

MAX_TITLE_TOKENS = 16
_DECILES = [place / 10 for place in range(1, 10)]


def build_item_features(spark: SparkSession, night: Night, as_of: str) -> Version:
    """Builds the partition `as_of`."""
    lake = night.lake
    return build_partition(
        night,
        ITEM_FEATURES,
        as_of,
        [lake.require(ITEMS, as_of), lake.require(VOCABULARIES, as_of)],
        [],
        lambda: item_features_from(
            read_partition(spark, lake, ITEMS, as_of), read_partition(spark, lake, VOCABULARIES, as_of), as_of
        ),
    )


def item_features_from(items: DataFrame, vocabularies: DataFrame, as_of: str) -> DataFrame:
    """One row per item. Words of a title that the vocabulary does not hold are left out."""
    categories = index_lists(items, vocabularies, "category", "item_id", category_levels(F.col("category")))
    tokens = index_lists(items, vocabularies, "token", "item_id", title_words(F.col("title")))
    features = (
        items.join(categories.withColumnRenamed("indices", "category_indices"), on="item_id", how="left")
        .join(tokens.withColumnRenamed("indices", "token_indices"), on="item_id", how="left")
        .crossJoin(items.agg(F.percentile("price", _DECILES).alias("deciles")))
    )
    for field in ("item_id", "brand", "domain"):
        features = with_index(features, vocabularies, field, field, f"{field.removesuffix('_id')}_index")
    return features.select(
        "item_index",
        _or_empty("category_indices"),
        "brand_index",
        "domain_index",
        price_bucket(F.col("price"), F.col("deciles")).alias("price_bucket"),
        F.slice(_or_empty("token_indices"), 1, MAX_TITLE_TOKENS).alias("token_indices"),
        "is_available",
        F.date_diff(F.to_date(F.lit(as_of)), F.to_date("first_seen")).alias("age_days"),
    ).sortWithinPartitions("item_index")


def price_bucket(price: Column, deciles: Column) -> Column:
    """1 for the cheapest tenth of the catalogue, 10 for the dearest; equal prices share a bucket. 0 without a price."""
    num_below = F.size(F.filter(deciles, lambda decile: decile < price))
    return F.when(price.isNull(), F.lit(0)).otherwise(num_below + 1)


def _or_empty(name: str) -> Column:
    return F.coalesce(name, F.array().cast("array<int>")).alias(name)


def main(argv: Sequence[str] | None = None) -> None:
    """Builds `item_features` of `--as-of`."""
    night, as_of = night_and_as_of(__doc__, argv)
    build_item_features(session_from_environment("build_item_features"), night, as_of)


if __name__ == "__main__":
    run_program(main)
