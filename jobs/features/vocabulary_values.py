"""The values that get an index: what a catalogue and its users hold at an anchor, and what was first seen after it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.tables import EVENT_TYPES
from jobs.features.categorical_values import AGE_BUCKETS, category_levels

ID_FIELDS = ("user_id", "item_id")
BOUNDED_FIELDS = ("brand", "category", "gender", "country", "interest")
"""Of which a shop may hold any number: what is rare, and what exceeds `max_values`, shares the unknown index."""

VALUE_DDL = "field string, value string, day string"
"""One value to be numbered, within its field by `day` and then by itself."""


def ids(items: DataFrame, users: DataFrame) -> DataFrame:
    """Returns every item and user, by the first day that named it."""
    parts = [
        rows.select(F.lit(name).alias("field"), F.col(name).alias("value"), F.col("first_seen").alias("day"))
        for name, rows in (("item_id", items), ("user_id", users))
    ]
    return parts[0].unionByName(parts[1])


def fixed_values(rows: DataFrame, pieces: Sequence[str]) -> DataFrame:
    """Values whose order is given: the contract's own, and the pieces of the tokenizer.

    Args:
        rows: any table of the session.
    """
    fields = {"event_type": EVENT_TYPES, "age_bucket": AGE_BUCKETS, "token": pieces}
    values = [(name, value, f"{n:06d}") for name, listed in fields.items() for n, value in enumerate(listed)]
    return rows.sparkSession.createDataFrame(values, VALUE_DDL)


def frequent_values(items: DataFrame, users: DataFrame, max_values: int, min_value_count: int) -> DataFrame:
    """The most frequent values of every other field, among those that enough items or users have; domains all."""
    counts = _values(items, users).groupBy("field", "value").agg(F.count(F.lit(1)).alias("num"))
    place = F.row_number().over(Window.partitionBy("field").orderBy(F.desc("num"), "value"))
    is_frequent = (place <= max_values) & (F.col("num") >= min_value_count)
    chosen = counts.withColumn("is_chosen", is_frequent).where(
        F.col("is_chosen") | ~F.col("field").isin(*BOUNDED_FIELDS)
    )
    return chosen.select("field", "value", F.lit("").alias("day"))


def updated_values(updates: DataFrame, user_updates: DataFrame, new_items: DataFrame) -> DataFrame:
    """Returns the values that the updates of some days hold, by the first of these days.

    Args:
        new_items: items that were first seen on these days; one that only events name has a domain and no update.
    """
    met = new_items.select(
        F.lit("domain").alias("field"), F.col("domain").alias("value"), F.col("first_seen").alias("day")
    )
    found = _values(updates, user_updates, "ds").withColumnRenamed("ds", "day").unionByName(met)
    return found.groupBy("field", "value").agg(F.min("day").alias("day"))


def snapshot_values(items: DataFrame, users: DataFrame) -> DataFrame:
    """Returns all values of all other fields, frequent or not."""
    return _values(items, users).distinct()


def _values(items: DataFrame, users: DataFrame, *also: str) -> DataFrame:
    """`field`, `value` and the columns `also`, a row for each value that a row of the inputs holds."""
    of_items = {"brand": F.array("brand"), "domain": F.array("domain"), "category": category_levels(F.col("category"))}
    of_users = {"gender": F.array("gender"), "country": F.array("country"), "interest": F.col("interests")}
    parts = [
        rows.select(*also, F.explode(F.concat(*(_labelled(*field) for field in fields.items()))).alias("entry"))
        for rows, fields in ((items, of_items), (users, of_users))
    ]
    found = reduce(DataFrame.unionByName, parts).select(*also, "entry.field", "entry.value")
    return found.where(F.col("value").isNotNull())


def _labelled(field: str, values: Column) -> Column:
    return F.transform(
        F.array_distinct(values), lambda value: F.struct(F.lit(field).alias("field"), value.alias("value"))
    )
