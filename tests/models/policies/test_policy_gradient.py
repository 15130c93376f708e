"""Policies learnt by policy gradients in worlds with a known answer."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import pytest

from expectations.shop.toml_settings import settings_from_mapping
from models.interface.registry import CONFIGS
from models.policies.behaviour_policy import fit_behaviour
from models.policies.plackett_luce import PlackettLucePolicy, policy_outputs
from models.policies.policy_gradient import PolicyGradientConfig, fit
from tests.worlds.slate_worlds import FRIEND, LURE, Log, bandit, rivals, trajectories

QUICK: dict[str, Any] = {"kl_weight": 0.01, "epochs": 15, "learning_rate": 0.01, "batch_size": 128, "hidden_dim": 8}


def config(**changes: Any) -> PolicyGradientConfig:
    values = tomllib.loads((CONFIGS / "policies" / "policy_gradient.toml").read_text(encoding="utf-8"))
    return settings_from_mapping(PolicyGradientConfig, {**values, **QUICK, **changes}, "policy_gradient")


def fitted(log: Log, seed: int = 1, **changes: Any) -> PlackettLucePolicy:
    return fit(log.candidates, log.slates, log.returns, config(**changes), seed)[0]


@pytest.mark.parametrize("is_written", [True, False])
def test_what_is_clicked_stands_first_whether_propensities_are_written_or_learnt(is_written: bool) -> None:
    log = bandit(2500, np.random.default_rng(0))
    policy = fitted(log if is_written else log.without_propensities())
    asked = bandit(300, np.random.default_rng(1)).candidates
    slots = policy.draw(asked, 2, None).slots
    wanted = np.take_along_axis(asked.features[..., 2], slots, axis=1)
    best = -np.sort(-asked.features[..., 2], axis=1)[:, :2]
    assert wanted.mean() > 0.85 * best.mean()


def test_lists_that_ended_early_are_learnt_from_as_well() -> None:
    log = bandit(600, np.random.default_rng(0))
    log.slates.slots[::2, 1:] = -1
    policy, history = fit(log.candidates, log.slates, log.returns, config(epochs=3), 1)
    assert np.isfinite(history.curves["loss"]).all()
    assert np.isfinite(policy_outputs(policy.network, log.candidates)).all()


def test_items_that_rob_each_other_make_a_varied_list() -> None:
    log = rivals(2500, np.random.default_rng(0))
    kind = log.candidates.kind[0]
    varied, ranked = fitted(log), fitted(log, kl_weight=float("inf"))
    assert [kind[slots].tolist() for slots in varied.draw(log.candidates.rows(np.arange(5)), 2, None).slots] == [
        [0, 1]
    ] * 5
    assert [kind[slots].tolist() for slots in ranked.draw(log.candidates.rows(np.arange(5)), 2, None).slots] == [
        [0, 0]
    ] * 5


@pytest.mark.parametrize(("discount", "expected"), [(0.0, LURE), (0.97, FRIEND)])
def test_who_looks_ahead_forgoes_what_drives_people_away(discount: float, expected: int) -> None:
    log = trajectories(1500, discount, np.random.default_rng(0))
    first_day = log.candidates.rows(np.flatnonzero(log.candidates.day == 0)[:5])
    slots = fitted(log).draw(first_day, 1, None).slots
    assert first_day.item[0, slots[:, 0]].tolist() == [expected] * 5


def test_the_surrogate_index_may_stand_for_future_rewards() -> None:
    log = trajectories(1500, 0.97, np.random.default_rng(0))
    other_reward = np.zeros(len(log.candidates))
    policy, _ = fit(
        log.candidates,
        log.slates,
        log.returns,
        config(),
        1,
        immediate_reward=log.immediate_reward,
        other_reward=other_reward,
    )
    first_day = log.candidates.rows(np.flatnonzero(log.candidates.day == 0)[:5])
    assert first_day.item[0, policy.draw(first_day, 1, None).slots[:, 0]].tolist() == [FRIEND] * 5


@pytest.mark.parametrize("kl_weight", [1e4, float("inf")])
def test_a_policy_that_must_stay_near_gives_the_rankers_lists(kl_weight: float) -> None:
    log = bandit(500, np.random.default_rng(0))
    slots = fitted(log, kl_weight=kl_weight).draw(log.candidates, 3, None).slots
    assert np.array_equal(slots, np.argsort(-log.candidates.features[..., 0], axis=1, kind="stable")[:, :3])


def test_the_further_the_dial_is_turned_the_less_a_policy_strays() -> None:
    log = bandit(1000, np.random.default_rng(0))
    strays = [_divergence(fitted(log, kl_weight=kl_weight), log) for kl_weight in (0.01, 0.3, 3.0)]
    assert strays[0] > strays[1] > strays[2]


def test_a_learnt_behaviour_policy_finds_the_propensities() -> None:
    log = bandit(2000, np.random.default_rng(0))
    behaviour = fit_behaviour(log.candidates, log.without_propensities().slates, config(), np.random.default_rng(0))
    found = behaviour.propensity(log.candidates, log.slates)
    assert np.abs(found - log.slates.propensity).mean() < 0.02


def test_where_chance_alone_pays_the_rankers_lists_stay() -> None:
    log = bandit(300, np.random.default_rng(0))
    noise = np.random.default_rng(5).permuted(log.returns, axis=0)
    policy, history = fit(log.candidates, log.slates, noise, config(held_out_share=0.4), seed=1)
    assert history.facts["best_epoch"] == 0
    assert _divergence(policy, log) == pytest.approx(0, abs=1e-6)


def test_the_same_seed_gives_the_same_policy() -> None:
    log = bandit(300, np.random.default_rng(0)).without_propensities()
    weights = [fitted(log, seed=seed, epochs=2).network.get_weights() for seed in (3, 3, 4)]
    assert all(np.array_equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(weights[0], weights[2], strict=True))


def test_what_cannot_be_learnt_from_is_refused() -> None:
    log = bandit(10, np.random.default_rng(0))
    with pytest.raises(ValueError, match="a reward for each place"):
        fit(log.candidates, log.slates, log.returns[:5], config(), 0)
    with pytest.raises(ValueError, match=r"must be finite\. Received: NaN"):
        fit(log.candidates, log.slates, log.returns * np.nan, config(), 0)


def _divergence(policy: PlackettLucePolicy, log: Log) -> float:
    """From the ranker's policy, at the first place."""
    utility, _ = policy_outputs(policy.network, log.candidates)
    mine, rankers = (
        x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in (utility, 2 * log.candidates.features[..., 0])
    )
    return float((np.exp(mine) * (mine - rankers)).sum(axis=1).mean())
