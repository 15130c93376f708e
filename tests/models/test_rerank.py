"""The policy in a night, as a program: what it writes, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.semantics.policy_decision import policy_decision
from expectations.shop.policy_settings import POLICY
from expectations.tables import CANDIDATES, FITTED_MODELS, POLICY_DECISIONS, SCORES, NightError
from models import explain, rerank
from models.interface.in_force import ModelsAsOf
from models.policies.agents import FittedAgent
from models.slates.slates import SlatePolicy
from tests.worlds.fixed_policies import CONSTANT, RANKER, REVERSED, AtRandom
from tests.worlds.judged_night import write_model
from tests.worlds.policy_night import (
    DS,
    SHOP,
    USERS,
    flags_of,
    night_of,
    publish_two_tower,
    write_small_log,
    write_world,
)

POISONED: dict[str, SlatePolicy] = {"reversed": REVERSED, "constant": CONSTANT, "random": AtRandom()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


@pytest.fixture(scope="module")
def world_night(world: Path) -> Night:
    return night_of(world)


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """These nights have no MLflow server: nothing listens on that port."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def decision_row(world: Path, world_night: Night) -> dict[str, object]:
    """The night's decision, with a policy that was really learnt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        rerank.main(flags_of(world))
    (row,) = world_night.lake.read(POLICY_DECISIONS, DS).to_pylist()
    return dict(row)


def test_a_night_learns_judges_and_writes_one_decision(decision_row: dict[str, object], world_night: Night) -> None:
    details = json.loads(str(decision_row["decision"]))
    assert decision_row["published_model"] == "two_tower"
    assert details["num_training_lists"] > 300
    assert details["by_log"]["is_allowed"] is None, "nothing was published before"
    assert details["by_backtest"]["num_lists"] > 100
    assert decision_row["is_allowed"] is details["by_backtest"]["is_allowed"]
    assert 0 <= details["movement"]["overlap"] <= 1 and details["movement"]["num_users"] == USERS
    fitted = world_night.lake.read(FITTED_MODELS, DS, POLICY).to_pylist()[0]
    assert (fitted["role"], fitted["version"]) == ("policy", decision_row["model_version"])


def test_every_candidate_stays_in_the_list_and_the_scores_are_those_of_the_list(
    decision_row: dict[str, object], world_night: Night
) -> None:
    before = world_night.lake.read(CANDIDATES, DS, "two_tower").to_pandas()
    after = world_night.lake.read(SCORES, DS, POLICY).to_pandas()
    pairs = ["user_index", "item_index"]
    assert set(map(tuple, after[pairs].to_numpy())) == set(map(tuple, before[pairs].to_numpy()))
    for user in (2, 77):
        mine, its = before[before.user_index == user], after[after.user_index == user]
        np.testing.assert_allclose(np.sort(its.score), np.sort(mine.score), atol=1e-5)
        assert its.score.is_unique


def test_a_rerun_finds_its_work_done(
    decision_row: dict[str, object], world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerank, "fit_agent", lambda *_: pytest.fail("nothing had to be learnt"))
    rerank.main(flags_of(world))


def test_another_setting_is_another_decision(
    decision_row: dict[str, object], world_night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = replace(world_night.shop, policy=replace(world_night.shop.policy, max_loss=0.2))
    lake, days = world_night.lake, world_night.backtest_days
    other, own = (rerank.load_inputs(lake, DS, days, one) for one in (shop, world_night.shop))
    assert other.fingerprint != own.fingerprint
    lists = ModelsAsOf(world_night.lake, world_night.shop, DS).lists("two_tower")
    assert lists is not None
    assert policy_decision(world_night.lake, world_night.shop, DS, lists) is not None
    assert policy_decision(world_night.lake, shop, DS, lists) is None, "it was made under other settings"


def test_what_the_policy_brought_up_is_explained_in_its_order(
    decision_row: dict[str, object], world_night: Night
) -> None:
    lists = explain.lists_to_explain(world_night, "two_tower")
    published = ModelsAsOf(world_night.lake, world_night.shop, DS).lists("two_tower")
    reranked = world_night.lake.current(SCORES, DS, POLICY)
    assert lists == (reranked if decision_row["is_allowed"] else published)


def copied(world: Path, tmp_path: Path) -> list[str]:
    """The flags of a world that was never decided."""
    shutil.copytree(world, tmp_path / "copy", ignore=shutil.ignore_patterns("policy_decisions", "model=policy"))
    return flags_of(tmp_path / "copy")


def test_a_shop_may_name_the_other_agent(world: Path, tmp_path: Path) -> None:
    flags, shop = copied(world, tmp_path), tmp_path / "copy" / "corner.toml"
    shop.write_text(SHOP.replace("policy_gradient", "q_learning"))
    rerank.main(flags)
    lake = night_of(tmp_path / "copy").lake
    (row,) = lake.read(POLICY_DECISIONS, DS).to_pylist()
    details = json.loads(row["decision"])
    assert details["by_backtest"]["num_lists"] > 100
    assert row["is_allowed"] is details["by_backtest"]["is_allowed"]
    (fitted,) = lake.read(FITTED_MODELS, DS, POLICY).to_pylist()
    assert fitted["version"] == row["model_version"]
    assert set(json.loads(fitted["metrics"])["curves"]) == {"loss, fold 1", "loss, fold 2"}
    assert lake.require(SCORES, DS, POLICY).rows == lake.require(CANDIDATES, DS, "two_tower").rows


@pytest.mark.parametrize("name", POISONED)
def test_a_poisoned_policy_is_not_published(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    flags = copied(world, tmp_path)
    monkeypatch.setattr(rerank, "fit_agent", lambda *_: Stub(POISONED[name]))
    rerank.main(flags)
    night = night_of(tmp_path / "copy")
    (row,) = night.lake.read(POLICY_DECISIONS, DS).to_pylist()
    assert row["is_allowed"] is False
    assert "does not keep" in row["reason"]
    lists = ModelsAsOf(night.lake, night.shop, DS).lists("two_tower")
    assert lists is not None
    decision = policy_decision(night.lake, night.shop, DS, lists)
    assert decision is not None and decision.lists is None


def test_a_policy_that_moves_nothing_is_allowed_and_moves_nothing(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = copied(world, tmp_path)
    monkeypatch.setattr(rerank, "fit_agent", lambda *_: Stub(RANKER))
    rerank.main(flags)
    night = night_of(tmp_path / "copy")
    (row,) = night.lake.read(POLICY_DECISIONS, DS).to_pylist()
    assert row["is_allowed"] is True
    moved = json.loads(row["decision"])["movement"]
    assert (moved["overlap"], moved["first_changed"], moved["displacement"]) == (1.0, 0.0, 0.0)
    before = night.lake.read(CANDIDATES, DS, "two_tower").sort_by(
        [("user_index", "ascending"), ("score", "descending")]
    )
    after = night.lake.read(SCORES, DS, POLICY).sort_by([("user_index", "ascending"), ("score", "descending")])
    assert before["item_index"].to_pylist() == after["item_index"].to_pylist()


class Stub(FittedAgent):
    """A policy that nobody learnt."""

    def __init__(self, policy: object) -> None:
        super().__init__(policy, ())  # type: ignore[arg-type]

    def save(self, folder: Path) -> None:
        (folder / "nothing.txt").write_text("nothing was learnt")


def test_too_little_to_learn_from_is_a_refusal_with_its_reason(tmp_path: Path) -> None:
    small_log = write_small_log(tmp_path)
    publish_two_tower(small_log.lake)
    rerank.main(flags_of(tmp_path))
    (row,) = small_log.lake.read(POLICY_DECISIONS, DS).to_pylist()
    assert (row["is_allowed"], row["model_version"]) == (False, None)
    assert row["reason"].endswith("lists are too few to learn a policy from; it takes 100.")


def test_what_was_decided_of_before_does_not_stand_in_for_a_decision_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_log = write_small_log(tmp_path)
    publish_two_tower(small_log.lake)
    rerank.main(flags_of(tmp_path))
    monkeypatch.setattr(rerank, "load_logs", lambda *_: pytest.fail("as if the worker had died"))
    rerank.main(flags_of(tmp_path))  # finds its work done
    (tmp_path / "corner.toml").write_text(SHOP.replace("max_loss = 0.1", "max_loss = 0.2"))
    with pytest.raises(pytest.fail.Exception):
        rerank.main(flags_of(tmp_path))
    assert small_log.lake.current(POLICY_DECISIONS, DS) is None


def test_a_shop_without_an_agent_is_left_alone(world: Path, tmp_path: Path) -> None:
    flags = copied(world, tmp_path)
    shop = tmp_path / "copy" / "corner.toml"
    shop.write_text(SHOP.replace('agent = "policy_gradient"', 'agent = ""'))
    rerank.main(flags)
    assert Lake(str(tmp_path / "copy" / "root")).current(POLICY_DECISIONS, DS) is None


def test_a_model_without_lists_is_named(world: Path, tmp_path: Path) -> None:
    flags = copied(world, tmp_path)
    lake = Lake(str(tmp_path / "copy" / "root"))
    write_model(lake, DS, "two_tower", [], hash="other words")
    with pytest.raises(NightError, match="the published model two_tower has no lists to re-rank"):
        rerank.main(flags)
