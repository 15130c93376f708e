"""Two departments, bought in by the same people: one shop, one catalogue, one graph."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from expectations.runtime.lake import Version
from expectations.runtime.program import Night
from expectations.semantics.models_in_force import ModelsInForce
from expectations.shop.shop import load_shop
from expectations.tables import GRAPH_EDGES, INTERACTIONS, ITEM_FEATURES, ITEMS, VOCABULARIES
from jobs.ingest import ingest
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.gate_decision import GateDecision
from jobs.lists.popularity_order import popularity_vectors
from jobs.preprocess import preprocess
from jobs.split_days import split_days
from jobs.tables.cross_domain_recommendations import cross_domain_recommendations
from jobs.tables.domain_vectors import domain_vectors
from models.train import train_models
from tests.worlds.named_by_gate import all_that_is_there
from tests.worlds.small_night import new_night

NOW = datetime(2100, 1, 1, tzinfo=timezone.utc)
"""Long after all files were written."""
LAST_DAYS = 120
"""Days of the log that the test takes: all of its fourteen years would be thousands of drops."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def both(spark: SparkSession, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The features as of the last day."""
    folder = real_data / "amazon_cross_domain"
    if not folder.is_dir():
        pytest.skip(f"no amazon_cross_domain under {real_data}")
    root = tmp_path_factory.mktemp("cross_domain")
    events = pq.read_table(folder / "events.parquet")
    days = pc.utf8_slice_codeunits(events["event_time"].cast("string"), 0, 10)
    known_days = sorted(set(days.to_pylist()))[-LAST_DAYS:]
    latest = root / "latest.parquet"
    pq.write_table(events.filter(pc.greater_equal(days, known_days[0])), latest)
    night = replace(new_night(root), shop=load_shop("amazon_cross_domain"), ds=known_days[-1], now=NOW)
    split_days(spark, night, latest, folder / "beauty_items.parquet", None)
    ingest(spark, night)
    preprocess(spark, night, night.ds)
    return night


def test_the_catalogue_knows_one_department_and_events_tell_of_the_other(both: Night) -> None:
    items = both.lake.read(ITEMS, both.ds)
    assert set(items["domain"].to_pylist()) == {"beauty", "electronics"}
    of = {name: items.filter(pc.equal(items["domain"], name)) for name in ("beauty", "electronics")}
    assert pc.count(of["beauty"]["title"]).as_py() > 0.5 * len(of["beauty"])
    assert pc.count(of["electronics"]["title"]).as_py() == 0


def test_edges_lead_from_one_department_to_the_other_alone(both: Night) -> None:
    edges = both.lake.read(GRAPH_EDGES, both.ds)
    edges = edges.filter(pc.equal(edges["kind"], "cross_domain"))
    features = both.lake.read(ITEM_FEATURES, both.ds)
    domain = dict(zip(features["item_index"].to_pylist(), features["domain_index"].to_pylist(), strict=True))
    assert len(edges) > 100
    assert all(
        domain[source] != domain[target]
        for source, target in zip(edges["source_index"].to_pylist(), edges["target_index"].to_pylist(), strict=True)
    )


def test_every_index_is_one_of_the_vocabularies(both: Night) -> None:
    vocabularies = both.lake.read(VOCABULARIES, both.ds)
    largest = dict(
        zip(*vocabularies.group_by("field").aggregate([("index", "max")]).select(["field", "index_max"]), strict=True)
    )
    known = {str(field): index.as_py() for field, index in largest.items()}
    pairs = both.lake.read(INTERACTIONS, both.ds)
    assert pc.max(pairs["user_index"]).as_py() <= known["user_id"]
    assert pc.max(pairs["item_index"]).as_py() <= known["item_id"]
    assert {"domain", "category", "brand", "token"} <= set(known)


def test_buyers_of_one_department_get_lists_of_the_other(spark: SparkSession, both: Night) -> None:
    quick = replace(both, shop=replace(both.shop, settings={"cross_domain": {"epochs": 1, "embedding_dim": 16}}))
    train_models(quick, quick.ds, ["recent_demand", "cross_domain"])
    told = {"models": [{"model": "cross_domain", "is_healthy": True}]}
    versions = {"cross_domain": "1", "recent_demand": "1"}
    in_force = ModelsInForce(quick.ds, all_that_is_there(quick.lake, quick.ds))
    gate = GateDecision(quick.ds, Version("", "", 0), "recent_demand", "", False, None, told, versions, in_force)
    features, popularity = FeatureTables.resolve(quick.lake, quick.ds), popularity_vectors(quick.lake, in_force)
    vectors = domain_vectors(quick.lake, gate, popularity)
    rows = cross_domain_recommendations(spark, features, vectors, popularity, quick.shop).toPandas()
    domain_of = both.lake.read(ITEMS, both.ds).to_pandas().set_index("item_id").domain
    assert set(rows.domain) == {"beauty", "electronics"}
    assert (rows.item_id.map(domain_of) == rows.domain).all()
    assert (rows.groupby(["user_id", "domain"]).size() == both.shop.top_k).all()
    cited = rows.explode("because_item_ids").dropna(subset=["because_item_ids"])
    assert len(cited) > 0.1 * len(rows)
    assert (cited.because_item_ids.map(domain_of) != cited.domain).all()
