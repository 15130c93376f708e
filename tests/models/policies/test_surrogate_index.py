"""What is to be expected later, and the baseline that returns are held against."""

from __future__ import annotations

import numpy as np

from models.policies.surrogate_index import surrogate_index
from models.policies.value_baseline import expected_returns
from tests.worlds.slate_worlds import choices_from


def test_the_surrogate_index_averages_the_chance_out_of_future_rewards() -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(4000, 1, 2)), 3, axis=1)
    candidates = choices_from(features, np.zeros((4000, 3), dtype=np.int64))
    same_day_reward = rng.integers(0, 3, 4000).astype(float)
    expected = 2 * features[:, 0, 1] - 3.0 * (same_day_reward == 0) + 5
    future_reward = expected + rng.normal(0, 10, 4000)
    is_known = rng.random(4000) < 0.7
    future_reward[~is_known] = 1e6
    found = surrogate_index(candidates, same_day_reward, future_reward, is_known)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 1.0
    dull, lively = (found[same_day_reward == n].mean() for n in (0, 2))
    assert 2 < lively - dull < 4


def test_where_nothing_is_known_what_came_later_stays() -> None:
    candidates = choices_from(np.zeros((2, 3, 1)), np.zeros((2, 3), dtype=np.int64))
    future_reward = np.array([1.0, 4.0])
    assert np.array_equal(
        surrogate_index(candidates, future_reward, future_reward, np.zeros(2, dtype=bool)), future_reward
    )


def test_the_baseline_knows_user_and_rank_and_not_what_stood_there() -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(2000, 1, 1)), 4, axis=1)
    candidates = choices_from(features, np.zeros((2000, 4), dtype=np.int64))
    slots = rng.permuted(np.tile(np.arange(4), (2000, 1)), axis=1)[:, :2]
    slots[:50, 1] = -1
    level = features[:, :1, 0] + np.array([[5.0, 1.0]])
    returns = np.where(slots >= 0, level + 1.0 * (slots == 0) - 0.25, 99.0)
    found = expected_returns(candidates, slots, returns, rng.random(2000) < 0.5)
    np.testing.assert_allclose(found, level, atol=0.1)
