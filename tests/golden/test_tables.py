"""Tables that are built from a whole night, against their golden folders.

The published ones are those of a shop that never repeats what somebody bought.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyspark.sql import DataFrame, SparkSession

from expectations.runtime.program import Night
from expectations.shop.shop import NewUsers
from expectations.tables import GRAPH_EDGES
from jobs.features.graph_edges import build_graph_edges
from jobs.lists.gate_decision import gate_decision
from jobs.lists.rule_counts import RuleCounts
from jobs.tables.cross_domain_recommendations import cross_domain_recommendations
from jobs.tables.new_item_audiences import new_item_audiences
from jobs.tables.new_user_recommendations import new_user_recommendations
from jobs.tables.similar_items import similar_items
from jobs.tables.user_recommendations import user_recommendations
from tests.golden.golden import expected_rows, write_inputs


@pytest.fixture
def strict_night(night: Night) -> Night:
    return replace(night, shop=replace(night.shop, repeats="never"))


def rows_of(frame: DataFrame, *owner: str) -> list[dict[str, object]]:
    return [row.asDict() for row in frame.orderBy(*owner, "rank").collect()]


def test_user_recommendations(spark: SparkSession, strict_night: Night) -> None:
    write_inputs(strict_night, "user_recommendations")
    rows = user_recommendations(spark, strict_night, gate_decision(strict_night.lake, strict_night.ds), RuleCounts())
    assert rows_of(rows, "user_id") == expected_rows("user_recommendations")


def test_similar_items(spark: SparkSession, strict_night: Night) -> None:
    write_inputs(strict_night, "similar_items")
    rows = similar_items(spark, strict_night, gate_decision(strict_night.lake, strict_night.ds))
    assert rows_of(rows, "item_id") == expected_rows("similar_items")


def test_new_user_recommendations(spark: SparkSession, strict_night: Night) -> None:
    write_inputs(strict_night, "new_user_recommendations")
    small = replace(strict_night, shop=replace(strict_night.shop, new_users=NewUsers(min_people=2)))
    assert rows_of(new_user_recommendations(spark, small), "segment") == expected_rows("new_user_recommendations")


def test_new_item_audiences(spark: SparkSession, strict_night: Night) -> None:
    write_inputs(strict_night, "new_item_audiences")
    rows = new_item_audiences(spark, strict_night)
    assert rows_of(rows, "item_id") == expected_rows("new_item_audiences")


def test_cross_domain_recommendations(spark: SparkSession, strict_night: Night) -> None:
    write_inputs(strict_night, "cross_domain_recommendations")
    rows = cross_domain_recommendations(spark, strict_night, gate_decision(strict_night.lake, strict_night.ds))
    assert rows_of(rows, "user_id", "domain") == expected_rows("cross_domain_recommendations")


def test_graph_edges(spark: SparkSession, night: Night) -> None:
    write_inputs(night, "graph_edges")
    build_graph_edges(spark, night.lake, night.ds, night.shop.event_weights)
    rows = night.lake.read(GRAPH_EDGES, night.ds).drop_columns(["ds"]).to_pylist()
    assert sorted(rows, key=str) == sorted(expected_rows("graph_edges"), key=str)
