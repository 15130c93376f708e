"""What is for sale, by what a shop tells of its catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pyspark.sql import DataFrame, SparkSession

from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import ITEMS
from jobs.features.items import items_from_updates

AS_OF = "2024-03-03"
UPDATE = "ds string, item_id string, title string, price double, is_available boolean"
UPDATES = [
    ("2024-03-01", "kept", "Old name", 1.0, True),
    ("2024-03-01", "gone", "Gone", 1.0, True),
    ("2024-03-01", "paused", "Paused", 1.0, True),
    ("2024-03-02", "kept", "New name", None, True),
    ("2024-03-02", "paused", "Paused", 1.0, False),
]


def updates(spark: SparkSession, rows: Sequence[tuple[object, ...]]) -> DataFrame:
    return spark.createDataFrame(rows, UPDATE).selectExpr(
        "*", "CAST(NULL AS STRING) description", "CAST(ARRAY() AS ARRAY<STRING>) category",
        "CAST(NULL AS STRING) brand", "CAST(NULL AS STRING) image_path", "CAST(NULL AS STRING) item_group_id",
        "'things' domain", "true is_filed",
        "TIMESTAMP'2024-03-01 00:00:00' last_seen",
    )  # fmt: skip


def events(spark: SparkSession, *days_and_items: tuple[str, str]) -> DataFrame:
    rows = [(ds, item, "things") for ds, item in days_and_items]
    return spark.createDataFrame(rows, "ds string, item_id string, domain string")


def built(told: DataFrame, met: DataFrame, shop: Shop) -> DataFrame:
    """The catalogue of AS_OF of a log that begins with `told` and `met`."""
    return items_from_updates(told, met, shop, AS_OF, told.sparkSession.createDataFrame([], ITEMS.ddl))


def available(items: DataFrame) -> dict[str, bool]:
    return {row["item_id"]: row["is_available"] for row in items.collect()}


@pytest.fixture
def catalogue_shop(shop: Shop) -> Shop:
    return replace(shop, items=RawFile(path="items-{ds}.csv", columns={"item_id": "id"}))


def test_an_item_that_left_the_full_file_is_no_longer_for_sale(spark: SparkSession, catalogue_shop: Shop) -> None:
    items = built(updates(spark, UPDATES), events(spark, (AS_OF, "gone")), catalogue_shop)
    assert available(items) == {"kept": True, "gone": False, "paused": False}


def test_a_file_of_changes_leaves_the_others_as_they_were(spark: SparkSession, catalogue_shop: Shop) -> None:
    shop = replace(catalogue_shop, items_file="changes")
    items = built(updates(spark, UPDATES), events(spark), shop)
    assert available(items) == {"kept": True, "gone": True, "paused": False}


def test_an_item_that_only_events_name_is_known_but_not_for_sale(spark: SparkSession, catalogue_shop: Shop) -> None:
    items = built(updates(spark, UPDATES), events(spark, (AS_OF, "secret")), catalogue_shop)
    assert available(items)["secret"] is False


def test_without_a_file_what_was_met_within_a_year_is_for_sale(spark: SparkSession, shop: Shop) -> None:
    old = [
        ("2023-03-04", "old", None, None, True),
        ("2023-03-05", "met", None, None, True),
        (AS_OF, "new", None, None, True),
    ]
    items = built(updates(spark, old), events(spark, ("2023-03-05", "met")), shop)
    assert available(items) == {"old": False, "met": True, "new": True}


def test_each_attribute_is_the_last_one_that_was_told(spark: SparkSession, catalogue_shop: Shop) -> None:
    (kept,) = built(updates(spark, UPDATES), events(spark), catalogue_shop).where("item_id = 'kept'").collect()
    assert (kept["title"], kept["price"], kept["first_seen"]) == ("New name", 1.0, "2024-03-01")
