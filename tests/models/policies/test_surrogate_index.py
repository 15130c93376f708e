"""What is to be expected later, and the baseline that returns are held against."""

from __future__ import annotations

import numpy as np

from models.policies.surrogate_index import expected_later
from models.policies.value_baseline import expected_returns
from tests.worlds.slate_worlds import choices_from


def test_what_came_later_is_told_by_user_and_evening_without_the_chance_in_it() -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(4000, 1, 2)), 3, axis=1)
    choices = choices_from(features, np.zeros((4000, 3), dtype=np.int64))
    evening = rng.integers(0, 3, 4000).astype(float)
    expected = 2 * features[:, 0, 1] - 3.0 * (evening == 0) + 5
    later = expected + rng.normal(0, 10, 4000)
    is_known = rng.random(4000) < 0.7
    later[~is_known] = 1e6
    found = expected_later(choices, evening, later, is_known)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 1.0
    dull, lively = (found[evening == n].mean() for n in (0, 2))
    assert 2 < lively - dull < 4


def test_where_nothing_is_known_what_came_later_stays() -> None:
    choices = choices_from(np.zeros((2, 3, 1)), np.zeros((2, 3), dtype=np.int64))
    later = np.array([1.0, 4.0])
    assert np.array_equal(expected_later(choices, later, later, np.zeros(2, dtype=bool)), later)


def test_the_baseline_knows_user_and_rank_and_not_what_stood_there() -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(2000, 1, 1)), 4, axis=1)
    choices = choices_from(features, np.zeros((2000, 4), dtype=np.int64))
    place = rng.permuted(np.tile(np.arange(4), (2000, 1)), axis=1)[:, :2]
    place[:50, 1] = -1
    level = features[:, :1, 0] + np.array([[5.0, 1.0]])
    returns = np.where(place >= 0, level + 1.0 * (place == 0) - 0.25, 99.0)
    found = expected_returns(choices, place, returns, rng.random(2000) < 0.5)
    np.testing.assert_allclose(found, level, atol=0.1)
