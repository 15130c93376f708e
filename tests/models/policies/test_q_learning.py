"""Policies learnt by Q-learning in worlds with a known answer."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from expectations.shop.toml_settings import settings_from_mapping
from models.interface.registry import CONFIGS
from models.policies.plackett_luce import PlackettLucePolicy
from models.policies.q_learning import QLearningConfig, fit
from models.slates.slates import CandidateSets
from models.slates.trajectories import link_slates
from tests.worlds.slate_worlds import FRIEND, LURE, Log, bandit, choices_from, rivals, trajectories

QUICK: dict[str, Any] = {"kl_weight": 0.0, "epochs": 8, "learning_rate": 0.01, "batch_size": 128, "hidden_dim": 8}
LAST_DAY = 60.0
"""By then it is known who did not come back."""


def config(**changes: Any) -> QLearningConfig:
    values = tomllib.loads((CONFIGS / "policies" / "q_learning.toml").read_text(encoding="utf-8"))
    return settings_from_mapping(QLearningConfig, {**values, **QUICK, **changes}, "q_learning")


def fitted(log: Log, discount: float = 0.0, seed: int = 1, **changes: Any) -> PlackettLucePolicy:
    settings = config(**changes)
    return fit(log.candidates, log.slates, log.immediate_reward, settings, seed, discount=discount, last_day=LAST_DAY)[
        0
    ]


@pytest.mark.parametrize("acts_by", ["q", "actor"])
def test_what_is_clicked_stands_first(acts_by: str) -> None:
    policy = fitted(bandit(2500, np.random.default_rng(0)), acts_by=acts_by)
    asked = bandit(300, np.random.default_rng(1)).candidates
    slots = policy.draw(asked, 2, None).slots
    wanted = np.take_along_axis(asked.features[..., 2], slots, axis=1)
    best = -np.sort(-asked.features[..., 2], axis=1)[:, :2]
    assert wanted.mean() > 0.85 * best.mean()


def test_items_that_rob_each_other_make_a_varied_list() -> None:
    log = rivals(2500, np.random.default_rng(0))
    kind, asked = log.candidates.kind[0], log.candidates.rows(np.arange(5))
    assert [kind[slots].tolist() for slots in fitted(log).draw(asked, 2, None).slots] == [[0, 1]] * 5
    ranked = fitted(log, kl_weight=float("inf"), epochs=1).draw(asked, 2, None)
    assert [kind[slots].tolist() for slots in ranked.slots] == [[0, 0]] * 5


@pytest.mark.parametrize("encoder", ["gru", "transformer"])
@pytest.mark.parametrize(("discount", "expected"), [(0.0, LURE), (0.97, FRIEND)])
def test_who_looks_ahead_forgoes_what_drives_people_away(discount: float, expected: int, encoder: str) -> None:
    log = trajectories(1500, discount, np.random.default_rng(0))
    first_day = log.candidates.rows(np.flatnonzero(log.candidates.day == 0)[:5])
    slots = fitted(log, discount, encoder=encoder).draw(first_day, 1, None).slots
    assert first_day.item[0, slots[:, 0]].tolist() == [expected] * 5


@pytest.mark.parametrize("kl_weight", [1e6, float("inf")])
def test_a_policy_that_must_stay_near_gives_the_rankers_lists(kl_weight: float) -> None:
    log = bandit(500, np.random.default_rng(0))
    slots = fitted(log, kl_weight=kl_weight, epochs=2).draw(log.candidates, 3, None).slots
    assert np.array_equal(slots, np.argsort(-log.candidates.features[..., 0], axis=1, kind="stable")[:, :3])


def test_the_same_seed_gives_the_same_policy_and_a_loaded_one_draws_the_same(tmp_path: Path) -> None:
    log = rivals(200, np.random.default_rng(0))
    first, again, other = (fitted(log, seed=seed, epochs=2) for seed in (3, 3, 4))
    first.save(tmp_path / "policy")
    loaded = PlackettLucePolicy.load(tmp_path / "policy")
    expected = first.propensity(log.candidates, log.slates)
    assert np.array_equal(again.propensity(log.candidates, log.slates), expected)
    assert np.array_equal(loaded.propensity(log.candidates, log.slates), expected)
    assert not np.array_equal(other.propensity(log.candidates, log.slates), expected)


def test_a_kind_that_came_later_is_as_good_as_none() -> None:
    log = rivals(200, np.random.default_rng(0))
    policy = fitted(log, epochs=2)
    new, none = (replace(log.candidates, kind=np.full_like(log.candidates.kind, kind)) for kind in (99, -1))
    assert np.array_equal(policy.draw(new, 1, None).slots, policy.draw(none, 1, None).slots)


def test_histories_are_needed() -> None:
    log = bandit(20, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"reads histories\. Received"):
        fitted(replace(log, candidates=replace(log.candidates, history=None)))


def test_a_users_lists_follow_each_other_and_silence_is_known_in_time() -> None:
    candidates = _lists_of(user=[7, 8, 7, 7], day=[4.0, 4.0, 1.0, 9.0])
    found = link_slates(candidates, gone_after_days=3, last_day=10)
    assert found.next_slate.tolist() == [3, -1, 0, -1]
    assert found.days.tolist() == [5, 0, 3, 0]
    assert found.is_known.tolist() == [True, True, True, False]
    later = found.discounted(np.array([10.0, 1.0, 100.0, 1000.0]), 0.5)
    assert later.tolist() == [0.5**5 * 1000, 0, 0.5**3 * 10 + 0.5**8 * 1000, 0]


def _lists_of(user: list[int], day: list[float]) -> CandidateSets:
    candidates = choices_from(np.zeros((len(user), 2, 1)), np.zeros((len(user), 2), dtype=np.int64))
    return replace(candidates, user=np.array(user), day=np.array(day))
