"""From feature tables to fitted models and scores, through the lake."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.shop import Shop
from expectations.shop.toml_settings import SettingsError
from expectations.tables import (
    CANDIDATES,
    FITTED_MODELS,
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    SCORES,
    USER_VECTORS,
    NightError,
    TableContractError,
)
from models import plan, score, train
from models.data.arrow_rows import arrow_rows
from models.interface.registry import config_values, shop_values
from models.interface.weights_store import fetched_folder
from tests.models.conftest import NO_SERVER
from tests.worlds.communities import DAY, community_events, write_world
from tests.worlds.judged_night import put_in_force

BASELINES = ["all_time_popularity", "recent_demand", "item_item"]


@pytest.fixture
def world_night(night: Night, world_shop: Shop) -> Night:
    write_world(night.lake, community_events())
    return replace(night, shop=world_shop, ds=DAY, tracking_server=NO_SERVER)


def test_the_plan_keeps_the_shops_order() -> None:
    assert plan.plan(("deep_cf", "item_item", "two_tower", "recent_demand")) == {
        "baselines": ["item_item", "recent_demand"],
        "deep": ["deep_cf", "two_tower"],
    }


def test_the_longest_fits_of_the_night_before_come_first_and_unknown_ones_before_them(world_night: Night) -> None:
    lake = world_night.lake
    for name, seconds in (("two_tower", 12.0), ("deep_cf", 40.0), ("graph", 30.0)):
        row = {
            "model": name,
            "kind": "deep",
            "role": "retrieval",
            "version": "1",
            "weights_path": "x",
            "tracking_run_id": None,
            "metrics": json.dumps({"seconds": seconds}),
            "vocabulary_hash": "world",
        }
        lake.write(FITTED_MODELS, DAY, arrow_rows(FITTED_MODELS, DAY, [row]), "f", model=name)
    names = ["two_tower", "graph", "sequence", "deep_cf", "content"]
    assert plan.longest_first(lake, DAY, names) == ["sequence", "content", "deep_cf", "graph", "two_tower"]
    assert plan.longest_first(lake, "2001-01-01", names) == names


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"Received: 'item_itme'. Did you mean 'item_item'.* Known: all_time"):
        plan.plan(("item_itme",))


def test_baselines_write_vectors_neighbours_and_a_row_each(world_night: Night) -> None:
    train.train_models(world_night, DAY, BASELINES)
    lake = world_night.lake
    assert lake.models(FITTED_MODELS, DAY) == sorted(BASELINES)
    assert lake.read(USER_VECTORS, DAY, "recent_demand")["user_index"].to_pylist() == list(range(2, 27))
    assert lake.read(ITEM_VECTORS, DAY, "recent_demand")["item_index"].to_pylist() == list(range(2, 23))
    neighbours = lake.read(ITEM_NEIGHBOURS, DAY, "item_item")
    pairs = list(zip(neighbours["item_index"].to_pylist(), neighbours["neighbour_index"].to_pylist(), strict=True))
    assert pairs == sorted(set(pairs))
    row = lake.read(FITTED_MODELS, DAY, "item_item").to_pylist()[0]
    assert (row["kind"], row["role"], row["vocabulary_hash"]) == ("baseline", "retrieval", "world")
    assert row["version"].startswith(f"item_item-{DAY}-")
    assert row["tracking_run_id"] is None
    assert "seconds" in json.loads(row["metrics"])


def test_a_fit_from_the_same_inputs_is_not_repeated(world_night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    train.train_models(world_night, DAY, ["recent_demand"])
    monkeypatch.setattr(train, "load_dataset", lambda *_: pytest.fail("nothing had to be read"))
    train.train_models(world_night, DAY, ["recent_demand"])


def test_another_seed_is_another_fit(world_night: Night) -> None:
    train.train_models(world_night, DAY, ["recent_demand"])
    before = world_night.lake.require(FITTED_MODELS, DAY, "recent_demand")
    train.train_models(replace(world_night, shop=replace(world_night.shop, seed=5)), DAY, ["recent_demand"])
    assert world_night.lake.require(FITTED_MODELS, DAY, "recent_demand").fingerprint != before.fingerprint


def test_a_shop_has_its_own_settings_of_a_model(world_night: Night) -> None:
    names = ["recent_demand", "item_item"]
    train.train_models(world_night, DAY, names)
    before = {name: world_night.lake.require(FITTED_MODELS, DAY, name).fingerprint for name in names}
    shop = replace(world_night.shop, settings={"item_item": {"shrinkage": 7.0}})
    train.train_models(replace(world_night, shop=shop), DAY, names)
    after = {name: world_night.lake.require(FITTED_MODELS, DAY, name).fingerprint for name in names}
    assert after["recent_demand"] == before["recent_demand"]
    assert after["item_item"] != before["item_item"]
    fitted = world_night.lake.read(FITTED_MODELS, DAY, "item_item").to_pylist()[0]
    with fetched_folder(world_night.lake, fitted["weights_path"]) as folder:
        assert json.loads((folder / "config.json").read_text("utf-8"))["shrinkage"] == 7.0


def test_a_setting_that_a_model_does_not_have_is_named(world_night: Night) -> None:
    shop = replace(world_night.shop, settings={"item_item": {"shrinkag": 7.0}})
    with pytest.raises(SettingsError, match=r"item_item.toml with \[settings\] .* unknown key 'shrinkag'"):
        train.train_models(replace(world_night, shop=shop), DAY, ["item_item"])


def test_tables_of_settings_are_merged(world_night: Night) -> None:
    shop = replace(world_night.shop, settings={"deep_cf": {"epochs": 2, "neighbours": {"shrinkage": 7.0}}})
    plain, values = config_values("deep_cf"), shop_values(shop, "deep_cf")
    assert values == {**plain, "epochs": 2, "neighbours": {**plain["neighbours"], "shrinkage": 7.0}}


def test_features_that_were_never_built_are_named(night: Night) -> None:
    with pytest.raises(TableContractError, match="vocabularies ds=2024-03-10: no such partition"):
        train.train_models(night, DAY, ["item_item"])


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3"])
def test_a_shard_is_i_of_n(text: str) -> None:
    with pytest.raises(NightError, match="--shard must be i/n"):
        score.Shard.from_text(text)


class TestScores:
    """One fit of the ranking model; scores of candidates that a retrieval model would have written."""

    @pytest.fixture(scope="class")
    def fitted_root(self, tmp_path_factory: pytest.TempPathFactory, world_shop: Shop) -> str:
        root = str(tmp_path_factory.mktemp("ranked"))
        lake = Lake(root)
        write_world(lake, community_events())
        train.train_models(_night_of(root, world_shop), DAY, ["deep_cf", "recent_demand"])
        pairs = [(user, item) for user in (2, 3, 26) for item in (4, 5, 22)]
        lake.write(CANDIDATES, DAY, candidate_rows(pairs), "proposed", model="recent_demand")
        put_in_force(lake, world_shop, DAY)
        return root

    @pytest.fixture(scope="class")
    def scored(self, fitted_root: str, world_shop: Shop) -> pa.Table:
        night = _night_of(fitted_root, world_shop)
        assert score.score_candidates(night, DAY, "deep_cf", score.Shard()) is not None
        return night.lake.read(SCORES, DAY, "deep_cf")

    def test_candidates_and_the_users_own_items_are_scored(self, scored: pa.Table) -> None:
        events = community_events()
        expected = {(user, item) for user in (2, 3, 26) for item in (4, 5, 22)} | {(u, i) for u, i, _ in events}
        found = list(zip(scored["user_index"].to_pylist(), scored["item_index"].to_pylist(), strict=True))
        assert found == sorted(expected)

    def test_seen_items_are_marked(self, scored: pa.Table) -> None:
        met = {(user, item) for user, item, _ in community_events()}
        for row in scored.to_pylist():
            assert row["is_seen"] == ((row["user_index"], row["item_index"]) in met)

    def test_scores_are_finite_and_differ(self, scored: pa.Table) -> None:
        scores = scored["score"].to_numpy()
        assert np.isfinite(scores).all()
        assert len(np.unique(scores)) > len(scores) / 2

    def test_shards_come_into_force_together_and_equal_one_run(
        self,
        fitted_root: str,
        world_shop: Shop,
        scored: pa.Table,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(score, "USERS_AT_ONCE", 5)
        night = _night_of(fitted_root, world_shop)
        now = night.lake.require(SCORES, DAY, "deep_cf")
        before = night.lake.commit(SCORES, DAY, now.path, "from other inputs", now.rows, "deep_cf")
        assert score.score_candidates(night, DAY, "deep_cf", score.Shard(2, 2)) is None
        assert night.lake.require(SCORES, DAY, "deep_cf") == before
        assert score.score_candidates(night, DAY, "deep_cf", score.Shard(1, 2)) is not None
        keys = [("user_index", "ascending"), ("item_index", "ascending")]
        sharded = night.lake.read(SCORES, DAY, "deep_cf").sort_by(keys)
        assert sharded.drop(["score"]).equals(scored.drop(["score"]))
        np.testing.assert_allclose(sharded["score"].to_numpy(), scored["score"].to_numpy(), rtol=1e-4, atol=1e-5)

    def test_no_candidates_is_an_error(self, fitted_root: str, world_shop: Shop) -> None:
        night = _night_of(fitted_root, replace(world_shop, models=("two_tower", "deep_cf")))
        with pytest.raises(
            TableContractError, match="candidates ds=2024-03-10: no model of two_tower, deep_cf has any that"
        ):
            score.score_candidates(night, DAY, "deep_cf", score.Shard())


def candidate_rows(pairs: list[tuple[int, int]]) -> pa.Table:
    return pa.table(
        {
            "ds": [DAY] * len(pairs),
            "model": ["recent_demand"] * len(pairs),
            "user_index": pa.array([user for user, _ in pairs], pa.int32()),
            "item_index": pa.array([item for _, item in pairs], pa.int32()),
            "score": pa.array([1.0] * len(pairs), pa.float32()),
            "is_seen": [False] * len(pairs),
        }
    )


def _night_of(root: str, shop: Shop) -> Night:
    from datetime import datetime, timezone

    now = datetime(2024, 3, 11, 2, tzinfo=timezone.utc)
    return Night(Lake(root), "unused", shop, DAY, run_id="test", now=now, tracking_server=NO_SERVER)
