"""Puts indices in the place of values, by the vocabularies of one day."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.tables import PADDING_INDEX, UNKNOWN_INDEX


def with_index(
    rows: DataFrame, vocabularies: DataFrame, field: str, value: str, index: str, is_small: bool = False
) -> DataFrame:
    """Adds the column `index`: of the column `value`, in a field of the vocabularies.

    No value at all becomes PADDING_INDEX, one that the vocabulary does not hold UNKNOWN_INDEX.

    Args:
        is_small: every executor can hold the whole field, so that `rows` stay where they are.
    """
    entries = vocabularies.where(F.col("field") == field).select(
        F.col("value").alias("_value"), F.col("index").alias("_index")
    )
    entries = F.broadcast(entries) if is_small else entries
    is_nothing = F.col(value).isNull()
    found = F.coalesce("_index", F.when(is_nothing, F.lit(PADDING_INDEX)), F.lit(UNKNOWN_INDEX))
    joined = rows.join(entries, on=F.col(value) == F.col("_value"), how="left")
    return joined.withColumn(index, found).drop("_value", "_index")


def index_lists(rows: DataFrame, vocabularies: DataFrame, field: str, key: str, values: Column) -> DataFrame:
    """Returns one row per `key` whose list holds a value of the vocabulary: `key`, `indices` in the order of the list.

    Values that the vocabulary does not hold are left out; so are repeats.
    """
    entries = vocabularies.where(F.col("field") == field).select(F.col("value").alias("_value"), "index")
    places = rows.select(key, F.posexplode(values).alias("place", "_value"))
    indexed = places.join(entries, on="_value", how="inner")
    in_order = F.array_sort(F.collect_list(F.struct("place", "index")))
    return indexed.groupBy(key).agg(
        F.array_distinct(F.transform(in_order, lambda entry: entry["index"])).alias("indices")
    )
