"""What files and events say of items: availability in the shop's own words, one path of categories, one currency."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from jobs.raw.dropped_files import dropped_file
from jobs.raw.events import validated_events
from jobs.raw.ingest_plan import required_columns
from jobs.raw.item_user_updates import items_from_events, validated_items
from jobs.raw.raw_rows import read_raw_rows
from tests.worlds.raw_drops import write_drop

DS = "2024-03-10"
COLUMNS = {"item_id": "id", "category": "path", "price": "cost", "is_available": "stock"}
GROUPS = {"item_group_id": "currency"}


def as_csv(*rows: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def items_said(
    spark: SparkSession, shop: Shop, folder: Path, rows: Sequence[tuple[str, ...]], **keys: Any
) -> list[Row]:
    """Returns what a file of id, path, cost, stock and currency says, in its order; `keys` are of `[items]`."""
    raw = RawFile("{ds}.csv", columns={**COLUMNS, **keys.pop("more_columns", {})}, **keys)
    text = as_csv(("id", "path", "cost", "stock", "currency"), *rows)
    path = write_drop(str(folder), f"{DS}.csv", text)
    found = read_raw_rows(spark, raw, [dropped_file("items", DS, str(path))], raw.raw_columns)
    return validated_items(found, shop, raw).orderBy("line").collect()


def test_a_shop_says_what_its_words_of_availability_mean(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    """Its own words stand before what they mean elsewhere; all others mean what they mean by themselves."""
    said = {"ja": True, "auf Anfrage": True, "vergriffen": False, "1": False, "3": True, "in stock": True, "nein": None}
    words = {"ja": True, "auf Anfrage": True, "vergriffen": False, "1": False}
    rows = [(f"i{place}", "", "", word, "") for place, word in enumerate(said)]
    found = items_said(spark, shop, tmp_path, rows, is_available_words=words)
    assert [row["reason"] for row in found] == [None] * 6 + ["unknown_is_available"]
    assert [row["is_available"] for row in found][:6] == list(said.values())[:6]


ONE_CATEGORY = {
    "Clothing > Tshirts, Clothing > Sale": ["Clothing", "Tshirts"],
    "Clothing, Clothing > Shoes, Clothing > Sale": ["Clothing", "Shoes"],
    "Home > Shirts, Tops > Blouses": ["Home", "Shirts, Tops", "Blouses"],
    "Cups, Mugs": ["Cups, Mugs"],
    r"Pots\, Pans > Small, Pots\, Pans > Large > Round": ["Pots, Pans", "Large", "Round"],
    '[["Clothing", "Sale"], ["Clothing", " Shoes ", "Boots"]]': ["Clothing", "Shoes", "Boots"],
    '["Clothing", "Shoes, Boots"]': ["Clothing", "Shoes, Boots"],
    "[Sale] Shoes > Boots": ["[Sale] Shoes", "Boots"],
    "": [],
}
SEVERAL_CATEGORIES = {
    "Default Category/Sale,Default Category/Men/Tops,Default Category/Men/Shirts": ["Default Category", "Men", "Tops"],
    "Sale, Clothing/Shoes, Toys/Cars": ["Clothing", "Shoes"],
    r"Cups\, Mugs, Sale": ["Cups, Mugs"],
    '["Sale", "Clothing/Shoes, Boots"]': ["Clothing", "Shoes, Boots"],
    '[["Sale"], ["Clothing", "Shoes"]]': ["Clothing", "Shoes"],
    ",": [],
}


@pytest.mark.parametrize(
    ("told", "keys"),
    [(ONE_CATEGORY, {}), (SEVERAL_CATEGORIES, {"separator": "/", "paths_separator": ","})],
    ids=["one path a cell", "several paths a cell"],
)
def test_of_several_category_paths_in_a_cell_the_deepest_counts_and_of_these_the_first(
    spark: SparkSession, shop: Shop, tmp_path: Path, told: dict[str, list[str]], keys: dict[str, str]
) -> None:
    rows = [(f"i{place}", cell, "", "", "") for place, cell in enumerate(told)]
    found = items_said(spark, shop, tmp_path, rows, **keys)
    assert {cell: row["category"] for cell, row in zip(told, found, strict=True)} == told


PRICES: dict[tuple[str, str], tuple[float | None, list[str] | None]] = {
    ("10", "EUR"): (10.0, None),
    ("10", "USD"): (9.0, None),
    ("200 000 000", "JPY"): (1_000_000.0, None),
    ("10", "GBP"): (None, ["unknown_currency"]),
    ("10", ""): (None, ["unknown_currency"]),
    ("", ""): (None, None),
    ("on request", "GBP"): (None, ["unreadable_price"]),
    ("-1", "USD"): (None, ["negative_price"]),
}
RATES = {"EUR": 1.0, "USD": 0.9, "JPY": 0.005}


def test_prices_in_other_currencies_are_in_that_of_the_shop(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    """A price in a currency without a rate is unknown, and its item stays."""
    rows = [(f"i{place}", "", price, "", currency) for place, (price, currency) in enumerate(PRICES)]
    found = items_said(spark, shop, tmp_path, rows, currency_column="currency", rates=RATES)
    assert {key: (row["price"], row["odd"]) for key, row in zip(PRICES, found, strict=True)} == PRICES
    assert {row["reason"] for row in found} == {None}


def test_an_item_may_name_the_group_of_its_variants(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    """An id as others are: of a table of floats it loses `.0`."""
    rows = [("a", "", "", "", "12345678.0"), ("b", "", "", "", "1.2345678E7"), ("c", "", "", "", "NULL")]
    found = items_said(spark, shop, tmp_path, rows, more_columns=GROUPS)
    assert [row["item_group_id"] for row in found] == ["12345678", "12345678", None]


def test_events_tell_of_items_in_one_currency_and_one_path(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    columns = {"event_time": "time", "user_id": "who", "item_id": "what", "price": "cost"}
    constants = {"event_type": "view"}
    raw = RawFile("{ds}.csv", columns=columns, constants=constants, currency_column="currency", rates=RATES)
    told = {"price": "list_price", "category": "path", "item_group_id": "who"}
    shop = replace(shop, events=raw, items_from_events=told)
    paths = "Toys > Cars, Toys > Sale"
    rows = [("a", "10", "100", paths, "USD"), ("b", "10", "100", "", "GBP"), ("c", "", "50", "", "EUR")]
    lines = [(f"{DS} 10:00:00", "ann", item, *cells) for item, *cells in rows]
    text = as_csv(("time", "who", "what", "cost", "list_price", "path", "currency"), *lines)
    path = write_drop(str(tmp_path), f"{DS}.csv", text)
    found = read_raw_rows(spark, raw, [dropped_file("events", DS, str(path))], required_columns(shop)["events"])
    events = validated_events({"events": found}, shop, tasks_per_day=2).orderBy("line")
    assert [(row["price"], row["odd"]) for row in events.collect()] == [
        (9.0, None),
        (None, ["unknown_currency"]),
        (None, None),
    ]
    of_items = items_from_events(events, shop).collect()
    assert {row["item_group_id"] for row in of_items} == {"ann"}
    items = {row["item_id"]: (row["price"], row["category"]) for row in of_items}
    assert items == {"a": (90.0, ["Toys", "Cars"]), "b": (None, []), "c": (50.0, [])}
    alone = replace(shop, events=replace(raw, columns={k: v for k, v in columns.items() if k != "price"}))
    assert [
        row["odd"] for row in validated_events({"events": found}, alone, tasks_per_day=2).orderBy("line").collect()
    ] == [
        None,
        ["unknown_currency"],
        None,
    ]
