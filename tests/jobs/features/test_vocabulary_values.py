"""Which values get an index of their own, and in which order."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from jobs.features.vocabularies import appended
from jobs.features.vocabulary_values import VALUE_DDL, frequent_values

ITEM = "item_id string, brand string, domain string, category array<string>"
USER = "user_id string, gender string, country string, interests array<string>"
ENTRY = "field string, value string, index int"


def chosen(items: DataFrame, users: DataFrame, max_values: int, min_value_count: int) -> set[tuple[str, str]]:
    return {(r["field"], r["value"]) for r in frequent_values(items, users, max_values, min_value_count).collect()}


def test_rare_values_and_those_beyond_the_bound_share_the_unknown_index(spark: SparkSession) -> None:
    brands = ["Lux", "Lux", "Axa", "Axa", "Axa", "Bee", "Bee", "rare", None]
    items = spark.createDataFrame([(f"{n}", brand, "home", ["A", "B"]) for n, brand in enumerate(brands)], ITEM)
    users = spark.createDataFrame([("u", "f", None, ["tea", "tea"])], USER)
    frequent = chosen(items, users, max_values=2, min_value_count=2)
    assert {value for field, value in frequent if field == "brand"} == {"Axa", "Bee"}
    assert {value for field, value in frequent if field == "category"} == {"A", "A > B"}
    # One user who says it twice is one user.
    assert {field for field, _ in frequent} == {"brand", "category", "domain"}


def test_a_department_is_never_folded(spark: SparkSession) -> None:
    items = spark.createDataFrame([("1", None, "home", []), ("2", None, "toys", [])], ITEM)
    users = spark.createDataFrame([], USER)
    assert chosen(items, users, max_values=1, min_value_count=5) == {("domain", "home"), ("domain", "toys")}


def test_new_values_come_after_the_known_ones_by_their_first_day_up_to_the_bound(spark: SparkSession) -> None:
    known = spark.createDataFrame([("brand", "Lux", 2), ("item_id", "a", 2)], ENTRY)
    told = [
        ("brand", "Lux", "2024-03-18"),
        ("brand", "Bee", "2024-03-19"),
        ("brand", "Zoo", "2024-03-18"),
        ("item_id", "c", "2024-03-18"),
        ("item_id", "b", "2024-03-18"),
        ("country", "DE", "2024-03-18"),
        *(("gender", value, "2024-03-18") for value in "fmx"),
    ]
    entries = appended(known, spark.createDataFrame(told, VALUE_DDL), max_values=2)
    assert sorted(tuple(row) for row in entries.collect()) == [
        ("brand", "Lux", 2),
        ("brand", "Zoo", 3),
        ("country", "DE", 2),
        ("gender", "f", 2),
        ("gender", "m", 3),
        ("item_id", "a", 2),
        ("item_id", "b", 3),
        ("item_id", "c", 4),
    ]
