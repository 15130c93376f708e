"""The catalogue of a night as the published tables need it: indices beside the shop's own ids and readable titles."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.program import Night
from expectations.tables import ITEMS, VOCABULARIES
from jobs.partitions import read_partition
from jobs.reasons import readable_title


def catalogue(spark: SparkSession, night: Night) -> DataFrame:
    """Items known when `ds` ended: item_index, item_id, title, is_available."""
    vocabulary = read_partition(spark, night.lake, VOCABULARIES, night.ds).where(F.col("field") == "item_id")
    indices = vocabulary.select(F.col("value").alias("item_id"), F.col("index").alias("item_index"))
    items = read_partition(spark, night.lake, ITEMS, night.ds)
    title = readable_title(F.col("title"), F.col("item_id"))
    return items.join(indices, on="item_id").select("item_index", "item_id", title.alias("title"), "is_available")
