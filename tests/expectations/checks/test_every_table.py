"""Each rule fails on a row that breaks it, and its message shows the row; rows that keep the contract pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.checks.partitions import Partitions
from expectations.checks.suite_runner import quiet_context, run_table
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.shop.table_settings import NewItems
from expectations.tables import TABLES
from expectations.validate import expectations_of
from tests.worlds.good_tables import DS, Rows, at, good_tables, write_good_night, write_rows

# table -> what is changed of which row of the good night, and what the failures must say.
BROKEN: dict[str, tuple[list[tuple[int, dict[str, Any]]], list[tuple[str, str]]]] = {
    "events": (
        [
            (0, {"event_time": at(11, 0), "event_type": "gift", "quantity": float("nan")}),
            (1, {"price": -2.5, "domain": "toys"}),
            (2, {"user_id": " ", "item_id": None}),
        ],
        [
            ("event_is_not_after_ds", "event_time=2024-03-11 00:00:00 user_id=ann item_id=a"),
            ("expect_column_values_to_be_in_set(event_type)", "gift"),
            ("quantity_is_finite", "quantity=NaN"),
            ("expect_column_values_to_be_between(price)", "-2.5"),
            ("domain_is_known", "domain=toys"),
            ("user_id_is_not_empty", "item_id=null"),
            ("expect_column_values_to_not_be_null(item_id)", "None"),
        ],
    ),
    "items": (
        [
            (0, {"item_id": "b", "is_available": False}),
            (1, {"price": -1.0, "is_available": False}),
            (2, {"is_available": False}),
            (3, {"first_seen": "2024-03-11", "is_available": False}),
        ],
        [
            ("expect_column_values_to_be_unique(item_id)", "b"),
            ("expect_column_values_to_be_between(price)", "-1.0"),
            ("expect_column_sum_to_be_between(num_available)", "found 0"),
            ("first_seen_is_not_after_ds", "item_id=d first_seen=2024-03-11"),
        ],
    ),
    "users": (
        [(0, {"last_active": "2024-03-11"}), (1, {"age": -1})],
        [
            ("last_active_is_not_after_ds", "user_id=ann last_active=2024-03-11"),
            ("expect_column_values_to_be_between(age)", "-1"),
        ],
    ),
    "vocabularies": (
        [
            (0, {"index": 1}),
            (1, {"index": 4, "vocabulary_hash": "other"}),
            (3, {"value": "b"}),
            (9, {"field": "colour"}),
        ],
        [
            ("expect_column_values_to_be_between(index)", "1"),
            ("expect_compound_columns_to_be_unique(['field', 'index'])", "user_id"),
            ("expect_compound_columns_to_be_unique(['field', 'value'])", "item_id"),
            ("expect_column_unique_value_count_to_be_between(vocabulary_hash)", "found 2"),
            ("expect_column_values_to_be_in_set(field)", "colour"),
            ("index_has_no_gap", "field=user_id first_index=1 last_index=4 num_values=3"),
        ],
    ),
    "interactions": (
        [
            (0, {"user_index": 1, "weight": float("inf"), "num_events": 0}),
            (1, {"item_index": 7, "last_time": at(9)}),
            (2, {"last_time": at(11, 0), "num_purchases": -1}),
        ],
        [
            ("user_index_is_known", "user_index=1"),
            ("weight_is_finite", "weight=Infinity"),
            ("expect_column_values_to_be_between(num_events)", "0"),
            ("item_index_is_known", "item_index=7"),
            ("times_are_in_order", "last_time=2024-03-11 00:00:00"),
            ("times_are_in_order", "last_time=2024-03-09 12:00:00"),
            ("expect_column_values_to_be_between(num_purchases)", "-1"),
        ],
    ),
    "histories": (
        [
            (0, {"gap_buckets": [0], "item_indices": [2, 9], "event_times": [1_700_000_001, 1_700_000_000]}),
            (1, {"item_indices": [4] * 201, "event_type_indices": [0], "older_purchase_indices": [9]}),
        ],
        [
            ("lengths_are_equal", "gap_buckets=[0]"),
            ("item_indices_is_known", "item_indices=[2, 9]"),
            ("event_times_are_in_order", "event_times=[1700000001, 1700000000]"),
            ("history_is_not_too_long", "user_index=3"),
            ("event_type_indices_is_known", "event_type_indices=[0]"),
            ("older_purchase_indices_is_known", "older_purchase_indices=[9]"),
        ],
    ),
    "item_features": (
        [
            (0, {"item_index": 3, "price_bucket": 11, "category_indices": [2, 3]}),
            (2, {"brand_index": 2, "age_days": -1, "token_indices": [2] * 33}),
            (3, {"description_token_indices": [2] * 129}),
            (4, {"description_token_indices": [3]}),
        ],
        [
            ("expect_column_values_to_be_unique(item_index)", "3"),
            ("expect_column_values_to_be_between(price_bucket)", "11"),
            ("category_indices_is_known", "category_indices=[2, 3]"),
            ("brand_index_is_known", "brand_index=2"),
            ("expect_column_values_to_be_between(age_days)", "-1"),
            ("token_indices_are_not_too_many", "item_index=4"),
            ("description_token_indices_are_not_too_many", "item_index=5"),
            ("description_token_indices_is_known", "description_token_indices=[3]"),
        ],
    ),
    "item_images": (
        [
            (0, {"pixels": bytes(64 * 64)}),
            (1, {"pixels": b"", "source": " "}),
            (2, {"item_index": 1}),
            (3, {"pixels": None, "status": "lost"}),
        ],
        [
            ("pixels_are_whole", "item_index=2 status=decoded"),
            ("pixels_are_whole", "item_index=3 status=absent"),
            ("source_is_not_empty", "item_index=3"),
            ("expect_column_values_to_be_between(item_index)", "1"),
            ("expect_column_values_to_be_in_set(status)", "lost"),
        ],
    ),
    "user_features": (
        [(0, {"user_index": 1}), (1, {"gender_index": 2}), (2, {"interest_indices": [2]})],
        [
            ("expect_column_values_to_be_between(user_index)", "1"),
            ("gender_index_is_known", "gender_index=2"),
            ("interest_indices_is_known", "interest_indices=[2]"),
        ],
    ),
    "graph_edges": (
        [
            (0, {"source_index": 5}),
            (1, {"weight": 0.0}),
            (2, {"target_index": 2}),
            (3, {"kind": "basket", "target_index": 7}),
            (4, {"weight": 1.5}),
        ],
        [
            ("source_index_is_known", "kind=user_item source_index=5"),
            ("weight_is_above_0", "source_index=4 target_index=3 weight=0.0"),
            ("edge_leads_elsewhere", "kind=session source_index=2 target_index=2"),
            ("expect_column_values_to_be_in_set(kind)", "basket"),
            ("target_index_is_known", "target_index=7"),
            ("weight_is_above_0", "weight=1.5"),
        ],
    ),
    "user_recommendations": (
        [
            (0, {"item_id": "old", "because_item_ids": ["a", "c"], "reason_code": "because_you_viewed"}),
            (1, {"score": 2.0, "expires_at": at(11, 0)}),
            (2, {"propensity": 0.0}),
            (7, {"propensity": None}),
            (3, {"item_id": "ghost", "model_version": ""}),
            (4, {"item_id": "c", "propensity": 1.5}),
            (5, {"rank": 4, "propensity": float("nan")}),
            (6, {"user_id": "dan"}),
        ],
        [
            ("item_id_is_available", "item_id=old rank=1"),
            ("because_is_in_history", "user_id=ann rank=1 item_id=c"),
            # Ann bought it.
            ("act_is_true_of_cited_item", "user_id=ann item_id=a reason_code=because_you_viewed"),
            ("score_never_rises", "user_id=ann scores=[1.0, 2.0,"),
            ("expires_after_the_day", "expires_at=2024-03-11 00:00:00"),
            ("propensity_is_a_probability", "user_id=ann rank=3 propensity=0.0"),
            ("propensity_is_a_probability", "user_id=bob rank=2 propensity=1.5"),
            ("propensity_is_a_probability", "user_id=cy rank=2 propensity=null"),
            ("propensity_is_a_probability", "user_id=bob rank=4 propensity=NaN"),
            ("propensity_is_finite", "user_id=bob propensity=NaN"),
            ("item_id_is_in_catalogue", "item_id=ghost rank=1"),
            ("model_version_is_not_empty", "user_id=bob rank=1"),
            ("items_are_distinct", "user_id=bob num_rows=3 num_items=2"),
            ("ranks_have_no_gap", "user_id=bob ranks=[1, 2, 4]"),
            ("user_is_known", "user_id=dan"),
            ("list_has_k_items", "user_id=cy num_rows=2"),
        ],
    ),
    "similar_items": (
        [
            (0, {"similar_item_id": "a", "score": 0.1}),
            (1, {"rank": 4, "similar_item_id": "old"}),
            (2, {"reason_code": "liked_by_all"}),
            # Nobody met both.
            (4, {"reason_code": "bought_together"}),
            (6, {"reason_code": "viewed_together"}),
            (3, {"item_id": "ghost", "reason": ""}),
        ],
        [
            ("similar_item_is_another", "item_id=a rank=1"),
            ("score_never_rises", "item_id=a scores=[0.1,"),
            ("similar_item_id_is_available", "similar_item_id=old rank=4"),
            ("ranks_have_no_gap", "item_id=a ranks=[1, 3, 4]"),
            ("item_is_known", "item_id=ghost"),
            ("reason_is_not_empty", "item_id=ghost rank=1"),
            ("reason_code_is_known", "reason_code=liked_by_all"),
            ("acts_are_those_of_the_pair", "item_id=b similar_item_id=c reason_code=bought_together"),
            ("acts_are_those_of_the_pair", "item_id=c similar_item_id=a reason_code=viewed_together"),
            ("list_has_k_items", "item_id=b num_rows=2"),
        ],
    ),
    "new_user_recommendations": (
        [
            (0, {"segment": "country=DE&shoe_size=42"}),
            (1, {"item_id": "old", "score": 0.25}),
            (2, {"item_id": "b"}),
            (3, {"item_id": "ghost", "score": 0.1}),
            (5, {"rank": 4}),
        ],
        [
            ("segment_names_attributes", "segment=country=DE&shoe_size=42"),
            ("segment_has_k_items", "segment=all num_rows=2"),
            ("item_id_is_available", "item_id=old rank=2"),
            ("item_id_is_in_catalogue", "item_id=ghost rank=1"),
            ("ranks_have_no_gap", "segment=all ranks=[2, 3]"),
            ("score_never_rises", "scores=[0.1, 0.5"),
        ],
    ),
    "new_item_audiences": (
        [
            (0, {"user_id": "dan", "score": 0.25}),
            (1, {"item_id": "a", "expires_at": at(11, 0)}),
        ],
        [
            ("user_is_known", "user_id=dan item_id=d"),
            ("item_is_new", "item_id=a first_seen=2024-02-01"),
            ("item_is_new_to_user", "user_id=ann item_id=a"),
            ("ranks_have_no_gap", "item_id=a ranks=[2]"),
            ("expires_after_the_day", "expires_at=2024-03-11 00:00:00"),
        ],
    ),
    "cross_domain_recommendations": (
        [
            (0, {"item_id": "a", "rank": 2, "because_item_ids": ["c", "a"]}),
            (1, {"user_id": "cy", "item_id": "old", "domain": "things", "because_item_ids": []}),
        ],
        [
            ("item_is_of_domain", "user_id=ann domain=games rank=2 item_id=a"),
            ("item_id_is_available", "item_id=old rank=1"),
            ("because_is_in_history", "user_id=ann domain=games rank=2 item_id=c"),
            ("ranks_have_no_gap", "ranks=[2]"),
            ("user_knows_another_domain", "user_id=cy domain=things"),
            ("list_is_as_long_as_it_can_be", "user_id=bob domain=games"),
        ],
    ),
}

RunTable = Callable[..., tuple[str, ...]]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    lake = Lake(str(tmp_path_factory.mktemp("root")))
    write_good_night(lake)
    columns = {"event_time": "t", "user_id": "u", "item_id": "i"}
    events = RawFile(path="{data}/{ds}.csv", columns=columns, constants={"event_type": "purchase"})
    shop = Shop(name="corner", events=events, top_k=3, num_candidates=6)
    return Night(lake, "", shop, DS, "test", datetime(2024, 3, 11, 2, tzinfo=timezone.utc))


@pytest.fixture(scope="module")
def failures_of(spark: SparkSession, night: Night, tmp_path_factory: pytest.TempPathFactory) -> RunTable:
    """Runs a table of the good night, with other rows in it, and returns what failed; each table once."""
    known: dict[str, tuple[str, ...]] = {}

    def failures_of(name: str, rows: Rows | None = None, shop: Shop | None = None) -> tuple[str, ...]:
        lake = Lake(str(tmp_path_factory.mktemp("root")))
        write_good_night(lake)
        if rows is not None:
            write_rows(lake, TABLES[name], rows)
        this_night = replace(night, lake=lake, shop=shop or night.shop)
        expected = expectations_of(this_night, Partitions(spark, lake), TABLES[name], DS)
        return run_table(quiet_context(), expected).failures

    def broken_once(name: str, rows: Rows | None = None, shop: Shop | None = None) -> tuple[str, ...]:
        if rows is not None or shop is not None:
            return failures_of(name, rows, shop)
        if name not in known:
            known[name] = failures_of(name, _broken_rows(name))
        return known[name]

    return broken_once


def _broken_rows(name: str) -> Rows:
    rows = good_tables()[name]
    for index, values in BROKEN[name][0]:
        rows[index] = {**rows[index], **values}
    return rows


@pytest.mark.parametrize(("name", "rule", "value"), [(n, r, v) for n, (_, told) in BROKEN.items() for r, v in told])
def test_a_broken_rule_is_named_with_the_failing_value(failures_of: RunTable, name: str, rule: str, value: str) -> None:
    of_rule = [failure for failure in failures_of(name) if rule in failure]
    assert of_rule, f"{rule} did not fail; failed: {failures_of(name)}"
    assert value in of_rule[0]


@pytest.mark.parametrize("name", list(BROKEN))
def test_nothing_else_fails(failures_of: RunTable, name: str) -> None:
    expected = {rule for rule, _ in BROKEN[name][1]}
    surprising = [f for f in failures_of(name) if not any(rule in f for rule in expected)]
    assert surprising == []


def test_a_night_without_new_items_keeps_the_contract(failures_of: RunTable) -> None:
    assert failures_of("new_item_audiences", []) == ()


def test_an_audience_that_is_too_large_is_told(failures_of: RunTable, night: Night) -> None:
    shop = replace(night.shop, new_items=NewItems(audience_size=1))
    (failure,) = failures_of("new_item_audiences", shop=shop)
    assert "audience_is_not_too_large" in failure
    assert "item_id=d num_rows=2" in failure


def test_new_users_without_a_list_for_all_are_missed(failures_of: RunTable) -> None:
    without_all = [row for row in good_tables()["new_user_recommendations"] if row["segment"] != "all"]
    (failure,) = failures_of("new_user_recommendations", without_all)
    assert "segment_has_k_items" in failure
    assert "segment=all num_rows=null" in failure


def test_an_active_user_without_a_list_is_missed(failures_of: RunTable) -> None:
    without_ann = [row for row in good_tables()["user_recommendations"] if row["user_id"] != "ann"]
    (failure,) = failures_of("user_recommendations", without_ann)
    assert "active_user_has_list" in failure
    assert "user_id=ann last_active=2024-03-10" in failure


def test_a_bought_item_fails_where_the_shop_never_repeats(failures_of: RunTable, night: Night) -> None:
    (failure,) = failures_of("user_recommendations", shop=replace(night.shop, repeats="never"))
    assert "item_may_come_back" in failure
    assert "user_id=bob item_id=c" in failure


def test_more_repeats_than_the_shop_says_fail(failures_of: RunTable, night: Night) -> None:
    (failure,) = failures_of("user_recommendations", shop=replace(night.shop, max_repeat_share=0.0))
    assert "repeats_are_bounded" in failure
    assert "user_id=bob num_repeats=1" in failure
    assert failures_of("user_recommendations", shop=replace(night.shop, max_repeat_share=0.7)) == ()


def test_a_column_that_is_missing_is_told_before_any_value_is_looked_at(
    spark: SparkSession, night: Night, tmp_path_factory: pytest.TempPathFactory
) -> None:
    users = TABLES["users"]
    lake = Lake(str(tmp_path_factory.mktemp("root")))
    path = lake.new_version_path(users, DS, "f")
    spark.createDataFrame([(DS, "ann", "40")], "ds string, user_id string, age string").write.parquet(path)
    lake.commit(users, DS, path, "f", 1)
    this_night = replace(night, lake=lake)
    run = run_table(quiet_context(), expectations_of(this_night, Partitions(spark, lake), users, DS))
    assert len(run.results) == 3
    columns, types = run.failures
    assert "expect_table_columns_to_match_ordered_list" in columns
    assert "age is string, not int" in types
