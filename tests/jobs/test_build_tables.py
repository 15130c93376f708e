"""The published tables, from a night small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from expectations.runtime.program import Night
from expectations.semantics.published_tables import output_tables
from expectations.tables import (
    ATTRIBUTIONS,
    CANDIDATES,
    GRAPH_EDGES,
    ITEMS,
    NEW_ITEM_AUDIENCES,
    NEW_USER_RECOMMENDATIONS,
    SIMILAR_ITEMS,
    USER_RECOMMENDATIONS,
    USERS,
    NightError,
    Table,
)
from jobs.build_tables import build_tables
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.target_users import target_users
from jobs.tables.new_item_audiences import new_item_audiences
from tests.worlds.small_night import (
    ANN,
    BELL,
    BOB,
    CID,
    CLOCK,
    LANTERN,
    MUG,
    NEW,
    SOLD_OUT,
    SPOON,
    new_night,
    write_gate,
    write_lists,
    write_met,
    write_neighbours,
    write_rows,
    write_small_night,
    write_words,
)

LISTS = [USER_RECOMMENDATIONS.name]


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


def test_reasons_speak_the_shops_language_and_titles_stay_titles(spark: SparkSession, small_night: Night) -> None:
    own = {"popular_now": "{} % Bestseller"}
    shop = replace(small_night.shop, language="zh", reason_texts=own)
    build_tables(spark, replace(small_night, shop=shop))
    rows = staged(small_night, USER_RECOMMENDATIONS, "user_id", "item_id", "reason")
    assert ("user-2", "item-4", "因为您购买过“WHITE METAL LANTERN”") in rows
    assert ("user-2", "item-5", "为您精选") in rows
    assert ("user-4", "item-2", "{} % Bestseller") in rows
    of_items = staged(small_night, SIMILAR_ITEMS, "item_id", "similar_item_id", "reason")
    assert ("item-4", "item-3", "与“{spoon} %s”相似") in of_items


def test_reasons_cite_what_the_published_model_owes_a_row_to(spark: SparkSession, small_night: Night) -> None:
    owed = [{"user_index": ANN, "item_index": CLOCK, "because_index": MUG, "score_drop": 0.5}]
    version = write_rows(small_night, ATTRIBUTIONS, owed, model="two_tower")
    build_tables(spark, small_night, LISTS)
    columns = ("user_id", "item_id", "reason_code", "because_item_ids")
    assert [row[2:] for row in staged(small_night, USER_RECOMMENDATIONS, *columns)[:3]] == [
        ("because_you_bought", ["item-2"]),
        ("buy_again", ["item-2"]),
        ("picked_for_you", []),
    ], "they are of other lists"
    lists = small_night.lake.require(CANDIDATES, small_night.ds, "two_tower").fingerprint
    where = (ATTRIBUTIONS, small_night.ds, version.path, "explained", 1)
    small_night.lake.commit(*where, model="two_tower", lists=lists)
    build_tables(spark, small_night, LISTS)
    assert [row[1:] for row in staged(small_night, USER_RECOMMENDATIONS, *columns)[:5]] == [
        ("item-4", "popular_now", []),
        ("item-2", "buy_again", ["item-2"]),
        ("item-5", "because_you_viewed", ["item-3"]),
        ("item-5", "picked_for_you", []),
        ("item-6", "picked_for_you", []),
    ]


def test_similar_items_mix_what_goes_together_with_what_is_alike(built: Night) -> None:
    columns = ("item_id", "rank", "similar_item_id", "source", "reason")
    lantern, mug = "WHITE METAL LANTERN", "MUG"
    assert staged(built, SIMILAR_ITEMS, *columns) == [
        # One user met the lantern: what is like it weighs more than what goes with it.
        ("item-2", 1, "item-5", "item_features", f"Similar to {lantern}"),
        # Ann bought the lantern and only viewed the mug; nobody met lantern and spoon.
        ("item-2", 2, "item-3", "item_item", f"Often viewed with {lantern}"),
        ("item-2", 3, "item-4", "item_item", f"Similar to {lantern}"),
        ("item-3", 1, "item-4", "item_features", f"Similar to {mug}"),
        ("item-3", 2, "item-6", "item_item", f"Similar to {mug}"),
        ("item-3", 3, "item-2", "recent_demand", "Popular right now"),
        # Nobody met the spoon; a list goes on with what sells, and then with the rest.
        ("item-4", 1, "item-3", "item_features", "Similar to {spoon} %s"),
        ("item-4", 2, "item-2", "recent_demand", "Popular right now"),
        ("item-4", 3, "item-5", "recent_demand", "From our range"),
        ("item-5", 1, "item-2", "item_features", "Similar to item-5"),
        ("item-5", 2, "item-3", "recent_demand", "Popular right now"),
        ("item-5", 3, "item-4", "recent_demand", "Popular right now"),
        *(("item-6", rank, f"item-{rank + 1}", "recent_demand", "Popular right now") for rank in (1, 2, 3)),
        # What is sold out has a list, and stands in none.
        ("item-7", 1, "item-2", "item_features", "Similar to SOLD OUT"),
        ("item-7", 2, "item-3", "recent_demand", "Popular right now"),
        ("item-7", 3, "item-4", "recent_demand", "Popular right now"),
    ]


def test_nothing_is_bought_together_in_a_shop_of_views(spark: SparkSession, small_night: Night) -> None:
    """Six views, and no purchase."""
    write_met(small_night, [(user, item, 0) for user in (ANN, BOB, CID) for item in (LANTERN, BELL)])
    write_neighbours(small_night, [(LANTERN, BELL, 1.0), (BELL, LANTERN, 1.0), (CLOCK, BELL, 1.0)])
    write_words(small_night, {item: [8 + item] for item in (LANTERN, MUG, SPOON, CLOCK, BELL, SOLD_OUT)})
    write_gate(small_night)
    build_tables(spark, small_night, [SIMILAR_ITEMS.name])
    rows = staged(small_night, SIMILAR_ITEMS, "item_id", "similar_item_id", "source", "reason_code", "reason")
    assert [row for row in rows if row[2] == "item_item"] == [
        ("item-2", "item-6", "item_item", "viewed_together", "Often viewed with WHITE METAL LANTERN"),
        ("item-6", "item-2", "item_item", "viewed_together", "Often viewed with BELL"),
    ]
    assert "bought_together" not in {row[3] for row in rows}


def test_without_item_item_the_edges_of_the_graph_say_what_goes_together(
    spark: SparkSession, small_night: Night
) -> None:
    edges = [{"kind": "window", "source_index": MUG, "target_index": BELL, "weight": 0.5}]
    write_rows(small_night, GRAPH_EDGES, edges)
    write_gate(small_night, similar_model="")
    build_tables(spark, small_night, [SIMILAR_ITEMS.name])
    assert small_night.lake.current(USER_RECOMMENDATIONS, small_night.ds) is None, "it was not asked for"
    rows = staged(small_night, SIMILAR_ITEMS, "item_id", "similar_item_id", "source", "model_version")
    assert [row[1:] for row in rows if row[0] == "item-3"] == [
        ("item-6", "graph_edges", "graph_edges-2024-03-10"),
        ("item-4", "item_features", "item_features-2024-03-10"),
        ("item-2", "recent_demand", "recent_demand-2024-03-10-1"),
    ]


def test_new_users_get_what_new_users_want(built: Night) -> None:
    columns = ("segment", "rank", "item_id", "source", "model_version", "reason_code")
    told = ("segment_demand", "segment_demand-2024-03-10")
    assert staged(built, NEW_USER_RECOMMENDATIONS, *columns) == [
        # A person counts once, however often they bought; equal demand comes in the order of the index.
        ("all", 1, "item-2", *told, "popular_now"),
        ("all", 2, "item-3", *told, "popular_now"),
        ("all", 3, "item-4", *told, "in_our_range"),
    ]


def test_without_a_new_item_there_is_no_audience(built: Night) -> None:
    assert staged(built, NEW_ITEM_AUDIENCES, "item_id") == []


def test_a_new_item_is_brought_to_who_met_what_is_like_it(spark: SparkSession, small_night: Night) -> None:
    first_seen = {f"item-{item}": "2024-03-09" for item in (SPOON, CLOCK, SOLD_OUT)}
    items = small_night.lake.read(ITEMS, small_night.ds).to_pylist()
    write_rows(
        small_night, ITEMS, [{**row, "first_seen": first_seen.get(row["item_id"], "2024-01-01")} for row in items]
    )
    write_met(small_night, [(ANN, LANTERN, 1), (ANN, MUG, 0), (BOB, MUG, 2), (BOB, CLOCK, 1), (NEW, MUG, 1)])
    build_tables(spark, small_night, [NEW_ITEM_AUDIENCES.name])
    rows = staged(small_night, NEW_ITEM_AUDIENCES, "item_id", "rank", "user_id", "source", "reason")
    assert rows == [
        ("item-4", 1, "user-2", "item_features", "Because you viewed MUG"),
        ("item-4", 2, "user-3", "item_features", "Because you bought MUG"),
        # Bob has met the clock, and the new user gets no lists at all.
        ("item-5", 1, "user-2", "item_features", "Because you bought WHITE METAL LANTERN"),
    ]


def test_the_reason_names_the_category_that_somebody_met_most_of(spark: SparkSession, small_night: Night) -> None:
    path = {"item-2": ["Home", "Light"], "item-5": ["Home", "Light"], "item-3": ["Kitchen"]}
    items = [
        {
            **row,
            "category": path.get(row["item_id"], []),
            "first_seen": "2024-03-09" if row["item_id"] == "item-5" else "2024-01-01",
        }
        for row in small_night.lake.read(ITEMS, small_night.ds).to_pylist()
    ]
    write_rows(small_night, ITEMS, items)
    write_met(small_night, [(ANN, LANTERN, 1), (ANN, MUG, 0), (BOB, LANTERN, 1)])
    features = FeatureTables.resolve(small_night.lake, small_night.ds)
    rows = new_item_audiences(spark, features, small_night.shop)
    rows = rows.select("user_id", "reason_code", "reason", "because_item_id")
    assert sorted(map(tuple, rows.collect())) == [
        # Ann met as much of the kitchen; the first by name counts.
        ("user-2", "new_in_category", "New in Light, your favourite category", "item-2"),
        # Bob's history is of mugs.
        ("user-3", "because_you_bought", "Because you bought WHITE METAL LANTERN", "item-2"),
    ]


def test_rows_are_signed_with_version_and_times(built: Night) -> None:
    signed = staged(built, USER_RECOMMENDATIONS, "source", "model_version", "generated_at", "expires_at")
    times = (datetime(2024, 3, 11, 2, tzinfo=timezone.utc), datetime(2024, 3, 13, tzinfo=timezone.utc))
    assert set(signed) == {
        ("two_tower", "two_tower-2024-03-10-1", *times),
        ("recent_demand", "recent_demand-2024-03-10-1", *times),
    }


def test_bought_items_do_not_come_again_where_the_shop_says_never(spark: SparkSession, small_night: Night) -> None:
    build_tables(spark, replace(small_night, shop=replace(small_night.shop, repeats="never")), LISTS)
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
    write_gate(small_night)
    build_tables(spark, replace(small_night, shop=replace(small_night.shop, max_repeat_share=0.3)), LISTS)
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
    features = FeatureTables.resolve(small_night.lake, small_night.ds)
    assert {row["user_id"] for row in target_users(spark, features, active_days=3).collect()} == {"user-2", "user-3"}


def test_fewer_available_items_than_k_is_an_error(spark: SparkSession, small_night: Night) -> None:
    items = small_night.lake.read(ITEMS, small_night.ds).to_pylist()
    write_rows(small_night, ITEMS, [{**row, "is_available": i < 2} for i, row in enumerate(items)])
    with pytest.raises(NightError, match="every user gets 3 items, and the shop has 2 available"):
        build_tables(spark, small_night)


def test_every_row_of_a_fallback_night_says_so(spark: SparkSession, small_night: Night) -> None:
    write_lists(small_night, "recent_demand", [(ANN, LANTERN, 5.0), (ANN, MUG, 3.0), (ANN, SPOON, 3.0)])
    write_gate(small_night, published_model="recent_demand", is_fallback=True)
    build_tables(spark, small_night, LISTS)
    rows = staged(small_night, USER_RECOMMENDATIONS, "user_id", "source", "reason_code", "is_fallback")
    # Demand alone chose the mug: the neighbour weight that speaks for it is not why it is there.
    assert rows[:3] == [
        ("user-2", "recent_demand", "buy_again", True),
        ("user-2", "recent_demand", "look_again", True),
        ("user-2", "recent_demand", "popular_now", True),
    ]
    assert {row[3] for row in rows} == {True}


def test_a_second_build_leaves_what_is_staged(spark: SparkSession, built: Night) -> None:
    first = {table: built.lake.require(table, built.ds) for table in output_tables(built.lake, built.ds)}
    build_tables(spark, replace(built, now=datetime(2024, 3, 11, 9, tzinfo=timezone.utc), run_id="again"))
    assert {table: built.lake.require(table, built.ds) for table in first} == first


def test_another_run_elsewhere_gives_the_same_rows_whatever_was_ingested_since(
    spark: SparkSession, built: Night, tmp_path: Path
) -> None:
    elsewhere = replace(new_night(tmp_path), run_id="other", now=datetime(2024, 3, 12, tzinfo=timezone.utc))
    write_small_night(replace(elsewhere, ds="2024-03-11"))
    write_met(replace(elsewhere, ds="2024-03-11"), [(ANN, CLOCK, 9)])
    write_small_night(elsewhere)
    build_tables(spark, elsewhere)
    for table in output_tables(built.lake, built.ds):
        columns = [name for name in table.column_names if name not in ("ds", "generated_at")]
        assert staged(elsewhere, table, *columns) == staged(built, table, *columns)


def test_files_of_a_delta_table_hold_no_partition_column(built: Night) -> None:
    path = built.lake.require(USER_RECOMMENDATIONS, built.ds).path
    assert "ds" not in pq.read_table(path, partitioning=None).column_names
