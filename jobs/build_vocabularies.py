"""Builds `vocabularies`: which integer stands for which value, as of a day.

Reads `items` of the day, and `item_updates`, `user_updates` and `events` up to it. Values are numbered in the order of
the first day that told them, so that the vocabulary of a later day appends; only `token` is chosen anew each day, by
how many titles hold a word. Safe to re-run: the partition is replaced, or left alone when nothing changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.lake import Version, fingerprint_of
from expectations.program import Night, night_and_as_of, run_program
from expectations.spark_session import session_from_environment
from expectations.tables import (
    EVENT_TYPES,
    FIRST_VALUE_INDEX,
    ITEM_UPDATES,
    ITEMS,
    USER_UPDATES,
    VOCABULARIES,
)
from jobs.feature_values import AGE_BUCKETS, category_levels, title_words
from jobs.partitions import build_partition, log_versions, read_log, read_partition

MIN_ITEMS_PER_TOKEN = 2
MAX_TOKENS = 5_000


def build_vocabularies(spark: SparkSession, night: Night, as_of: str) -> Version:
    """Builds the partition `as_of`."""
    lake = night.lake
    inputs = [
        lake.require(ITEMS, as_of),
        *log_versions(lake, ITEM_UPDATES, as_of),
        *log_versions(lake, USER_UPDATES, as_of),
    ]
    return build_partition(
        night,
        VOCABULARIES,
        as_of,
        inputs,
        [],
        lambda: with_hash(
            vocabularies_from(
                read_partition(spark, lake, ITEMS, as_of),
                read_log(spark, lake, ITEM_UPDATES, as_of),
                read_log(spark, lake, USER_UPDATES, as_of),
            )
        ),
    )


def vocabularies_from(items: DataFrame, item_updates: DataFrame, user_updates: DataFrame) -> DataFrame:
    """`field`, `value`, `index` of all fields."""
    first_told = [
        items.select(
            F.lit("item_id").alias("field"), F.col("item_id").alias("value"), F.col("first_seen").alias("day")
        ),
        # An item that only events name has a domain as well, and no update.
        items.select(F.lit("domain").alias("field"), F.col("domain").alias("value"), F.col("first_seen").alias("day")),
        _told_values(
            item_updates,
            {"brand": _one("brand"), "domain": _one("domain"), "category": category_levels(F.col("category"))},
        ),
        _told_values(
            user_updates,
            {
                "user_id": _one("user_id"),
                "gender": _one("gender"),
                "country": _one("country"),
                "interest": F.col("interests"),
            },
        ),
        _tokens(items),
        _fixed_values(items, "event_type", EVENT_TYPES),
        _fixed_values(items, "age_bucket", AGE_BUCKETS),
    ]
    values = reduce(DataFrame.unionByName, first_told).where(F.col("value").isNotNull())
    by_first_day = Window.partitionBy("field").orderBy("day", "value")
    return (
        values.groupBy("field", "value")
        .agg(F.min("day").alias("day"))
        .withColumn("index", F.row_number().over(by_first_day) + F.lit(FIRST_VALUE_INDEX - 1))
        .select("field", "value", "index")
    )


def with_hash(vocabularies: DataFrame) -> DataFrame:
    """Adds one hash over all rows, whatever order they lie in."""
    vocabularies = vocabularies.persist()
    row_hash = F.xxhash64("field", "value", "index")
    sums = vocabularies.agg(F.count(F.lit(1)), F.bit_xor(row_hash), F.sum(row_hash.cast("decimal(38,0)"))).collect()[0]
    return vocabularies.withColumn("vocabulary_hash", F.lit(fingerprint_of([str(part) for part in sums])))


def _told_values(updates: DataFrame, fields: dict[str, Column]) -> DataFrame:
    """Every value that some day told, with the first such day. `fields`: field -> array of its values in a row."""
    pairs = [_labelled(field, values) for field, values in fields.items()]
    told = updates.select("ds", F.explode(F.concat(*pairs)).alias("told"))
    return told.groupBy("told.field", "told.value").agg(F.min("ds").alias("day"))


def _labelled(field: str, values: Column) -> Column:
    return F.transform(values, lambda value: F.struct(F.lit(field).alias("field"), value.alias("value")))


def _one(column: str) -> Column:
    return F.array(F.col(column))


def _tokens(items: DataFrame) -> DataFrame:
    words = items.select("first_seen", F.explode(F.array_distinct(title_words(F.col("title")))).alias("value"))
    counted = words.groupBy("value").agg(F.count(F.lit(1)).alias("num_items"), F.min("first_seen").alias("day"))
    most_used = counted.where(F.col("num_items") >= MIN_ITEMS_PER_TOKEN).orderBy(F.desc("num_items"), "value")
    return most_used.limit(MAX_TOKENS).select(F.lit("token").alias("field"), "value", "day")


def _fixed_values(items: DataFrame, field: str, values: Sequence[str]) -> DataFrame:
    """Values that the contract itself lists, in its order."""
    rows = [(field, value, f"{place:02d}") for place, value in enumerate(values)]
    return items.sparkSession.createDataFrame(rows, "field string, value string, day string")


def main(argv: Sequence[str] | None = None) -> None:
    """Builds `vocabularies` of `--as-of`."""
    night, as_of = night_and_as_of(__doc__, argv)
    build_vocabularies(session_from_environment("build_vocabularies"), night, as_of)


if __name__ == "__main__":
    run_program(main)
