"""Each setting of a table changes its rows as it says, and the fingerprints of what it influences, of nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.days import end_of
from expectations.runtime.program import Night
from expectations.shop.shop import Shop
from expectations.shop.table_settings import NewUsers
from jobs.build_tables import plans
from jobs.tables.new_item_audiences import fans
from jobs.tables.new_user_recommendations import recent_wishes
from jobs.tables.similar_items import item_demand
from jobs.tables.table_inputs import table_inputs
from tests.worlds.small_night import ANN, BOB, LANTERN, MUG, write_small_night

DS = "2024-03-10"
USERS_TABLE, SIMILAR, NEW_USERS, NEW_ITEMS = (
    "user_recommendations",
    "similar_items",
    "new_user_recommendations",
    "new_item_audiences",
)


@pytest.mark.parametrize(
    ("table", "changes", "changed"),
    [
        ("similar_items", {"half_life_days": 29.0, "shrinkage": 3.0, "popularity_exponent": 0.4}, {SIMILAR}),
        (
            "new_users",
            {
                "min_people": 16,
                "window_days": 91,
                "half_life_days": 29.0,
                "first_days": 15,
                "later_weight": 0.2,
                "prior_demand": 99.0,
            },
            {NEW_USERS},
        ),
        ("new_items", {"num_alike": 299, "half_life_days": 364.0}, {USERS_TABLE, NEW_ITEMS}),
        ("", {"num_prior_gaps": 19}, {USERS_TABLE, "cross_domain_recommendations"}),
    ],
)
def test_fingerprints_change_with_the_settings_of_a_table(
    spark: SparkSession, night: Night, table: str, changes: dict[str, Any], changed: set[str]
) -> None:
    write_small_night(night)
    before = plan_settings(spark, night, night.shop)
    for name, value in changes.items():
        values = replace(getattr(night.shop, table), **{name: value}) if table else value
        after = plan_settings(spark, night, replace(night.shop, **{table or name: values}))
        assert {name for name in before if before[name] != after[name]} == changed, name


def plan_settings(spark: SparkSession, night: Night, shop: Shop) -> dict[str, Any]:
    inputs = table_inputs(night.lake, night.ds, shop)
    return {plan.table.name: list(plan.settings) for plan in plans(spark, inputs, shop, 1)}


def days_before_the_end(days: float) -> datetime:
    return end_of(DS).astimezone(timezone.utc) - timedelta(days=days)


def test_demand_and_likes_fade_by_half_in_the_shops_half_life(spark: SparkSession) -> None:
    rows = [(ANN, MUG, days_before_the_end(0), 1), (BOB, MUG, days_before_the_end(10), 0)]
    interactions = spark.createDataFrame(
        rows, "user_index int, item_index int, last_time timestamp, num_purchases int"
    ).cache()
    likes = spark.createDataFrame([(LANTERN, MUG, 1.0)], "item_index int, like_index int, likeness float")
    for half_life, of_bob in ((10.0, 1 / 2), (5.0, 1 / 4)):
        (demand,) = item_demand(interactions, end_of(DS), half_life).collect()
        assert (demand.num_users, demand.demand) == (2, pytest.approx(1 + of_bob))
        parts = {row.user_index: row.parts for row in fans(interactions, likes, end_of(DS), half_life).collect()}
        assert parts[BOB] / parts[ANN] == pytest.approx(of_bob)


def test_the_shop_says_which_wishes_count_and_how_much(spark: SparkSession) -> None:
    seconds = [int(days_before_the_end(days).timestamp()) for days in (30, 10)]
    histories = spark.createDataFrame(
        [(ANN, [MUG], [5], seconds[1:], [LANTERN], seconds[:1])],
        "user_index int, item_indices array<int>, event_type_indices array<int>, event_times array<bigint>, "
        "older_purchase_indices array<int>, older_purchase_times array<bigint>",
    ).cache()
    vocabularies = spark.createDataFrame([("event_type", "purchase", 5)], "field string, value string, index int")
    first_seen = days_before_the_end(30).date().isoformat()
    first_days = spark.createDataFrame([(ANN, first_seen)], "user_index int, first_seen string")

    def wishes(settings: NewUsers) -> dict[int, float]:
        rows = recent_wishes(histories, first_days, vocabularies, end_of(DS), ("purchase",), settings).collect()
        return {row.item_index: row.parts / 1e9 for row in rows}

    plain = NewUsers(half_life_days=10.0, later_weight=0.5)
    assert wishes(plain) == pytest.approx({LANTERN: 1 / 8, MUG: 1 / 4})
    assert wishes(replace(plain, first_days=21)) == pytest.approx({LANTERN: 1 / 8, MUG: 1 / 2})
    assert wishes(replace(plain, later_weight=0.25)) == pytest.approx({LANTERN: 1 / 8, MUG: 1 / 8})
    assert wishes(replace(plain, half_life_days=30.0))[LANTERN] == pytest.approx(1 / 2)
    assert wishes(replace(plain, window_days=20)) == pytest.approx({MUG: 1 / 4})
