"""Tables that are built from a whole night, against their golden folders.

The published ones are those of a shop that never repeats what somebody bought.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyspark.sql import DataFrame, SparkSession

from expectations.runtime.program import Night
from expectations.shop.table_settings import NewUsers
from expectations.tables import GRAPH_EDGES, ITEM_NEIGHBOURS
from jobs.features.graph_edges import build_graph_edges
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.gate_decision import gate_decision
from jobs.lists.popularity_order import popularity_vectors
from jobs.lists.rule_counts import RuleCounts
from jobs.tables.cross_domain_recommendations import cross_domain_recommendations
from jobs.tables.domain_vectors import domain_vectors
from jobs.tables.new_item_audiences import new_item_audiences
from jobs.tables.new_user_recommendations import new_user_recommendations
from jobs.tables.similar_items import similar_items
from jobs.tables.similarity_sources import similarity_sources
from jobs.tables.table_inputs import table_inputs
from jobs.tables.user_recommendations import user_recommendations
from tests.golden.golden import expected_rows, write_inputs


@pytest.fixture
def strict_night(night: Night) -> Night:
    return replace(night, shop=replace(night.shop, repeats="never"))


def features_of(night: Night) -> FeatureTables:
    return FeatureTables.resolve(night.lake, night.ds)


def rows_of(frame: DataFrame, *owner: str) -> list[dict[str, object]]:
    return [row.asDict() for row in frame.orderBy(*owner, "rank").collect()]


def test_user_recommendations(spark: SparkSession, strict_night: Night) -> None:
    write_inputs(strict_night, "user_recommendations")
    inputs = table_inputs(strict_night.lake, strict_night.ds, strict_night.shop)
    rows = user_recommendations(spark, inputs, strict_night.shop, RuleCounts())
    assert rows_of(rows, "user_id") == expected_rows("user_recommendations")


def test_similar_items(spark: SparkSession, strict_night: Night) -> None:
    write_inputs(strict_night, "similar_items")
    lake, ds, shop = strict_night.lake, strict_night.ds, strict_night.shop
    features, gate = features_of(strict_night), gate_decision(lake, ds)
    sources = similarity_sources(lake, features, gate, lake.require(ITEM_NEIGHBOURS, ds, gate.similar_model))
    popularity = popularity_vectors(lake, gate.in_force)
    rows = similar_items(spark, features, sources, popularity, shop)
    assert rows_of(rows, "item_id") == expected_rows("similar_items")


def test_new_user_recommendations(spark: SparkSession, strict_night: Night) -> None:
    write_inputs(strict_night, "new_user_recommendations")
    small = replace(strict_night, shop=replace(strict_night.shop, new_users=NewUsers(min_people=2)))
    assert rows_of(new_user_recommendations(spark, features_of(small), small.shop), "segment") == expected_rows(
        "new_user_recommendations"
    )


def test_new_item_audiences(spark: SparkSession, strict_night: Night) -> None:
    write_inputs(strict_night, "new_item_audiences")
    rows = new_item_audiences(spark, features_of(strict_night), strict_night.shop)
    assert rows_of(rows, "item_id") == expected_rows("new_item_audiences")


def test_cross_domain_recommendations(spark: SparkSession, strict_night: Night) -> None:
    write_inputs(strict_night, "cross_domain_recommendations")
    lake, ds, features = strict_night.lake, strict_night.ds, features_of(strict_night)
    gate = gate_decision(lake, ds)
    popularity = popularity_vectors(lake, gate.in_force)
    vectors = domain_vectors(lake, gate, popularity)
    rows = cross_domain_recommendations(spark, features, vectors, popularity, strict_night.shop)
    assert rows_of(rows, "user_id", "domain") == expected_rows("cross_domain_recommendations")


def test_graph_edges(spark: SparkSession, night: Night) -> None:
    write_inputs(night, "graph_edges")
    build_graph_edges(spark, night.lake, night.ds, night.shop)
    rows = night.lake.read(GRAPH_EDGES, night.ds).drop_columns(["ds"]).to_pylist()
    assert sorted(rows, key=str) == sorted(expected_rows("graph_edges"), key=str)
