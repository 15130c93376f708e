"""The reward model answers for users that it has not learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.off_policy.estimators import evaluate
from models.off_policy.reward_model import RewardModelConfig, cross_fitted_rewards
from tests.worlds.small_models_world import LOGGED, TARGET, drawn_log, value

CONFIG = RewardModelConfig(num_folds=3, penalty=2.0, seed=1)


def rows(num_rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features, features of the target, rewards, users of three rows each."""
    features, target = rng.normal(size=(num_rows, 2)), rng.normal(size=(num_rows, 2))
    return features, target, features @ np.array([1.0, -2.0]) + 5, np.arange(num_rows) // 3


def test_it_is_ridge_regression_without_a_penalty_on_the_mean(rng: np.random.Generator) -> None:
    features, target, reward, _ = rows(30, rng)
    half = np.arange(30) % 2
    predicted, predicted_target = cross_fitted_rewards(features, target, reward, half, RewardModelConfig(2, 2.0))
    seen, asked = half == 0, half == 1
    centred = features[seen] - features[seen].mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + 2.0 * np.eye(2), centred.T @ reward[seen])
    for found, of in ((predicted, features), (predicted_target, target)):
        expected = reward[seen].mean() + (of[asked] - features[seen].mean(axis=0)) @ weights
        np.testing.assert_allclose(found[asked], expected)


def test_nobody_is_predicted_from_their_own_rewards(rng: np.random.Generator) -> None:
    features, target, reward, user = rows(30, rng)
    other = np.where(user == 4, reward + 100, reward)
    before = cross_fitted_rewards(features, target, reward, user, CONFIG)
    after = cross_fitted_rewards(features, target, other, user, CONFIG)
    for once, again in zip(before, after, strict=True):
        np.testing.assert_allclose(once[user == 4], again[user == 4], rtol=1e-9)
        assert not np.allclose(once, again)


def test_what_is_linear_is_learnt(rng: np.random.Generator) -> None:
    features, target, reward, user = rows(300, rng)
    predicted, predicted_target = cross_fitted_rewards(features, target, reward, user, RewardModelConfig(penalty=1e-6))
    np.testing.assert_allclose(predicted, reward, atol=1e-6)
    np.testing.assert_allclose(predicted_target, target @ np.array([1.0, -2.0]) + 5, atol=1e-6)


def test_it_narrows_the_interval_of_the_doubly_robust_estimate() -> None:
    log = drawn_log(LOGGED, 3_000, np.random.default_rng(2))
    one_hot = np.eye(6)  # of context and action
    features = one_hot[log.context * 3 + log.action]
    target = np.stack([one_hot[3 * c : 3 * c + 3].T @ TARGET[c] for c in range(2)])[log.context]
    predicted, predicted_target = cross_fitted_rewards(features, target, log.reward, np.arange(3_000), CONFIG)
    report = evaluate(
        log.reward, log.of(LOGGED), log.of(TARGET), predicted=predicted, predicted_target=predicted_target, seed=1
    )
    by_weights, robust = report.estimate("ips"), report.estimate("dr")
    assert robust.low < value(TARGET) < robust.high
    assert robust.high - robust.low < 0.8 * (by_weights.high - by_weights.low)


@pytest.mark.parametrize(("changed", "message"), [({"num_folds": 1}, "`num_folds`"), ({"penalty": 0}, "`penalty`")])
def test_a_config_checks_itself(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RewardModelConfig(**changed)


def test_too_few_users_and_other_rows_are_refused(rng: np.random.Generator) -> None:
    features, target, reward, _ = rows(6, rng)
    with pytest.raises(ValueError, match="2 units"):
        cross_fitted_rewards(features, target, reward, np.arange(6) % 2, CONFIG)
    with pytest.raises(ValueError, match="of the same rows"):
        cross_fitted_rewards(features, target, reward[:5], np.arange(6), CONFIG)
