"""Ranking features of pairs that a reader can work out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import log
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from expectations.runtime.lake import Version
from expectations.runtime.program import Night, end_of
from expectations.tables import (
    CANDIDATES,
    EVENTS,
    GRAPH_EDGES,
    HISTORIES,
    INTERACTIONS,
    ITEMS,
    RANKING_FEATURES,
    VOCABULARIES,
    TableContractError,
)
from jobs.build_ranking_features import NUM_LAST_ITEMS, build_ranking_features
from jobs.co_occurrence import summed_edges
from tests.worlds.small_night import ANN, BELL, BOB, CLOCK, LANTERN, MUG, NEW, SPOON, write_lists, write_rows

AS_OF = "2024-03-10"
LISTS = pa.list_(pa.int32())
END = end_of(AS_OF)
NAMES = {LANTERN: "lantern", MUG: "mug", SPOON: "spoon", CLOCK: "clock", BELL: "bell"}
PRICES = {LANTERN: 40.0, MUG: 10.0, SPOON: 2.0, CLOCK: None, BELL: 5.0}


def days_ago(days: float) -> datetime:
    return END - timedelta(days=days)


def write_events(night: Night, day: str, events: Sequence[tuple[str, str, float]]) -> None:
    """Events of a day from (item_id, event_type, quantity)."""
    rows = [{"item_id": i, "user_id": "ann", "event_type": t, "quantity": q} for i, t, q in events]
    write_rows(night, EVENTS, rows, day)


def write_history(night: Night, met: Sequence[tuple[int, float]]) -> None:
    """Ann's history from (item_index, days ago)."""
    times = [int(days_ago(days).timestamp()) for _, days in met]
    history = {"user_index": ANN, "item_indices": [item for item, _ in met], "event_times": times}
    write_rows(night, HISTORIES, [history])


def write_edges(night: Night, edges: Sequence[tuple[str, int, int, float]]) -> Version:
    rows = [{"kind": k, "source_index": s, "target_index": t, "weight": w} for k, s, t, w in edges]
    return write_rows(night, GRAPH_EDGES, rows)


@pytest.fixture
def shop_night(night: Night) -> Night:
    """Ann met the lantern twice and the mug once; Bob is known by candidates alone."""
    kinds = {LANTERN: "lights", CLOCK: "lights", BELL: "lights"}
    items = [
        {"item_id": NAMES[i], "price": PRICES[i], "category": [kinds.get(i, "table")], "first_seen": "2024-03-01"}
        for i in NAMES
    ]
    write_rows(night, ITEMS, items)
    write_rows(night, VOCABULARIES, [{"field": "item_id", "value": name, "index": i} for i, name in NAMES.items()])
    met = [(LANTERN, 3, 2, days_ago(9), days_ago(3)), (MUG, 1, 0, days_ago(40), days_ago(40))]
    columns = ("item_index", "num_events", "num_purchases", "first_time", "last_time")
    write_rows(night, INTERACTIONS, [{"user_index": ANN, **dict(zip(columns, pair, strict=True))} for pair in met])
    write_history(night, [(MUG, 40), (LANTERN, 9), (LANTERN, 6), (LANTERN, 3)])
    to_spoon = [("window", LANTERN, SPOON, 0.5), ("window", MUG, SPOON, 0.25), ("session", MUG, SPOON, 9)]
    write_edges(night, [*to_spoon, ("window", SPOON, MUG, 9)])
    write_events(night, AS_OF, [("spoon", "purchase", 1.0), ("spoon", "view", 1.0), ("spoon", "purchase", -1.0)])
    write_lists(night, "two_tower", [(ANN, SPOON, 0.5), (ANN, LANTERN, 0.5), (ANN, CLOCK, 0.75), (BOB, SPOON, 1.0)])
    write_lists(night, "item_item", [(ANN, SPOON, 3.0), (ANN, BELL, 2.0)])
    return night


def built(spark: SparkSession, night: Night, as_of: str = AS_OF) -> dict[tuple[int, int], dict[str, Any]]:
    build_ranking_features(spark, night, as_of)
    rows = night.lake.read(RANKING_FEATURES, as_of).to_pylist()
    return {(row["user_index"], row["item_index"]): row for row in rows}


def test_a_row_per_pair_that_any_model_proposed(spark: SparkSession, shop_night: Night) -> None:
    rows = built(spark, shop_night)
    assert set(rows) == {(ANN, SPOON), (ANN, LANTERN), (ANN, CLOCK), (ANN, BELL), (BOB, SPOON)}
    assert shop_night.lake.require(RANKING_FEATURES, AS_OF).facts == {"models": ["item_item", "two_tower"]}
    lists = {pair: (row["retriever_scores"], row["retriever_ranks"]) for pair, row in rows.items()}
    assert lists == {
        (ANN, SPOON): ([3.0, 0.5], [1, 3]),
        # equal scores go by item index
        (ANN, LANTERN): ([None, 0.5], [None, 2]),
        (ANN, CLOCK): ([None, 0.75], [None, 1]),
        (ANN, BELL): ([2.0, None], [2, None]),
        (BOB, SPOON): ([None, 1.0], [None, 1]),
    }


def test_what_is_known_of_the_pair_and_the_user(spark: SparkSession, shop_night: Night) -> None:
    rows = built(spark, shop_night)
    lantern, spoon, of_bob = rows[ANN, LANTERN], rows[ANN, SPOON], rows[BOB, SPOON]
    pair = ("pair_events", "pair_purchases", "pair_days_since_last", "pair_usual_gap_days")
    assert [lantern[name] for name in pair] == [3, 2, 3.0, 3.0]
    assert [spoon[name] for name in pair] == [0, 0, None, None]
    user = ("user_events_30", "user_days_since_last")
    assert [spoon[name] for name in user] == [3, 3.0]
    assert [of_bob[name] for name in user] == [0, None]
    assert [row["co_occurrence"] for row in (spoon, lantern, of_bob)] == [0.75, 0.0, 0.0]


def test_prices_are_held_against_the_category_and_the_user(spark: SparkSession, shop_night: Night) -> None:
    rows = built(spark, shop_night)
    prices = {item: (rows[ANN, item]["price_to_category"], rows[ANN, item]["price_to_user"]) for item in (BELL, CLOCK)}
    assert prices[BELL] == (pytest.approx(log(5 / 22.5)), pytest.approx(log(5 / 25)))
    assert prices[CLOCK] == (None, None)
    assert rows[BOB, SPOON]["price_to_user"] is None, "Bob met nothing that has a price"


def test_demand_counts_the_last_days_and_no_returns(spark: SparkSession, shop_night: Night) -> None:
    purchase = [("spoon", "purchase", 1.0)]
    for day in ("2024-03-04", "2024-03-03", "2024-02-10", "2024-02-09", "2023-12-12", "2023-12-11"):
        write_events(shop_night, day, purchase)
    spoon, clock = (built(spark, shop_night)[ANN, item] for item in (SPOON, CLOCK))
    # Days 1 to 7, 1 to 30 and 1 to 90 before the night; the first day of each is counted, the day before it is not.
    assert [spoon[f"demand_{days}"] for days in (7, 30, 90)] == [2, 4, 6]
    assert spoon["demand_trend"] == pytest.approx(log((2 / 7 + 1 / 30) / (4 / 30 + 1 / 30)))
    assert [clock[name] for name in ("demand_7", "demand_90", "demand_trend", "item_age_days")] == [0, 0, 0, 9]


def test_what_happens_after_the_day_changes_nothing(spark: SparkSession, shop_night: Night) -> None:
    before = built(spark, shop_night)
    version = shop_night.lake.require(RANKING_FEATURES, AS_OF)
    write_events(shop_night, "2024-03-11", [("spoon", "purchase", 1.0)])
    write_rows(shop_night, CANDIDATES, [{"user_index": NEW, "item_index": MUG}], "2024-03-11", "two_tower")
    assert built(spark, shop_night) == before
    assert shop_night.lake.require(RANKING_FEATURES, AS_OF) == version


def test_only_the_latest_items_of_a_user_speak(spark: SparkSession, shop_night: Night) -> None:
    others = [(place, 20.0) for place in range(100, 99 + NUM_LAST_ITEMS)]
    write_history(shop_night, [(MUG, 40), *others, (LANTERN, 3)])
    assert built(spark, shop_night)[ANN, SPOON]["co_occurrence"] == 0.5


def test_without_candidates_the_night_stops(spark: SparkSession, night: Night) -> None:
    with pytest.raises(TableContractError, match=r"no model has any\. Was jobs.build_candidates run"):
        build_ranking_features(spark, night, AS_OF)


def test_edges_are_summed_from_each_last_item(night: Night) -> None:
    path = write_edges(night, [("window", 3, 2, 0.5), ("window", 2, 3, 0.25), ("window", 4, 2, 1.0)]).path
    found = summed_edges(pa.array([2, 3, 9, 2], pa.int32()), pa.array([[3, 4], [2, 9], [2], []], LISTS), path)
    assert found.to_pylist() == [1.5, 0.25, 0.0, 0.0]


def test_a_graph_without_such_edges_gives_nothing(night: Night) -> None:
    path = write_edges(night, [("session", 3, 2, 0.5)]).path
    assert summed_edges(pa.array([2], pa.int32()), pa.array([[3]], LISTS), path).to_pylist() == [0.0]
