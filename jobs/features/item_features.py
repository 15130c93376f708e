"""Builds `item_features`: what is known of each item, as indices, as of a day.

Reads `items` and `vocabularies` of the day, and `tokenizers` of its anchor. Safe to re-run: the partition is replaced,
or left alone when nothing changed.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version
from expectations.tables import ITEM_FEATURES, ITEMS, MAX_DESCRIPTION_TOKENS, MAX_TITLE_TOKENS, TOKENIZERS, VOCABULARIES
from jobs.features.categorical_values import category_levels
from jobs.features.plain_text import MAX_RAW_CHARACTERS
from jobs.features.subwords import piece_indices
from jobs.features.tokenizers import tokenizer_model
from jobs.features.vocabulary_index import index_lists, with_index
from jobs.storage.log_as_of import LogAsOf
from jobs.storage.partitions import build_partition, read_partition

MIN_PRICED_ITEMS = 20
"""Of a department, for deciles of its own."""
_DECILES = [place / 10 for place in range(1, 10)]


def build_item_features(spark: SparkSession, log: LogAsOf) -> Version:
    """Builds the partition of `log.until`."""
    lake, as_of = log.lake, log.until
    return build_partition(
        lake,
        ITEM_FEATURES,
        as_of,
        [lake.require(ITEMS, as_of), lake.require(VOCABULARIES, as_of), lake.require(TOKENIZERS, log.anchor)],
        [],
        lambda: item_features_from(
            read_partition(spark, lake, ITEMS, as_of),
            read_partition(spark, lake, VOCABULARIES, as_of),
            tokenizer_model(lake, log.anchor),
            as_of,
        ),
        code=code_version(__name__),
    )


def item_features_from(items: DataFrame, vocabularies: DataFrame, model: bytes, as_of: str) -> DataFrame:
    """Returns one row per item.

    Args:
        model: of the tokenizer whose pieces are the vocabulary's field `token`.
    """
    categories = index_lists(items, vocabularies, "category", "item_id", category_levels(F.col("category")))
    features = (
        items.withColumn("token_indices", piece_indices(model, F.col("title"), MAX_TITLE_TOKENS))
        .withColumn("description_token_indices", _description_pieces(model))
        .join(categories.withColumnRenamed("indices", "category_indices"), on="item_id", how="left")
    )
    for field in ("item_id", "brand", "domain"):
        features = with_index(features, vocabularies, field, field, f"{field.removesuffix('_id')}_index")
    return (
        with_price_bucket(features, items)
        .select(
            "item_index",
            F.coalesce("category_indices", F.array().cast("array<int>")).alias("category_indices"),
            "brand_index",
            "domain_index",
            "price_bucket",
            "token_indices",
            "description_token_indices",
            "is_available",
            F.date_diff(F.to_date(F.lit(as_of)), F.to_date("first_seen")).alias("age_days"),
        )
        .sortWithinPartitions("item_index")
    )


def with_price_bucket(rows: DataFrame, items: DataFrame) -> DataFrame:
    """Adds `price_bucket`: 1 for the cheapest tenth, 10 for the dearest; equal prices share one. 0 without a price.

    Tenths of what the item is compared with: its broadest category, or the whole catalogue where that holds fewer
    than `MIN_PRICED_ITEMS` with a price. No narrower category can hold more.

    Args:
        rows: with the columns `category` and `price` of the items.
    """
    deciles = F.percentile("price", _DECILES).alias("deciles")
    department = F.try_element_at("category", F.lit(1))
    priced = items.where(F.col("price").isNotNull())
    of_departments = (
        priced.groupBy(department.alias("department"))
        .agg(deciles, F.count(F.lit(1)).alias("num_priced"))
        .where(F.col("department").isNotNull() & (F.col("num_priced") >= MIN_PRICED_ITEMS))
        .select("department", "deciles")
    )
    of_catalogue = priced.agg(deciles.alias("catalogue_deciles"))
    compared = (
        rows.withColumn("department", department)
        .join(F.broadcast(of_departments), on="department", how="left")
        .crossJoin(F.broadcast(of_catalogue))
    )
    cheaper = F.filter(F.coalesce("deciles", "catalogue_deciles"), lambda decile: decile < F.col("price"))
    bucket = F.when(F.col("price").isNull(), F.lit(0)).otherwise(F.size(cheaper) + 1)
    return compared.withColumn("price_bucket", bucket)


def _description_pieces(model: bytes) -> Column:
    # What is longer than the reader looks at need not travel to it.
    description = F.substring("description", 1, MAX_RAW_CHARACTERS)
    return piece_indices(model, description, MAX_DESCRIPTION_TOKENS)
