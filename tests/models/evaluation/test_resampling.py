"""What resamples say, and that one user says nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.evaluation.resampling import (
    GAINS,
    NUM_RESAMPLES,
    SHARES,
    TOO_FEW_USERS,
    bootstrap_means,
    interval,
    interval_text,
    two_sided_p_value,
)


def test_bootstrap_is_seeded_and_does_not_depend_on_how_many_columns_share_it() -> None:
    values = np.random.default_rng(3).random((50, 2))
    once, alone = bootstrap_means(values, 40, seed=1), bootstrap_means(values[:, :1], 40, seed=1)
    np.testing.assert_allclose(once[:, :1], alone)
    assert not np.array_equal(once, bootstrap_means(values, 40, seed=2))


def test_bootstrap_interval_is_that_of_the_normal_approximation_for_many_users() -> None:
    values = np.random.default_rng(3).random((4_000, 1))
    low, high = interval(bootstrap_means(values, NUM_RESAMPLES, seed=5)[:, 0], len(values), SHARES)
    half_width = 1.96 * values.std() / math.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half_width, abs=0.1 * half_width)
    assert high == pytest.approx(values.mean() + half_width, abs=0.1 * half_width)


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [
        (np.ones(1_000), 2 / 1_001),  # all on one side: what a thousand resamples say at the least
        (-np.ones(1_000), 2 / 1_001),
        (np.repeat([1.0, -1.0], [990, 10]), 2 * 11 / 1_001),
        (np.repeat([1.0, 0.0], [990, 10]), 2 * 11 / 1_001),  # no difference is on both sides
        (np.zeros(1_000), 1.0),
        (np.repeat([1.0, -1.0], [500, 500]), 1.0),
        (np.ones(19), 0.1),  # few resamples say little
    ],
)
def test_the_sample_itself_counts_among_the_resamples(differences: np.ndarray, p_value: float) -> None:
    assert two_sided_p_value(differences, num_users=50) == pytest.approx(p_value)


def test_p_values_of_equal_models_are_spread_evenly() -> None:
    rng = np.random.default_rng(7)
    p_values = [
        two_sided_p_value(bootstrap_means(rng.normal(size=(200, 1)), 199, seed)[:, 0], 200) for seed in range(400)
    ]
    # Of 400, 20 lie below 0.05 and 200 below 0.5; three standard deviations of these counts are 13 and 30.
    assert 7 <= np.sum(np.array(p_values) <= 0.05) <= 33
    assert 170 <= np.sum(np.array(p_values) <= 0.5) <= 230


def test_one_user_makes_no_interval_and_no_evidence() -> None:
    resampled = bootstrap_means(np.array([[0.1309]]), NUM_RESAMPLES, seed=1)[:, 0]
    assert interval(resampled, 1, GAINS) == (-1.0, 1.0)
    assert two_sided_p_value(resampled, 1) == 1.0
    assert interval_text(-1.0, 1.0, num_users=1) == TOO_FEW_USERS
    low, high = interval(bootstrap_means(np.array([[0.0], [1.0]]), NUM_RESAMPLES, seed=1)[:, 0], 2, GAINS)
    assert interval_text(low, high, num_users=2) == "95 % interval +0.0000 to +1.0000"
