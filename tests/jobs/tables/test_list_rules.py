"""What the shop's rules do to the lists of a night small enough to check by hand, and what is told of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from expectations.checks.partitions import Partitions
from expectations.checks.suite_runner import quiet_context, run_table
from expectations.runtime.lake import parquet_dataset
from expectations.runtime.program import Night
from expectations.semantics.published_tables import output_tables
from expectations.shop.list_rules import Boost, ListRules
from expectations.tables import HISTORIES, ITEM_FEATURES, ITEMS, RUN_MANIFEST, USER_RECOMMENDATIONS, NightError
from expectations.validate import expectations_of
from jobs.build_tables import build_tables
from jobs.lists.rule_counts import RuleCounts
from jobs.publish_tables import publish_tables
from jobs.tables import staging as module
from jobs.tables.table_inputs import table_inputs
from jobs.tables.user_recommendations import user_recommendations
from tests.worlds.small_night import (
    BELL,
    BOB,
    CID,
    CLOCK,
    LANTERN,
    MUG,
    SOLD_OUT,
    SPOON,
    new_night,
    write_gate,
    write_lists,
    write_met,
    write_rows,
    write_small_night,
)

# category, brand, price, first_seen, and the indices of the category
GOODS: dict[int, tuple[list[str], str | None, float | None, str, list[int]]] = {
    LANTERN: (["Home", "Light"], "glow", 20.0, "2024-01-01", [2, 3]),
    MUG: (["Home", "Kitchen"], "clay", 5.0, "2024-01-01", [2, 4]),
    SPOON: (["Home", "Kitchen"], "steel", 2.0, "2024-01-01", [2, 4]),
    CLOCK: (["Home", "Kitchen"], "glow", 30.0, "2024-01-01", [2, 4]),
    BELL: (["Garden"], None, None, "2024-03-05", [5]),
    SOLD_OUT: (["Home", "Light"], "glow", 9.0, "2024-03-05", [2, 3]),
}
NUM_FILES = 3
LISTS = [USER_RECOMMENDATIONS.name]
"""One a user, where a file holds so few rows."""
Lists = dict[str, list[tuple[str, float]]]


def write_goods(night: Night) -> None:
    """The small night, whose items have a category, a brand, a price and an age."""
    write_small_night(night)
    rows = [
        {
            "item_id": f"item-{index}",
            "category": category,
            "brand": brand,
            "price": price,
            "first_seen": first_seen,
            "is_available": index != SOLD_OUT,
        }
        for index, (category, brand, price, first_seen, _) in GOODS.items()
    ]
    write_rows(night, ITEMS, rows)
    features = [{"item_index": index, "category_indices": of_item[-1]} for index, of_item in GOODS.items()]
    write_rows(night, ITEM_FEATURES, features)
    write_rows(night, HISTORIES, [])


@pytest.fixture(scope="module")
def goods(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Tests only look at it."""
    night = new_night(tmp_path_factory.mktemp("goods"))
    write_goods(night)
    return night


@pytest.fixture
def own_night(night: Night) -> Night:
    write_goods(night)
    return night


def with_rules(night: Night, rules: dict[str, Any], **shop: Any) -> Night:
    return replace(night, shop=replace(night.shop, rules=ListRules(version="v1", **rules), **shop))


def built(spark: SparkSession, night: Night) -> tuple[Lists, dict[str, int]]:
    """The lists of all users, and what was counted; zeros are left out."""
    counts = RuleCounts()
    rows = user_recommendations(spark, table_inputs(night.lake, night.ds, night.shop), night.shop, counts)
    lists: Lists = {}
    for row in sorted(rows.collect(), key=lambda row: (row["user_id"], row["rank"])):
        lists.setdefault(row["user_id"], []).append((row["item_id"], row["score"]))
    return lists, {name: count for name, count in counts.get().items() if count}


def items_of(lists: Lists) -> dict[str, list[str]]:
    return {user: [item for item, _ in rows] for user, rows in lists.items()}


@pytest.mark.parametrize(
    ("rules", "left_out", "taken_out"),
    [
        ({"exclude_items": ("item-4",)}, {"item-4"}, {"exclude_items": 1}),
        ({"exclude_categories": ("Home > Light",)}, {"item-2"}, {"exclude_categories": 1}),
        ({"exclude_brands": ("glow",)}, {"item-2", "item-5"}, {"exclude_brands": 3}),
        # The bell has no price, and so cannot be said to keep a bound.
        ({"min_price": 5.0}, {"item-4", "item-6"}, {"min_price": 3}),
        ({"max_price": 20.0}, {"item-5", "item-6"}, {"max_price": 4}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_rule_leaves_out_is_neither_proposed_nor_filled_in(
    spark: SparkSession, goods: Night, rules: dict[str, Any], left_out: set[str], taken_out: dict[str, int]
) -> None:
    lists, counts = built(spark, with_rules(goods, rules))
    listed = {item for items in items_of(lists).values() for item in items}
    assert [len(items) for items in lists.values()] == [3, 3, 3]
    assert listed & left_out == set()
    assert {name: counts[name] for name in ("proposed", "availability", *taken_out)} == {
        "proposed": 7,
        "availability": 1,
        **taken_out,
    }


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            {"exclude_categories": ("Home > Kitchen",), "max_price": 20.0},
            r"5 available, of which the shop's rules leave 1: exclude_categories takes out 3, max_price takes out 1\.",
        ),
        ({"max_per_category": 1, "category_level": 1}, r"max_per_category=1 .* a list can hold 2\. Raise these caps"),
    ],
)
def test_rules_that_leave_fewer_than_k_items_are_named(
    spark: SparkSession, goods: Night, rules: dict[str, Any], told: str
) -> None:
    with pytest.raises(NightError, match=told):
        built(spark, with_rules(goods, rules))


def test_a_cap_counts_fillers_too(spark: SparkSession, goods: Night) -> None:
    lists, counts = built(spark, with_rules(goods, {"max_per_brand": 1}))
    assert items_of(lists) == {
        "user-2": ["item-4", "item-2", "item-6"],  # not the clock, which is of the lantern's brand
        "user-3": ["item-5", "item-6", "item-3"],  # not the lantern, which is in demand
        "user-4": ["item-2", "item-3", "item-4"],
    }
    assert (counts["caps"], counts["filled"]) == (1, 4)


def test_a_list_holds_one_variant_of_an_item(spark: SparkSession, own_night: Night) -> None:
    """Without a word in the shop file; the next best takes the place of another."""
    free, _ = built(spark, own_night)
    rows = own_night.lake.read(ITEMS, own_night.ds).to_pylist()
    variants = {f"item-{index}" for index in (LANTERN, CLOCK, SOLD_OUT)}
    groups = [{**row, "item_group_id": "glowing" if row["item_id"] in variants else None} for row in rows]
    write_rows(own_night, ITEMS, groups)
    lists, counts = built(spark, own_night)
    assert items_of(lists) == {
        "user-2": ["item-4", "item-2", "item-6"],  # not the clock
        "user-3": ["item-5", "item-6", "item-3"],  # not the lantern, which is in demand
        "user-4": ["item-2", "item-3", "item-4"],
    }
    assert (counts["caps"], counts["filled"]) == (1, 4)
    unbound, _ = built(spark, with_rules(own_night, {"max_per_group": 0}))
    assert unbound == free


def test_a_cap_gives_way_only_to_who_bought_what_fits(spark: SparkSession, own_night: Night) -> None:
    write_met(own_night, [(BOB, BELL, 1), (CID, MUG, 0)])
    lists, counts = built(spark, with_rules(own_night, {"max_per_category": 1}, repeats="never"))
    # Of three categories, two are left to Bob: the third item is of one of these again.
    assert items_of(lists)["user-3"] == ["item-5", "item-2", "item-3"]
    assert items_of(lists)["user-4"] == ["item-2", "item-3", "item-6"]
    assert counts["caps_lifted"] == 1


def test_lists_hold_their_share_of_new_items(spark: SparkSession, goods: Night) -> None:
    lists, counts = built(spark, with_rules(goods, {"new_item_days": 7, "min_new_item_share": 0.3}))
    assert items_of(lists) == {
        "user-2": ["item-4", "item-2", "item-6"],  # the best new candidate is pulled up
        "user-3": ["item-5", "item-6", "item-2"],  # had one
        "user-4": ["item-2", "item-3", "item-6"],  # a new filler comes last
    }
    assert counts["new_items"] == 2


def test_more_new_items_than_there_are_cannot_be_listed(spark: SparkSession, goods: Night) -> None:
    lists, _ = built(spark, with_rules(goods, {"new_item_days": 7, "min_new_item_share": 1.0}))
    assert items_of(lists)["user-4"] == ["item-2", "item-3", "item-6"]


def test_a_row_that_a_boost_lifts_carries_the_best_score_below_it(spark: SparkSession, goods: Night) -> None:
    lists, counts = built(spark, with_rules(goods, {"boosts": (Boost(2.0, brand="glow"),)}))
    assert lists["user-2"] == [("item-2", 0.8), ("item-4", 0.8), ("item-5", 0.6)]
    assert counts["moved"] == 2


def test_variety_chooses_among_all_candidates(spark: SparkSession, goods: Night) -> None:
    lists, counts = built(spark, with_rules(goods, {"diversity": 0.9}))
    assert lists["user-2"] == [("item-4", 0.8), ("item-6", 0.7), ("item-2", 0.7)]
    assert counts["diversity"] == 1


def test_the_dial_at_0_changes_nothing(spark: SparkSession, goods: Night) -> None:
    without, _ = built(spark, goods)
    # A boost of an item that nobody is shown makes lists go through all that rules do.
    assert built(spark, with_rules(goods, {"boosts": (Boost(2.0, items=("item-7",)),)}))[0] == without


def test_what_comes_back_against_the_policy_is_counted(spark: SparkSession, goods: Night) -> None:
    _, counts = built(spark, replace(goods, shop=replace(goods.shop, repeats="never")))
    assert counts["repeats"] == 1
    _, counts = built(spark, replace(goods, shop=replace(goods.shop, max_repeat_share=0.0)))
    assert counts["max_repeat_share"] == 1


def test_counts_are_zero_where_no_model_proposed_anything(spark: SparkSession, own_night: Night) -> None:
    write_lists(own_night, "two_tower", [])
    write_gate(own_night)
    lists, counts = built(spark, with_rules(own_night, {"max_per_brand": 2, "diversity": 0.5}))
    assert items_of(lists)["user-2"] == ["item-2", "item-3", "item-4"]
    assert counts == {"filled": 9}


RULES: dict[str, Any] = {
    "exclude_brands": ("steel", "nobody's"),
    "exclude_items": ("gone",),
    "max_per_category": 1,
    "new_item_days": 7,
    "min_new_item_share": 0.2,
    "diversity": 0.3,
    "boosts": (Boost(1.5, category="Home > Light"), Boost(2.0, is_new=True)),
}


def test_finished_lists_keep_what_is_asked_of_the_table(
    spark: SparkSession, own_night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    night = with_rules(own_night, RULES)
    with caplog.at_level(logging.WARNING):
        build_tables(spark, night, LISTS)
    assert "rules name unknown brands: count=1 such as nobody's" in caplog.text
    partitions = Partitions(spark, night.lake)
    run = run_table(quiet_context(), expectations_of(night, partitions, USER_RECOMMENDATIONS, night.ds))
    assert run.failures == ()
    asked = {str(result.expectation_config.kwargs.get("column")) for result in run.results if result.expectation_config}
    assert {"exclude_brands_is_kept", "exclude_items_is_kept", "max_per_category_is_kept"} < asked
    assert "min_new_item_share_is_kept" in asked


def test_the_manifest_records_the_rules_and_what_they_did(spark: SparkSession, own_night: Night) -> None:
    night, versions = with_rules(own_night, RULES), []
    for run_id in ("first", "again"):
        build_tables(spark, replace(night, run_id=run_id))
        for table in output_tables(night.lake, night.ds):
            night.lake.note_validated(table, night.ds, night.lake.require(table, night.ds))
        publish_tables(replace(night, run_id=run_id))
        published = DeltaTable(night.lake.table_path(RUN_MANIFEST))
        versions.append(published.version())
    assert versions[0] == versions[1]
    rows = {row["table_name"]: row for row in published.to_pyarrow_table().to_pylist()}
    assert rows["user_recommendations"]["run_id"] == "first"
    rules = json.loads(rows["user_recommendations"]["metrics"])["rules"]
    assert (rules["version"], rules["declared"]["max_per_category"], rules["unknown"]) == (
        "v1",
        1,
        {"brands": 1, "items": 1},
    )
    assert (rules["counts"]["proposed"], rules["counts"]["exclude_brands"]) == (7, 1)


def test_nothing_is_counted_twice_where_rows_are_looked_at_twice(
    spark: SparkSession, own_night: Night, monkeypatch: pytest.MonkeyPatch, other_code: Callable[[str], None]
) -> None:
    night = with_rules(own_night, RULES)
    build_tables(spark, night, LISTS)
    counts = own_night.lake.require(USER_RECOMMENDATIONS, own_night.ds).metadata["rules"]["counts"]
    # A file a row: Spark first takes a sample of all rows, to find where each file begins.
    monkeypatch.setattr(module, "ROWS_PER_FILE", 1)
    for is_adaptive in ("false", "true"):
        spark.conf.set("spark.sql.adaptive.enabled", is_adaptive)
        try:
            other_code(f"is_adaptive={is_adaptive}")
            build_tables(spark, night, LISTS)
        finally:
            spark.conf.set("spark.sql.adaptive.enabled", "false")
        version = own_night.lake.require(USER_RECOMMENDATIONS, own_night.ds)
        assert (len(parquet_dataset(version.path).files), version.metadata["rules"]["counts"]) == (NUM_FILES, counts)


def test_other_rules_are_another_table(spark: SparkSession, own_night: Night) -> None:
    first = with_rules(own_night, {"max_per_brand": 1})
    build_tables(spark, first, LISTS)
    before = own_night.lake.require(USER_RECOMMENDATIONS, own_night.ds)
    build_tables(spark, with_rules(own_night, {"max_per_brand": 2}), LISTS)
    assert own_night.lake.require(USER_RECOMMENDATIONS, own_night.ds) != before
