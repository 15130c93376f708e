"""The lists across domains, from a night small enough to check by hand: a shop of lights and of a kitchen."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from expectations.checks.partitions import Partitions
from expectations.checks.suite_runner import quiet_context, run_table
from expectations.runtime.program import Night
from expectations.semantics.published_tables import output_tables
from expectations.tables import (
    CROSS_DOMAIN_RECOMMENDATIONS,
    GATE_DECISIONS,
    HISTORIES,
    HISTORY_VECTORS,
    INTERACTIONS,
    ITEMS,
    OUTPUT_TABLES,
)
from expectations.validate import expectations_of
from jobs.build_tables import build_tables
from jobs.publish_tables import publish_tables
from jobs.publishing.manifest import table_figures
from jobs.show_night import night_text
from tests.worlds.named_by_gate import all_that_is_there
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
    write_rows,
    write_small_night,
    write_vectors,
)

LIGHTS, KITCHEN = (LANTERN, CLOCK, BELL), (MUG, SPOON, SOLD_OUT)
ITEM_VECTORS = {
    LANTERN: [1.0, 0.0, 0.5],
    MUG: [0.0, 1.0, 0.0],
    SPOON: [1.0, -1.0, 0.0],
    CLOCK: [0.5, 0.5, 0.0],
    BELL: [-1.0, 0.5, 0.0],
    SOLD_OUT: [9.0, 9.0, 9.0],
}
HISTORY = {LANTERN: [1.0, -0.5, 0.0], MUG: [0.25, 1.0, 0.0], SPOON: [0.0, 0.0, 0.0], BELL: [-1.0, 0.0, 0.0]}
USERS = {ANN: [1.25, 0.5, 1.0], BOB: [0.25, 1.0, 1.0], CID: [-1.0, 0.0, 1.0], NEW: [0.0, 0.0, 1.0]}


def write_two_domains(night: Night, is_sound: bool = True) -> None:
    """The small night, its items in two domains, and what the model `cross_domain` says of it."""
    write_small_night(night)
    items = night.lake.read(ITEMS, night.ds).to_pylist()
    lights = {f"item-{item}" for item in LIGHTS}
    write_rows(night, ITEMS, [{**row, "domain": "light" if row["item_id"] in lights else "kitchen"} for row in items])
    met = [(ANN, LANTERN, 1), (ANN, MUG, 0), (BOB, MUG, 2), (CID, BELL, 0)]
    pairs = [{"user_index": u, "item_index": i, "num_purchases": n, "weight": 4.0} for u, i, n in met]
    write_rows(night, INTERACTIONS, pairs)
    bought = {"item_indices": [LANTERN], "event_type_indices": [5], "event_times": [1_709_500_000]}
    write_rows(night, HISTORIES, [{"user_index": ANN, **bought}])
    write_vectors(night, "cross_domain", USERS, ITEM_VECTORS)
    vectors = [{"item_index": item, "vector": HISTORY.get(item, [0.0] * 3)} for item in ITEM_VECTORS]
    write_rows(night, HISTORY_VECTORS, vectors, model="cross_domain")
    write_decision(night, is_sound)


def write_decision(night: Night, is_sound: bool) -> None:
    models = ("two_tower", "item_item", "recent_demand", "cross_domain")
    row = {
        "published_model": "two_tower",
        "similar_model": "item_item",
        "decision": json.dumps({"models": [{"model": "cross_domain", "is_healthy": is_sound}]}),
        "model_versions": json.dumps({model: f"{model}-{night.ds}-1" for model in models}),
        "in_force": json.dumps(all_that_is_there(night.lake, night.ds)),
    }
    write_rows(night, GATE_DECISIONS, [row])


def listed(night: Night, *columns: str) -> list[tuple[Any, ...]]:
    rows = night.lake.read(CROSS_DOMAIN_RECOMMENDATIONS, night.ds)
    rows = rows.sort_by([(key, "ascending") for key in ("user_id", "domain", "rank")]).to_pylist()
    return [tuple(row[column] for column in columns) for row in rows]


@pytest.fixture(scope="module")
def built(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    night = new_night(tmp_path_factory.mktemp("domains"))
    write_two_domains(night)
    build_tables(spark, night)
    return night


def test_every_domain_beside_one_that_the_user_knows_has_a_list(built: Night) -> None:
    assert listed(built, "user_id", "domain", "rank", "item_id", "score") == [
        # Ann knows both, so that each has its list; what is sold out is in none.
        ("user-2", "kitchen", 1, "item-4", 0.75),
        ("user-2", "kitchen", 2, "item-3", 0.5),
        ("user-2", "light", 1, "item-2", 1.75),
        ("user-2", "light", 2, "item-5", 0.875),
        ("user-2", "light", 3, "item-6", -1.0),
        ("user-3", "light", 1, "item-2", 0.75),
        ("user-3", "light", 2, "item-5", 0.625),
        ("user-3", "light", 3, "item-6", 0.25),
        ("user-4", "kitchen", 1, "item-3", 0.0),
        ("user-4", "kitchen", 2, "item-4", -1.0),
    ]


def test_reasons_cite_what_speaks_for_the_item_in_another_domain(built: Night) -> None:
    assert listed(built, "user_id", "item_id", "reason_code", "reason", "because_item_ids") == [
        ("user-2", "item-4", "because_you_bought", "Because you bought WHITE METAL LANTERN", ["item-2"]),
        ("user-2", "item-3", "popular_now", "Popular right now", []),
        ("user-2", "item-2", "because_you_viewed", "Because you viewed MUG", ["item-3"]),
        ("user-2", "item-5", "because_you_viewed", "Because you viewed MUG", ["item-3"]),
        ("user-2", "item-6", "because_you_viewed", "Because you viewed MUG", ["item-3"]),
        ("user-3", "item-2", "because_you_bought", "Because you bought MUG", ["item-3"]),
        ("user-3", "item-5", "because_you_bought", "Because you bought MUG", ["item-3"]),
        ("user-3", "item-6", "because_you_bought", "Because you bought MUG", ["item-3"]),
        ("user-4", "item-3", "popular_now", "Popular right now", []),
        ("user-4", "item-4", "popular_now", "Popular right now", []),
    ]


def test_a_model_that_the_gate_finds_unsound_gives_way_to_demand(spark: SparkSession, night: Night) -> None:
    write_two_domains(night, is_sound=False)
    build_tables(spark, night)
    rows = listed(night, "user_id", "domain", "item_id", "score", "source", "reason_code", "model_version")
    version = f"recent_demand-{night.ds}-1"
    assert [row for row in rows if row[0] == "user-3"] == [
        ("user-3", "light", "item-2", 5.0, "recent_demand", "popular_now", version),
        ("user-3", "light", "item-5", 0.0, "recent_demand", "in_our_range", version),
        ("user-3", "light", "item-6", 0.0, "recent_demand", "in_our_range", version),
    ]


def test_what_was_bought_does_not_come_again_where_the_shop_says_never(spark: SparkSession, night: Night) -> None:
    write_two_domains(night)
    build_tables(spark, replace(night, shop=replace(night.shop, repeats="never", top_k=2)))
    rows = listed(night, "user_id", "domain", "item_id")
    assert [row for row in rows if row[0] == "user-2"] == [
        ("user-2", "kitchen", "item-4"),
        ("user-2", "kitchen", "item-3"),
        ("user-2", "light", "item-5"),
        ("user-2", "light", "item-6"),
    ]


def test_a_shop_of_one_domain_has_no_such_table(spark: SparkSession, night: Night) -> None:
    write_small_night(night)
    build_tables(spark, night)
    assert night.lake.current(CROSS_DOMAIN_RECOMMENDATIONS, night.ds) is None
    published = [table.name for table in output_tables(night.lake, night.ds)]
    assert published == [name for name in OUTPUT_TABLES if name != CROSS_DOMAIN_RECOMMENDATIONS.name]


def failures_of(spark: SparkSession, night: Night) -> tuple[str, ...]:
    partitions = Partitions(spark, night.lake)
    return run_table(
        quiet_context(), expectations_of(night, partitions, CROSS_DOMAIN_RECOMMENDATIONS, night.ds)
    ).failures


def test_what_is_built_passes_its_expectations(spark: SparkSession, built: Night) -> None:
    assert failures_of(spark, built) == ()


def test_a_shop_that_never_repeats_has_what_its_expectations_ask(spark: SparkSession, night: Night) -> None:
    strict = replace(night, shop=replace(night.shop, repeats="never"))
    write_two_domains(strict)
    build_tables(spark, strict)
    assert failures_of(spark, strict) == ()
    # Ann bought one of the three lights.
    assert [row[1] for row in listed(strict, "user_id", "domain")].count("light") == 2 + 3


def test_every_user_is_counted_once_however_many_lists_they_have(built: Night) -> None:
    lake, table = built.lake, CROSS_DOMAIN_RECOMMENDATIONS
    figures = table_figures(lake, built.ds, table, lake.require(table, built.ds))
    assert (figures.rows, figures.owners) == (10, 3)


def test_the_night_publishes_it_and_shows_it(built: Night) -> None:
    for table in output_tables(built.lake, built.ds):
        built.lake.note_validated(table, built.ds, built.lake.require(table, built.ds))
    publish_tables(built)
    page = night_text(built, None).splitlines()
    start = page.index("  user user-2, light")
    assert page[start + 1].split() == ["1", "WHITE", "METAL", "LANTERN", "1.75", "Because", "you", "viewed", "MUG"]
    across = DeltaTable(built.lake.table_path(CROSS_DOMAIN_RECOMMENDATIONS)).to_pyarrow_dataset()
    assert across.count_rows() == 10
    now = datetime(2024, 3, 11, tzinfo=timezone.utc)
    rows = duckdb.execute(
        "SELECT item_id, reason, because_item_ids FROM across "
        "WHERE ds = ? AND user_id = ? AND domain = ? AND expires_at > ? ORDER BY rank",
        ["2024-03-10", "user-3", "light", now],
    ).fetchall()
    assert rows[0] == ("item-2", "Because you bought MUG", ["item-3"])
    assert len(rows) == 3
