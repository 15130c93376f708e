"""The published tables, from a night small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from expectations.program import Night
from expectations.tables import (
    ATTRIBUTIONS,
    CANDIDATES,
    ITEMS,
    SIMILAR_ITEMS,
    USER_RECOMMENDATIONS,
    USERS,
    NightError,
    Table,
)
from jobs.build_tables import build_tables
from jobs.build_user_recommendations import target_users
from tests.jobs.small_night import (
    ANN,
    CLOCK,
    LANTERN,
    MUG,
    SPOON,
    new_night,
    write_gate,
    write_lists,
    write_rows,
    write_small_night,
)


def staged(night: Night, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """The staged rows of a table in the order of its key."""
    rows = night.lake.read(table, night.ds).sort_by([(key, "ascending") for key in table.key[1:]]).to_pylist()
    return [tuple(row[column] for column in columns) for row in rows]


@pytest.fixture
def small_night(night: Night) -> Night:
    write_small_night(night)
    return night


@pytest.fixture(scope="module")
def built(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The small night with its tables staged; tests only look at it."""
    night = new_night(tmp_path_factory.mktemp("built"))
    write_small_night(night)
    build_tables(spark, night)
    return night


def test_lists_keep_the_rules_and_are_filled_to_k(built: Night) -> None:
    columns = ("user_id", "rank", "item_id", "score", "source", "is_fallback")
    assert staged(built, USER_RECOMMENDATIONS, *columns) == [
        ("user-2", 1, "item-4", 0.8, "two_tower", False),
        ("user-2", 2, "item-2", 0.7, "two_tower", False),
        ("user-2", 3, "item-5", 0.6, "two_tower", False),
        # Equal scores come in the order of the index.
        ("user-3", 1, "item-5", 0.5, "two_tower", False),
        ("user-3", 2, "item-6", 0.5, "two_tower", False),
        ("user-3", 3, "item-2", 0.499999, "recent_demand", True),
        # The model said nothing of Cid: all is demand, equal demand by index, without the sold-out best seller.
        ("user-4", 1, "item-2", -0.000001, "recent_demand", True),
        ("user-4", 2, "item-3", -0.000002, "recent_demand", True),
        ("user-4", 3, "item-4", -0.000003, "recent_demand", True),
    ]


def test_reasons_say_the_best_that_is_true(built: Night) -> None:
    rows = staged(built, USER_RECOMMENDATIONS, "user_id", "item_id", "reason_code", "reason", "because_item_ids")
    assert rows == [
        ("user-2", "item-4", "because_you_bought", "Because you bought WHITE METAL LANTERN", ["item-2"]),
        ("user-2", "item-2", "buy_again", "You bought this before", ["item-2"]),
        ("user-2", "item-5", "picked_for_you", "Picked for you", []),
        ("user-3", "item-5", "picked_for_you", "Picked for you", []),
        ("user-3", "item-6", "because_you_bought", "Because you bought MUG", ["item-3"]),
        ("user-3", "item-2", "popular_now", "Popular right now", []),
        ("user-4", "item-2", "popular_now", "Popular right now", []),
        ("user-4", "item-3", "popular_now", "Popular right now", []),
        ("user-4", "item-4", "popular_now", "Popular right now", []),
    ]


def test_reasons_cite_what_the_published_model_owes_a_row_to(spark: SparkSession, small_night: Night) -> None:
    owed = [{"user_index": ANN, "item_index": CLOCK, "because_index": MUG, "fall": 0.5}]
    version = write_rows(small_night, ATTRIBUTIONS, owed, model="two_tower")
    build_tables(spark, small_night)
    columns = ("user_id", "item_id", "reason_code", "because_item_ids")
    assert [row[2:] for row in staged(small_night, USER_RECOMMENDATIONS, *columns)[:3]] == [
        ("because_you_bought", ["item-2"]),
        ("buy_again", ["item-2"]),
        ("picked_for_you", []),
    ], "they are of other lists"
    lists = small_night.lake.require(CANDIDATES, small_night.ds, "two_tower").fingerprint
    where = (ATTRIBUTIONS, small_night.ds, version.path, "explained", 1)
    small_night.lake.commit(*where, model="two_tower", lists=lists)
    build_tables(spark, small_night)
    assert [row[1:] for row in staged(small_night, USER_RECOMMENDATIONS, *columns)[:5]] == [
        ("item-4", "popular_now", []),
        ("item-2", "buy_again", ["item-2"]),
        ("item-5", "because_you_viewed", ["item-3"]),
        ("item-5", "picked_for_you", []),
        ("item-6", "picked_for_you", []),
    ]


def test_similar_items_are_available_and_never_the_item_itself(built: Night) -> None:
    columns = ("item_id", "rank", "similar_item_id", "score", "source", "reason_code", "reason")
    assert staged(built, SIMILAR_ITEMS, *columns) == [
        ("item-2", 1, "item-3", 0.25, "item_item", "bought_together", "Often bought with WHITE METAL LANTERN"),
        ("item-2", 2, "item-4", 0.25, "item_item", "bought_together", "Often bought with WHITE METAL LANTERN"),
        ("item-3", 1, "item-6", 0.2, "item_item", "bought_together", "Often bought with MUG"),
        ("item-3", 2, "item-4", 0.1, "item_item", "bought_together", "Often bought with MUG"),
    ]


def test_rows_are_signed_with_version_and_times(built: Night) -> None:
    signed = staged(built, USER_RECOMMENDATIONS, "source", "model_version", "generated_at", "expires_at")
    times = (datetime(2024, 3, 11, 2, tzinfo=timezone.utc), datetime(2024, 3, 13, tzinfo=timezone.utc))
    assert set(signed) == {
        ("two_tower", "two_tower-2024-03-10-1", *times),
        ("recent_demand", "recent_demand-2024-03-10-1", *times),
    }


def test_bought_items_do_not_come_again_where_the_shop_says_never(spark: SparkSession, small_night: Night) -> None:
    build_tables(spark, replace(small_night, shop=replace(small_night.shop, repeats="never")))
    rows = staged(small_night, USER_RECOMMENDATIONS, "user_id", "item_id", "reason_code")
    assert [row for row in rows if row[0] == "user-2"] == [
        ("user-2", "item-4", "because_you_bought"),
        ("user-2", "item-5", "picked_for_you"),
        ("user-2", "item-6", "because_you_viewed"),
    ]
    # Bob's filling skips the mug that he bought.
    assert [row[1] for row in rows if row[0] == "user-3"] == ["item-5", "item-6", "item-2"]


def test_repeats_fill_no_more_of_a_list_than_the_shop_says(spark: SparkSession, small_night: Night) -> None:
    write_lists(small_night, "two_tower", [(ANN, LANTERN, 5.0), (ANN, SPOON, 3.0)])
    build_tables(spark, replace(small_night, shop=replace(small_night.shop, max_repeat_share=0.3)))
    rows = staged(small_night, USER_RECOMMENDATIONS, "user_id", "item_id", "source")
    # 0.3 of 3 items is none: the lantern, which she bought, neither leads the list nor fills it.
    assert [row[1:] for row in rows if row[0] == "user-2"] == [
        ("item-4", "two_tower"),
        ("item-3", "recent_demand"),
        ("item-5", "recent_demand"),
    ]


def test_only_users_who_were_active_lately_get_a_list(spark: SparkSession, small_night: Night) -> None:
    days = ("2024-03-10", "2024-03-08", "2024-03-07", None)
    write_rows(
        small_night, USERS, [{"user_id": f"user-{i}", "last_active": day} for i, day in enumerate(days, start=2)]
    )
    night = replace(small_night, shop=replace(small_night.shop, active_days=3))
    assert {row["user_id"] for row in target_users(spark, night).collect()} == {"user-2", "user-3"}


def test_fewer_available_items_than_k_is_an_error(spark: SparkSession, small_night: Night) -> None:
    items = small_night.lake.read(ITEMS, small_night.ds).to_pylist()
    write_rows(small_night, ITEMS, [{**row, "is_available": i < 2} for i, row in enumerate(items)])
    with pytest.raises(NightError, match="every user gets 3 items, and the shop has 2 available"):
        build_tables(spark, small_night)


def test_every_row_of_a_fallback_night_says_so(spark: SparkSession, small_night: Night) -> None:
    write_lists(small_night, "recent_demand", [(ANN, LANTERN, 5.0), (ANN, MUG, 3.0), (ANN, SPOON, 3.0)])
    write_gate(small_night, published_model="recent_demand", is_fallback=True)
    build_tables(spark, small_night)
    rows = staged(small_night, USER_RECOMMENDATIONS, "user_id", "source", "reason_code", "is_fallback")
    # Demand alone chose the mug: the neighbour weight that speaks for it is not why it is there.
    assert rows[:3] == [
        ("user-2", "recent_demand", "buy_again", True),
        ("user-2", "recent_demand", "look_again", True),
        ("user-2", "recent_demand", "popular_now", True),
    ]
    assert {row[3] for row in rows} == {True}


def test_a_second_build_leaves_what_is_staged(spark: SparkSession, built: Night) -> None:
    first = built.lake.require(USER_RECOMMENDATIONS, built.ds)
    build_tables(spark, replace(built, now=datetime(2024, 3, 11, 9, tzinfo=timezone.utc), run_id="again"))
    assert built.lake.require(USER_RECOMMENDATIONS, built.ds) == first


def test_files_of_a_delta_table_hold_no_partition_column(built: Night) -> None:
    path = built.lake.require(USER_RECOMMENDATIONS, built.ds).path
    assert "ds" not in pq.read_table(path, partitioning=None).column_names
