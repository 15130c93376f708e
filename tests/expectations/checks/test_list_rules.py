"""The shop's rules are asserted on the finished table: each names the rows that break it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.checks.partitions import Partitions
from expectations.checks.user_recommendations import user_recommendation_checks
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.list_rules import ListRules
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import ITEMS, USER_RECOMMENDATIONS
from tests.worlds.good_tables import DS, good_tables, write_good_night, write_rows

# Everybody has the items a, b, c; d is also sold. Ann bought a and b, Bob bought c, Cy nothing.
SHELVES: dict[str, dict[str, Any]] = {
    "a": {"category": ["Home", "Light"], "brand": "glow", "price": 1.0, "first_seen": "2024-03-05"},
    "b": {"category": ["Home", "Light"], "brand": "clay", "price": 2.0},
    "c": {"category": ["Home", "Desk"], "brand": "glow", "price": None},
    "d": {"category": [], "brand": None, "price": 3.0, "first_seen": "2024-03-05"},
}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    lake = Lake(str(tmp_path_factory.mktemp("root")))
    write_good_night(lake)
    write_rows(lake, ITEMS, [{**row, **SHELVES.get(row["item_id"], {})} for row in good_tables()["items"]])
    columns = {"event_time": "t", "user_id": "u", "item_id": "i"}
    events = RawFile(path="{data}/{ds}.csv", columns=columns, constants={"event_type": "purchase"})
    shop = Shop(name="corner", events=events, top_k=3, num_candidates=6)
    return Night(lake, "", shop, DS, "test", datetime(2024, 3, 11, 2, tzinfo=timezone.utc))


def broken(spark: SparkSession, night: Night, **rules: Any) -> dict[str, list[str]]:
    """Rule -> what it tells of the rows that break it; of the rules that the shop sets."""
    night = replace(night, shop=replace(night.shop, rules=ListRules(version="1", **rules)))
    told: dict[str, list[str]] = {}
    for check in user_recommendation_checks(Partitions(spark, night.lake), night.ds, night.shop):
        names = [row_check.name for row_check in check.row_checks if row_check.name.removesuffix("_is_kept") in rules]
        for row in check.checked_rows().select(*names).collect() if names else ():
            for name in names:
                told.setdefault(name, []).extend([row[name]] if row[name] else [])
    return {name: sorted(rows) for name, rows in told.items()}


def of_all(text: str) -> list[str]:
    return [f"user_id={user} {text}" for user in ("ann", "bob", "cy")]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"exclude_items": ("b", "d")}, of_all("item_id=b")),
        ({"exclude_categories": ("Home > Desk",)}, of_all("item_id=c")),
        ({"exclude_brands": ("clay",)}, of_all("item_id=b")),
        ({"min_price": 2.0}, sorted(of_all("item_id=a") + of_all("item_id=c"))),
        ({"max_price": 1.0}, sorted(of_all("item_id=b") + of_all("item_id=c"))),
        ({"max_per_category": 1}, of_all("max_per_category=Home > Light num_rows=2")),
        ({"max_per_category": 2, "category_level": 1}, of_all("max_per_category=Home num_rows=3")),
        ({"max_per_category": 2}, []),
        ({"max_per_brand": 1}, of_all("max_per_brand=glow num_rows=2")),
        ({"min_new_item_share": 0.5, "new_item_days": 7}, of_all("num_new=1")),
        ({"min_new_item_share": 0.3, "new_item_days": 7}, []),
        # a and d are all that the shop has; without d, one is enough
        ({"min_new_item_share": 1.0, "new_item_days": 7}, of_all("num_new=1")),
        ({"min_new_item_share": 1.0, "new_item_days": 7, "min_price": 1.0, "max_price": 2.0}, []),
    ],
    ids=str,
)
def test_a_list_that_breaks_a_rule_of_the_shop_is_named(
    spark: SparkSession, night: Night, rules: dict[str, Any], told: list[str]
) -> None:
    assert broken(spark, night, **rules)[f"{next(iter(rules))}_is_kept"] == told


def test_a_cap_may_give_way_in_fillers_of_who_bought_what_fits(spark: SparkSession, night: Night) -> None:
    rows = [{**row, "is_fallback": row["rank"] == 2} for row in good_tables()["user_recommendations"]]
    write_rows(night.lake, USER_RECOMMENDATIONS, rows)
    bounded = replace(night, shop=replace(night.shop, max_repeat_share=0.9))
    assert broken(spark, bounded, max_per_category=1)["max_per_category_is_kept"] == [
        "user_id=cy max_per_category=Home > Light num_rows=2"
    ]
    write_rows(night.lake, USER_RECOMMENDATIONS, good_tables()["user_recommendations"])


def test_new_items_that_a_user_bought_cannot_be_asked_for_again(spark: SparkSession, night: Night) -> None:
    bounded = replace(night, shop=replace(night.shop, max_repeat_share=0.9))
    told = broken(spark, bounded, min_new_item_share=0.5, new_item_days=7)["min_new_item_share_is_kept"]
    assert told == ["user_id=bob num_new=1", "user_id=cy num_new=1"]
