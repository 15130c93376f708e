"""A catalogue that changes at a stroke, or that the day's events do not know, stops the night."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import replace

import pytest
from pyspark.sql import DataFrame, SparkSession

from expectations.shop.drop_settings import Drops
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import NightError
from jobs.raw.catalogue_limits import (
    CatalogueChange,
    catalogue_changes,
    files_before,
    require_known_items,
    require_steady_catalogue,
)

DS = "2024-03-10"


@pytest.fixture
def catalogue_shop(shop: Shop) -> Shop:
    return replace(shop, items=RawFile("items-{ds}.csv", columns={"item_id": "id"}))


def test_each_new_file_is_compared_with_the_one_before_it_once_there_are_some() -> None:
    """Days may lack a file, and an old day may be read again between two that the lake holds."""
    assert files_before({"05"}, {"01", "02", "04", "07"}, 3) == {"05": "04"}
    assert files_before({"01", "02", "04"}, set(), 1) == {"02": "01", "04": "02"}
    assert files_before({"01", "02"}, set(), 7) == {}


def test_what_enters_and_leaves_a_catalogue_is_counted(spark: SparkSession) -> None:
    files = {"01": "abcd", "02": "abcx", "04": "xyz"}
    rows = [(ds, item) for ds, items in files.items() for item in items]
    filed = spark.createDataFrame(rows, "ds string, item_id string")
    assert catalogue_changes(filed, {"02": "01", "04": "02"}) == {
        "02": CatalogueChange("01", 4, 4, 1, 1, "d", "x"),
        "04": CatalogueChange("02", 4, 3, 3, 2, "a", "y"),
    }
    assert catalogue_changes(filed, {"04": "01"}) == {"04": CatalogueChange("01", 4, 3, 4, 3, "a", "x")}


STEADINESS: dict[str, tuple[CatalogueChange, str | None]] = {
    "as before": (CatalogueChange("2024-03-09", 100, 100, 0, 0, None, None), None),
    "half is gone": (CatalogueChange("2024-03-09", 100, 50, 50, 0, "a", None), None),
    "twice as many": (CatalogueChange("2024-03-09", 100, 200, 0, 100, None, "b"), None),
    "more is gone": (
        CatalogueChange("2024-03-09", 100, 60, 51, 11, "a", "b"),
        "corner items file of 2024-03-10: 51 of the 100 items of 2024-03-09 are not in it, such as 'a', above "
        "max_leaving_share=0.5",
    ),
    "more is new": (
        CatalogueChange("2024-03-09", 100, 201, 0, 101, None, "b"),
        "corner items file of 2024-03-10: 101 of its 201 items were not in that of 2024-03-09, such as 'b', above "
        "max_entering_share=0.5",
    ),
}


@pytest.mark.parametrize("found", STEADINESS)
def test_a_catalogue_does_not_change_at_a_stroke(catalogue_shop: Shop, found: str) -> None:
    change, refusal = STEADINESS[found]
    with nullcontext() if refusal is None else pytest.raises(NightError, match=refusal):
        require_steady_catalogue(catalogue_shop, {DS: change})
    unbound = replace(catalogue_shop, drops=replace(Drops(), max_leaving_share=1.0, max_entering_share=1.0))
    require_steady_catalogue(unbound, {DS: change})


def events_and_items(
    spark: SparkSession, bought: dict[str, int], filed: list[str], evented: tuple[str, ...] = ()
) -> tuple[DataFrame, DataFrame]:
    """Events of items, so many of each, and a catalogue of what files named and of what only events did."""
    events = spark.createDataFrame([(item,) for item, num in bought.items() for _ in range(num)], "item_id string")
    known = [*((item, True) for item in filed), *((item, False) for item in {*bought, *evented} - {*filed})]
    return events, spark.createDataFrame(known, "item_id string, is_filed boolean")


WRITTEN: dict[str, tuple[str, str, str]] = {
    "case": ("SKU-1", "sku-1", "But for upper and lower case, 1 of the unknown ids would be known"),
    "zeros": ("0042", "42", "But for zeros at their beginning, 1 of the unknown ids"),
    "prefix": ("gid://shopify/Product/77", "77", "But for what stands before their last part, 1 of the unknown ids"),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_ids_that_events_and_catalogue_write_in_two_ways_stop_the_night(
    spark: SparkSession, catalogue_shop: Shop, way: str
) -> None:
    of_events, of_catalogue, hint = WRITTEN[way]
    events, items = events_and_items(spark, {of_events: 11, "both": 9}, ["both", of_catalogue])
    with pytest.raises(NightError) as error:
        require_known_items(catalogue_shop, DS, events, items)
    message = str(error.value)
    assert "corner drop of 2024-03-10: 11 of 20 events are of items that no items file ever named" in message
    assert f"{hint}" in message
    assert f"events say {of_events!r}, the catalogue {of_catalogue!r}." in message
    assert "max_unknown_item_share=0.5" in message


def test_ids_that_have_nothing_in_common_are_shown(spark: SparkSession, catalogue_shop: Shop) -> None:
    events, items = events_and_items(spark, {"lamp": 12, "rug": 13, "vase": 1}, ["4711", "4712"])
    with pytest.raises(
        NightError, match=r"events say 'rug', 'lamp', 'vase', the catalogue '4711', '4712'. This is above"
    ):
        require_known_items(catalogue_shop, DS, events, items)


def test_some_unknown_items_are_warned_of_and_a_few_are_usual(
    spark: SparkSession, catalogue_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="jobs.raw.catalogue_limits")
    require_known_items(catalogue_shop, DS, *events_and_items(spark, {"new": 2, "old": 38}, ["old"]))
    assert caplog.messages == []
    require_known_items(catalogue_shop, DS, *events_and_items(spark, {"new": 3, "old": 37}, ["old"]))
    (warning,) = caplog.messages
    assert warning.startswith("corner drop of 2024-03-10: 3 of 40 events are of items that no items file ever named")


def test_nothing_is_asked_where_events_may_tell_of_items_or_are_few(spark: SparkSession, catalogue_shop: Shop) -> None:
    unknown = events_and_items(spark, {"new": 40}, ["old"])
    require_known_items(replace(catalogue_shop, items=None), DS, *unknown)
    from_events = replace(catalogue_shop, items_file="changes", items_from_events={"title": "name"})
    require_known_items(from_events, DS, *unknown)
    require_known_items(catalogue_shop, DS, *events_and_items(spark, {"new": 19}, ["old"]))
    require_known_items(replace(catalogue_shop, drops=replace(Drops(), max_unknown_item_share=1.0)), DS, *unknown)
