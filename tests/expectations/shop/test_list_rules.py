"""`[rules]` of a shop file: what it refuses, and what it says of single items."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.semantics.item_eligibility.in_python import capped_category, is_refused, item_group
from expectations.semantics.item_eligibility.in_spark import (
    allowed_items,
    boost_factor,
    caps_of,
    category_path,
    is_new,
    refusals,
    refused_by,
    unknown_names,
)
from expectations.shop.list_rules import Boost, ListRules
from expectations.shop.shop import load_shop
from expectations.shop.toml_settings import SettingsError
from tests.expectations.shop.test_shop import GOOD

V = 'version = "1"\n'


def shop_file(folder: Path, rules: str) -> str:
    path = folder / "corner.toml"
    path.write_text(f"{GOOD}\n[rules]\n{rules}\n", "utf-8")
    return str(path)


def test_a_shop_without_rules_declares_none(tmp_path: Path) -> None:
    rules = load_shop(shop_file(tmp_path, "")).rules
    assert (rules.declared, rules.choose_lists, rules.num_new(10)) == ({}, False, 0)


def test_what_is_declared_is_told_as_it_stands(tmp_path: Path) -> None:
    text = f'{V}diversity = 0.3\nexclude_brands = ["x"]\n[[rules.boosts]]\nbrand = "y"\nfactor = 2'
    rules = load_shop(shop_file(tmp_path, text)).rules
    boost = {"factor": 2.0, "category": None, "brand": "y", "items": None, "is_new": None}
    assert rules.declared == {"exclude_brands": ("x",), "diversity": 0.3, "boosts": ({**boost},)}
    assert rules.choose_lists


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("diversity = 0.3", "`rules.version` must name these rules"),
        (f"{V}diversty = 0.3", "unknown key 'diversty'. Did you mean 'diversity'?"),
        (f"{V}diversity = 1.5", "`rules.diversity` must lie between 0 and 1. Received: 1.5"),
        (f"{V}min_new_item_share = -0.1", "`rules.min_new_item_share` must lie between 0 and 1"),
        (f"{V}min_new_item_share = 0.1", "`rules.new_item_days` must say how long an item is new"),
        (f"{V}max_per_brand = -1", "`rules.max_per_brand` must be 0 or more. Received: -1"),
        (f"{V}min_price = 9\nmax_price = 3", "Received: min_price=9.0, max_price=3.0"),
        (f'{V}exclude_items = ["a", " "]', "`exclude_items` must name something in each place"),
        (f'{V}exclude_brands = "x"', "exclude_brands must be a list. Received: 'x'"),
        (f"{V}boosts = [{{factor = 2}}]", "exactly one of category, brand, items, is_new. Received: []"),
        (f'{V}boosts = [{{factor = 2, brand = "x", category = "y"}}]', "Received: ['category', 'brand']"),
        (f'{V}boosts = [{{factor = 0, brand = "x"}}]', "`factor` must be above 0"),
        (f"{V}boosts = [{{factor = 2, is_new = false}}]", "`is_new` can only be true"),
        (f"{V}boosts = [{{factor = 2, is_new = true}}]", "`rules.new_item_days` must say how long an item is new"),
    ],
)
def test_rules_that_cannot_be_are_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_shop(shop_file(tmp_path, text))
    assert told in str(caught.value)


@pytest.mark.parametrize(("share", "top_k", "num"), [(0.1, 10, 1), (0.3, 10, 3), (0.11, 10, 2), (1.0, 3, 3), (0, 9, 0)])
def test_a_share_of_a_list_is_so_many_whole_items(share: float, top_k: int, num: int) -> None:
    assert ListRules(version="1", new_item_days=7, min_new_item_share=share).num_new(top_k) == num


ITEMS = [
    ("lamp", ["Home", "Light"], "glow", 20.0, True, "2024-01-01"),
    ("lightning", ["Home", "Lightning"], None, 5.0, True, "2024-03-04"),
    ("sold", ["Home", "Light", "Desk"], "glow", 9.0, False, "2024-03-03"),
    ("odd", [], "clay", None, True, "2024-03-10"),
]
DDL = "item_id string, category array<string>, brand string, price double, is_available boolean, first_seen string"
DS = "2024-03-10"


def test_items_meet_rules_one_after_the_other(spark: SparkSession) -> None:
    items = spark.createDataFrame(ITEMS, DDL)
    rules = ListRules(
        version="1",
        exclude_items=("lightning",),
        exclude_categories=("Home > Light",),
        exclude_brands=("glow",),
        min_price=20.0,
        new_item_days=7,
        boosts=(
            Boost(2.0, category="Home"),
            Boost(3.0, is_new=True),
            Boost(0.5, brand="glow"),
            Boost(5, items=("odd",)),
        ),
    )
    rows = items.select(
        refused_by(rules).alias("refused_by"),
        is_new(rules, DS).alias("is_new"),
        boost_factor(rules, DS).alias("boost"),
        category_path(1).alias("top"),
        category_path().alias("path"),
    ).collect()
    assert [tuple(row) for row in rows] == [
        ("exclude_categories", False, 1.0, "Home", "Home > Light"),
        ("exclude_items", True, 6.0, "Home", "Home > Lightning"),
        ("availability", False, 1.0, "Home", "Home > Light > Desk"),
        # What has no price keeps no bound.
        ("min_price", True, 15.0, None, None),
    ]
    assert [row["item_id"] for row in allowed_items(items, ListRules()).collect()] == ["lamp", "lightning", "odd"]
    assert list(refusals(ListRules())) == ["availability"]


@pytest.mark.parametrize(
    "rules",
    [
        ListRules(),
        ListRules(version="1", exclude_items=("lightning",)),
        ListRules(version="1", exclude_categories=("Home > Light",)),
        ListRules(version="1", exclude_categories=("Home", "Garden")),
        ListRules(version="1", exclude_brands=("glow",)),
        ListRules(version="1", min_price=20.0),
        ListRules(version="1", max_price=25.0),
        ListRules(version="1", min_price=0.0, max_price=1e9),
    ],
)
def test_python_and_spark_refuse_the_same_items(spark: SparkSession, rules: ListRules) -> None:
    items = spark.createDataFrame(ITEMS, DDL)
    refused = {row["item_id"] for row in items.where(refused_by(rules).isNotNull()).collect()}
    asked = [row.asDict() for row in items.collect()]
    assert {row["item_id"] for row in asked if not row["is_available"] or is_refused(row, rules)} == refused


def test_variants_share_an_id_or_where_a_shop_says_so_a_title_and_a_brand() -> None:
    milk = {"item_group_id": None, "title": "Fresh  Milk", "brand": "Alp"}
    rules = ListRules(version="1", group_equal_titles=True)
    assert item_group({**milk, "item_group_id": "7"}, rules) == item_group({**milk, "item_group_id": "7"}, ListRules())
    assert item_group(milk, ListRules()) is None
    assert item_group(milk, rules) == item_group({**milk, "title": " FRESH\u00a0milk"}, rules) is not None
    assert item_group(milk, rules) != item_group({**milk, "brand": None}, rules)
    assert item_group({**milk, "title": " "}, rules) is None


@pytest.mark.parametrize("level", [0, 1, 2])
def test_python_and_spark_count_the_same_categories(spark: SparkSession, level: int) -> None:
    rules = ListRules(version="1", max_per_category=1, category_level=level)
    items = spark.createDataFrame(ITEMS, DDL)
    rows = items.select("category", caps_of(rules)["max_per_category"][1].alias("counted")).collect()
    assert [capped_category(row["category"], rules) for row in rows] == [row["counted"] for row in rows]
    assert len({row["counted"] for row in rows}) > 1


def test_names_that_mean_nothing_are_found(spark: SparkSession) -> None:
    rules = ListRules(
        version="1",
        exclude_items=("gone", "lamp"),
        exclude_categories=("Home", "Home>Light"),
        exclude_brands=("clay",),
        boosts=(Boost(2.0, category="Home > Light > Desk"), Boost(2.0, brand="none"), Boost(2.0, items=("gone", "x"))),
    )
    items = spark.createDataFrame(ITEMS, DDL)
    assert unknown_names(items, rules) == {"items": ["gone", "x"], "categories": ["Home>Light"], "brands": ["none"]}
    assert unknown_names(items, ListRules()) == {}
