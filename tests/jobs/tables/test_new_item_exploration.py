"""New items in the lists of those who may want them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from expectations.runtime.program import Night
from expectations.shop.list_rules import ListRules
from expectations.shop.table_settings import NewItems
from expectations.tables import ITEMS, USER_RECOMMENDATIONS
from jobs.build_tables import build_tables
from jobs.tables.new_item_exploration import num_explored, with_new_items, within_caps
from tests.worlds.small_night import CLOCK, write_rows, write_small_night

LIST_DDL = (
    "user_id string, rank int, item_id string, score double, source string, reason_code string, reason string, "
    "because_item_ids array<string>, is_fallback boolean, propensity double"
)
AUDIENCE_DDL = (
    "item_id string, rank int, user_id string, score double, source string, reason_code string, reason string, "
    "because_item_id string, is_fallback boolean"
)


def lists(spark: SparkSession, **users: list[str]) -> DataFrame:
    rows: list[tuple[Any, ...]] = [
        (user, rank, item, 1.0 - rank / 10, "two_tower", "picked_for_you", "Picked for you", [], False, 0.5)
        for user, items in users.items()
        for rank, item in enumerate(items, start=1)
    ]
    return spark.createDataFrame(rows, LIST_DDL)


def audiences(spark: SparkSession, *wanted: tuple[str, str, float]) -> DataFrame:
    """From (item, user, score)."""
    rows = [(item, 1, user, score, "item_features", "r", "R", "old", False) for item, user, score in wanted]
    return spark.createDataFrame(rows, AUDIENCE_DDL)


def shown(rows: DataFrame) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows.orderBy("user_id", "rank").collect():
        found.setdefault(row.user_id, []).append((row["rank"], row.item_id, round(row.score, 6)))
    return found


def test_the_end_of_a_list_goes_to_the_new_items_that_its_user_may_want_most(spark: SparkSession) -> None:
    before = lists(spark, ann=["a", "b", "c", "d"], bob=["a", "b", "c", "d"], cid=["a", "b", "c", "new"])
    wanted = audiences(
        spark,
        ("new", "ann", 0.5),
        ("newer", "ann", 0.9),
        ("newest", "ann", 0.1),
        ("new", "cid", 1.0),
        ("new", "dan", 1.0),
    )
    assert shown(with_new_items(before, wanted, num_places=2)) == {
        "ann": [(1, "a", 0.9), (2, "b", 0.8), (3, "newer", 0.799999), (4, "new", 0.799998)],
        "bob": [(1, "a", 0.9), (2, "b", 0.8), (3, "c", 0.7), (4, "d", 0.6)],
        "cid": [(1, "a", 0.9), (2, "b", 0.8), (3, "c", 0.7), (4, "new", 0.6)],
    }


def test_no_cap_is_broken_by_what_is_new(spark: SparkSession) -> None:
    """a, b, new and newest are of one category, of which a list holds two."""
    before = lists(spark, ann=["a", "b", "c"], bob=["a", "c", "b"], cid=["c", "d", "a"], dan=["c", "d", "e"])
    wanted = audiences(
        spark,
        *(
            (item, user, score)
            for user in ("ann", "bob", "cid", "dan")
            for item, score in (("new", 0.5), ("newest", 0.1))
        ),
    )
    kinds = {"a": "x", "b": "x", "new": "x", "newest": "x", "c": "y", "d": None, "e": None}
    items = spark.createDataFrame(
        [(item, [kind] if kind else [], None) for item, kind in kinds.items()],
        "item_id string, category array<string>, item_group_id string",
    )
    rules = ListRules(version="1", max_per_category=2)
    left = within_caps(wanted, before, items, rules)
    assert sorted((row.user_id, row.item_id) for row in left.collect()) == [
        ("bob", "new"),  # in place of b
        ("cid", "new"),
        ("cid", "newest"),
        ("dan", "new"),
        ("dan", "newest"),
    ]
    assert {user: rows[-1][1] for user, rows in shown(with_new_items(before, left, 1)).items()} == {
        "ann": "c",
        "bob": "new",
        "cid": "new",
        "dan": "new",
    }


@pytest.mark.parametrize(("share", "places"), [(0.0, 0), (0.3, 0), (0.34, 1), (0.5, 1)])
def test_a_share_is_rounded_down_to_whole_places(night: Night, share: float, places: int) -> None:
    shop = replace(night.shop, top_k=3, new_items=NewItems(exploration_share=share))
    assert num_explored(shop) == places


def test_a_night_explores_where_its_shop_says_so(spark: SparkSession, night: Night) -> None:
    write_small_night(night)
    items = night.lake.read(ITEMS, night.ds).to_pylist()
    new = f"item-{CLOCK}"
    first_seen = [{**row, "first_seen": "2024-03-09" if row["item_id"] == new else "2024-01-01"} for row in items]
    write_rows(night, ITEMS, first_seen)
    shop = replace(night.shop, top_k=2, new_items=NewItems(exploration_share=0.5))
    build_tables(spark, replace(night, shop=shop))
    rows = night.lake.read(USER_RECOMMENDATIONS, night.ds).to_pylist()
    (explored,) = [row for row in rows if row["source"] == "item_features"]
    told = ("user_id", "rank", "item_id", "model_version", "reason", "because_item_ids")
    assert [explored[name] for name in told] == [
        "user-2",
        2,
        new,
        "item_features-2024-03-10",
        "Because you bought WHITE METAL LANTERN",
        ["item-2"],
    ]
    assert {row["user_id"]: row["rank"] for row in rows} == {"user-2": 2, "user-3": 2, "user-4": 2}
