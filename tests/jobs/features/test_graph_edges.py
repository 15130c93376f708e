"""Edges on histories that a reader can count by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import permutations
from math import isclose, sqrt
from typing import Any, NamedTuple, cast

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from expectations.runtime.days import end_of
from expectations.runtime.lake import fingerprint_of
from expectations.runtime.program import Night
from expectations.shop.table_settings import GraphEdges
from expectations.tables import (
    GRAPH_EDGE_KINDS,
    GRAPH_EDGES,
    HISTORIES,
    ITEM_FEATURES,
    VOCABULARIES,
    TableContractError,
)
from jobs.features import co_occurrence_counts
from jobs.features import graph_edges as graph
from tests.worlds.small_night import write_rows

AS_OF = "2024-03-10"
NIGHT_END = int(end_of(AS_OF).timestamp())
LAMP, MUG, RUG, BOOK = range(2, 6)
VIEW, PURCHASE = 2, 3
TYPES = [("event_type", "view", VIEW), ("event_type", "purchase", PURCHASE), ("item_id", "lamp", LAMP)]
SETTINGS = GraphEdges(half_life_days=30)
WEIGHTS = {"view": 1.0, "purchase": 5.0}


class Event(NamedTuple):
    item: int
    days_ago: float
    is_start: int = 1
    event_type: int = VIEW


def histories_of(spark: SparkSession, *users: Sequence[Event]) -> DataFrame:
    rows = [
        (
            user,
            [e.item for e in events],
            [e.event_type for e in events],
            [NIGHT_END - round(e.days_ago * 86_400) for e in events],
            [e.is_start for e in events],
        )
        for user, events in enumerate(users, start=2)
    ]
    return spark.createDataFrame(
        rows,
        "user_index int, item_indices array<int>, event_type_indices array<int>, event_times array<bigint>, "
        "session_starts array<int>",
    )


@pytest.fixture
def features_path(night: Night) -> str:
    """Lamp, mug and rug are of one department, the book of another."""
    domains = {LAMP: 2, MUG: 2, RUG: 2, BOOK: 3}
    rows = [{"item_index": i, "domain_index": d} for i, d in domains.items()]
    return write_rows(night, ITEM_FEATURES, rows).path


def edges_of(edges: DataFrame, kind: str) -> dict[tuple[int, int], float]:
    return {(r["source_index"], r["target_index"]): r["weight"] for r in edges.collect() if r["kind"] == kind}


def weight(together: int, num_item: int, num_other: int) -> float:
    return together / sqrt(num_item * num_other) * together / (together + SETTINGS.shrinkage)


def assert_weights(found: dict[tuple[int, int], float], expected: dict[tuple[int, int], float]) -> None:
    assert found.keys() == expected.keys()
    assert all(isclose(found[pair], expected[pair], rel_tol=1e-6) for pair in expected), (found, expected)


def both_ways(edges: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    return {**edges, **{(target, source): weight for (source, target), weight in edges.items()}}


def test_a_taste_fades_by_half_in_a_half_life(spark: SparkSession) -> None:
    histories = histories_of(
        spark,
        [Event(LAMP, 60, event_type=PURCHASE), Event(LAMP, 30), Event(MUG, 0), Event(1, 0)],
        [Event(MUG, 30 * 40)],
    )
    vocabularies = spark.createDataFrame(TYPES, "field string, value string, index int")
    found = graph.user_item_edges(histories, vocabularies, WEIGHTS, end_of(AS_OF), SETTINGS.half_life_days)
    expected = spark.createDataFrame(
        [("user_item", 2, LAMP, 5 / 4 + 1 / 2), ("user_item", 2, MUG, 1.0)],
        "kind string, source_index int, target_index int, weight float",
    )
    assert_df_equality(found, expected, ignore_row_order=True, ignore_nullable=True)


def test_a_type_that_weighs_nothing_makes_no_edge(spark: SparkSession) -> None:
    histories = histories_of(spark, [Event(LAMP, 1)])
    vocabularies = spark.createDataFrame(TYPES, "field string, value string, index int")
    assert (
        graph.user_item_edges(
            histories, vocabularies, {"purchase": 5.0}, end_of(AS_OF), SETTINGS.half_life_days
        ).count()
        == 0
    )


def test_sessions_are_what_counts_for_session_edges(spark: SparkSession, features_path: str) -> None:
    histories = histories_of(
        spark,
        [Event(LAMP, 9), Event(MUG, 9, is_start=0), Event(MUG, 9, is_start=0), Event(LAMP, 8), Event(MUG, 8, 0)],
        # a history that was cut within a session begins one all the same
        [Event(LAMP, 9, is_start=0), Event(RUG, 8)],
    )
    found = edges_of(graph.item_item_edges(histories, features_path, SETTINGS), "session")
    assert_weights(found, both_ways({(LAMP, MUG): weight(2, 3, 2)}))


def test_a_window_reaches_across_sessions_and_no_farther(spark: SparkSession, features_path: str) -> None:
    histories = histories_of(
        spark,
        [Event(LAMP, 30), Event(MUG, 23), Event(RUG, 15.9)],
        # met again: the nearest two meetings count, and a user counts once
        [Event(LAMP, 60), Event(MUG, 59), Event(LAMP, 30), Event(MUG, 29), Event(LAMP, 2)],
        [Event(MUG, 1)],
    )
    found = edges_of(graph.item_item_edges(histories, features_path, SETTINGS), "window")
    assert_weights(found, both_ways({(LAMP, MUG): weight(2, 2, 3)}))


def test_departments_meet_through_users_at_any_time(spark: SparkSession, features_path: str) -> None:
    events = [Event(LAMP, 300), Event(MUG, 200), Event(BOOK, 2)]
    histories = histories_of(spark, events, events, [Event(BOOK, 3)])
    found = edges_of(graph.item_item_edges(histories, features_path, SETTINGS), "cross_domain")
    assert_weights(found, both_ways({(LAMP, BOOK): weight(2, 2, 3), (MUG, BOOK): weight(2, 2, 3)}))


def test_items_that_met_once_met_by_chance(spark: SparkSession, features_path: str) -> None:
    histories = histories_of(spark, [Event(LAMP, 1), Event(BOOK, 1, 0)])
    assert graph.item_item_edges(histories, features_path, SETTINGS).count() == 0
    once_is_enough = replace(SETTINGS, min_meetings=1)
    found = edges_of(graph.item_item_edges(histories, features_path, once_is_enough), "session")
    assert_weights(found, both_ways({(LAMP, BOOK): weight(1, 1, 1)}))


def test_the_window_and_the_doubt_are_the_shops(spark: SparkSession, features_path: str) -> None:
    events = [Event(LAMP, 9), Event(MUG, 1)]
    histories = histories_of(spark, events, events)
    assert not edges_of(graph.item_item_edges(histories, features_path, SETTINGS), "window")
    wider = replace(SETTINGS, window_days=8, shrinkage=2.0)
    found = edges_of(graph.item_item_edges(histories, features_path, wider), "window")
    assert_weights(found, both_ways({(LAMP, MUG): 2 / (2 + 2)}))


def test_a_shrunk_cosine_is_over_0_and_under_1(spark: SparkSession) -> None:
    counts = (1, 2, 3, 1_000, 2_000_000_000)
    rows = [(t, i, o) for t in counts for i in counts for o in counts if t <= min(i, o)]
    frame = spark.createDataFrame(rows, "num_meetings bigint, num_item bigint, num_other bigint")
    found = [
        (tuple(row)[:3], row["weight"])
        for row in frame.withColumn("weight", graph.shrunk_cosine(SETTINGS.shrinkage)).collect()
    ]
    assert all(0 < value < 1 and isclose(value, weight(*row)) for row, value in found), found


def test_equal_edges_are_kept_by_item_index(spark: SparkSession, features_path: str) -> None:
    events = [Event(BOOK, 1), Event(RUG, 1, 0), Event(MUG, 1, 0), Event(LAMP, 1, 0)]
    histories = histories_of(spark, events, events)
    two_each = GraphEdges(neighbours_per_item=2)
    found = edges_of(graph.item_item_edges(histories, features_path, two_each), "session")
    assert set(found) == {
        (LAMP, MUG),
        (LAMP, RUG),
        (MUG, LAMP),
        (MUG, RUG),
        (RUG, LAMP),
        (RUG, MUG),
        (BOOK, LAMP),
        (BOOK, MUG),
    }


def test_only_the_latest_visits_take_part(spark: SparkSession, features_path: str) -> None:
    old = [Event(LAMP, 3, 0), Event(MUG, 3, 0)]
    many = [Event(10 + place, 2, 0) for place in range(co_occurrence_counts.MAX_VISITS - 1)]
    histories = histories_of(spark, [*old, *many], [*old, *many])
    found = edges_of(graph.item_item_edges(histories, features_path, SETTINGS), "window")
    assert not any(LAMP in pair for pair in found)
    assert (MUG, 10) in found


def test_rows_do_not_depend_on_how_users_are_split(
    spark: SparkSession, features_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [[Event(2 + (u * k) % 4, 20 - k / 2, int(k % 3 == 0)) for k in range(1, 9)] for u in range(1, 12)]
    whole = graph.item_item_edges(histories_of(spark, *users).repartition(1), features_path, SETTINGS).collect()
    monkeypatch.setattr(co_occurrence_counts, "USERS_AT_ONCE", 2)
    split = graph.item_item_edges(histories_of(spark, *users).repartition(5), features_path, SETTINGS).collect()
    assert whole
    assert sorted(whole) == sorted(split)


def test_a_partition_is_built_from_the_tables_of_its_day(spark: SparkSession, night: Night, features_path: str) -> None:
    history = {
        "user_index": 2,
        "item_indices": [LAMP, BOOK],
        "event_type_indices": [VIEW, VIEW],
        "event_times": [NIGHT_END - 86_400, NIGHT_END - 60],
        "session_starts": [1, 0],
    }
    write_rows(night, HISTORIES, [history, {**history, "user_index": 3}])
    write_rows(night, VOCABULARIES, [{"field": f, "value": v, "index": i} for f, v, i in TYPES])
    graph.build_graph_edges(spark, night.lake, AS_OF, night.shop)
    rows = night.lake.read(GRAPH_EDGES, AS_OF).to_pylist()
    pairs = {
        kind: {(r["source_index"], r["target_index"]) for r in rows if r["kind"] == kind} for kind in GRAPH_EDGE_KINDS
    }
    items, tastes = set(permutations((LAMP, BOOK))), {(2, LAMP), (2, BOOK), (3, LAMP), (3, BOOK)}
    assert pairs == {"user_item": tastes, "session": items, "window": items, "cross_domain": items}


def test_without_histories_of_the_day_there_is_no_graph(spark: SparkSession, night: Night) -> None:
    write_rows(night, ITEM_FEATURES, [{"item_index": LAMP}])
    with pytest.raises(TableContractError, match="histories ds=2024-03-10: no such partition"):
        graph.build_graph_edges(spark, night.lake, AS_OF, night.shop)


def test_the_partition_is_built_anew_when_a_setting_changes(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (HISTORIES, ITEM_FEATURES, VOCABULARIES):
        write_rows(night, table, [], AS_OF)
    found = []
    monkeypatch.setattr(graph, "build_partition", lambda *of, code: found.append(fingerprint_of(of[4])))
    changes: dict[str, Any] = {
        "window_days": 8,
        "half_life_days": 29.0,
        "shrinkage": 4.0,
        "min_meetings": 3,
        "neighbours_per_item": 9,
    }
    assert changes.keys() == {field.name for field in fields(SETTINGS)}
    for changed in ({}, *({name: value} for name, value in changes.items())):
        shop = replace(night.shop, graph_edges=replace(SETTINGS, **changed))
        graph.build_graph_edges(cast("SparkSession", None), night.lake, AS_OF, shop)
    assert len(set(found)) == 1 + len(changes)
