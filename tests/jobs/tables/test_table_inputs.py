"""The tables of a night are built from what was in force when the build began, whatever a backfill does meanwhile."""

from __future__ import annotations

from collections import Counter

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.lake import Lake, Version
from expectations.runtime.program import Night
from expectations.tables import CANDIDATES, GRAPH_EDGES, HISTORY_VECTORS, ITEM_NEIGHBOURS, NightError, Table
from jobs.build_tables import plans
from jobs.lists.rule_counts import RuleCounts
from jobs.tables.table_inputs import table_inputs
from jobs.tables.user_recommendations import user_recommendations
from tests.worlds.small_night import (
    ANN,
    BELL,
    BOB,
    LANTERN,
    write_gate,
    write_lists,
    write_neighbours,
    write_rows,
    write_small_night,
    write_vectors,
)


@pytest.fixture
def small_night(night: Night) -> Night:
    write_small_night(night)
    return night


def test_every_pointer_is_read_once(small_night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    for model in ("graph", "content"):
        write_vectors(small_night, model, {}, {2: [1.0]})
    write_gate(small_night, healthy={"graph": True, "content": True})
    looks: Counter[tuple[str, str | None]] = Counter()
    current = Lake.current

    def counted(lake: Lake, table: Table, ds: str, model: str | None = None) -> Version | None:
        looks[table.name, model] += 1
        return current(lake, table, ds, model)

    monkeypatch.setattr(Lake, "current", counted)
    table_inputs(small_night.lake, small_night.ds, small_night.shop)
    assert looks[CANDIDATES.name, "two_tower"] == 1
    assert looks[ITEM_NEIGHBOURS.name, "item_item"] == 1
    assert set(looks.values()) == {1}


def test_what_the_gate_did_not_name_has_no_part_in_a_table(small_night: Night) -> None:
    """An earlier run left models that the shop no longer runs; as in a root that never saw them, they say nothing."""
    demand = {LANTERN: [1.0], BELL: [2.0]}
    write_vectors(small_night, "all_time_popularity", {}, demand)
    write_vectors(small_night, "cross_domain", {ANN: [1.0]}, demand)
    write_rows(small_night, HISTORY_VECTORS, [{"item_index": BELL, "vector": [1.0]}], model="cross_domain")
    for model in ("graph", "content"):
        write_vectors(small_night, model, {}, {2: [1.0]})
    healthy = dict.fromkeys(("graph", "content", "cross_domain"), True)
    named = {"all_time_popularity", "two_tower"}
    write_rows(small_night, GRAPH_EDGES, [])
    write_gate(small_night, similar_model="", healthy=healthy, named=named)
    found = table_inputs(small_night.lake, small_night.ds, small_night.shop)
    assert found.popularity is not None and found.popularity.model == "all_time_popularity"
    assert [source.source for source in found.similarity] == ["graph_edges", "item_features"]
    assert (found.neighbours, found.domain_vectors.source) == (None, "all_time_popularity")


def test_lists_that_another_run_has_replaced_are_not_published(small_night: Night) -> None:
    write_lists(small_night, "two_tower", [(ANN, BELL, 0.9)])
    with pytest.raises(
        NightError, match=r"two_tower has no lists as of ds=2024-03-10 that the gate named.*models\.gate"
    ):
        table_inputs(small_night.lake, small_night.ds, small_night.shop)


def test_a_backfill_meanwhile_changes_neither_rows_nor_fingerprints(spark: SparkSession, small_night: Night) -> None:
    inputs = table_inputs(small_night.lake, small_night.ds, small_night.shop)

    def seen() -> tuple[list[tuple[object, ...]], list[list[str]]]:
        rows = user_recommendations(spark, inputs, small_night.shop, RuleCounts())
        versions = [
            [version.fingerprint for version in plan.inputs] for plan in plans(spark, inputs, small_night.shop, 1)
        ]
        return sorted(map(tuple, rows.collect())), versions

    before = seen()
    write_lists(small_night, "two_tower", [(ANN, BELL, 0.9), (BOB, LANTERN, 0.9)])
    write_neighbours(small_night, [(LANTERN, BELL, 9.0)])
    write_vectors(small_night, "recent_demand", {}, {BELL: [9.0]})
    write_gate(small_night, published_model="recent_demand", is_fallback=True)
    assert seen() == before
