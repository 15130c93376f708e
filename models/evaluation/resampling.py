"""What resamples of users tell of means: how far a mean might lie elsewhere, and whether two of them differ at all.

One user says nothing of another: below MIN_UNITS, anything is possible, and nothing speaks against "no difference".

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile intervals); Davison and
Hinkley, "Bootstrap Methods and their Application", 1997, section 4.2 (the resamples and the sample itself are counted,
(r + 1) / (n + 1): n resamples cannot tell a smaller probability, and none of them tells 0).
"""

from __future__ import annotations

import numpy as np

NUM_RESAMPLES = 1_000
"""Bootstrap resamples of users: some 25 of them lie beyond either end of a 95 % interval."""
BOUNDS = (0.025, 0.975)
"""Quantiles of a 95 % interval."""
SHARES = (0.0, 1.0)
"""All that the mean of a metric can be."""
GAINS = (-1.0, 1.0)
"""All that the difference of two such means can be."""
MIN_UNITS = 2
"""Resamples of fewer units are all alike: their quantiles make an interval of no width, as if it were certain."""
TOO_FEW_USERS = "too few users for an interval"
"""What readers say of one that holds all that is possible."""


def bootstrap_means(values: np.ndarray, num_resamples: int, seed: int) -> np.ndarray:
    """Means of users drawn with replacement, again and again.

    The columns share their draws: two models' means of one resample are about the same users, so that differences
    between columns may be read off too.

    Args:
        values: one row a user, float64. Shape (num_users, num_columns).

    Returns:
        float64, shape (num_resamples, num_columns).
    """
    num_users = len(values)
    rng = np.random.default_rng(seed)
    means = np.empty((num_resamples, values.shape[1]))
    block = max(1, 4_000_000 // num_users)  # resamples at a time: bounded memory
    for start in range(0, num_resamples, block):
        rows = min(block, num_resamples - start)
        drawn = rng.integers(0, num_users, size=(rows, num_users)) + num_users * np.arange(rows)[:, None]
        times_drawn = np.bincount(drawn.ravel(), minlength=rows * num_users).reshape(rows, num_users)
        means[start : start + rows] = times_drawn @ values / num_users
    return means


def interval(resampled: np.ndarray, num_users: int, possible: tuple[float, float]) -> tuple[float, float]:
    """The 95 % percentile interval of a mean; all that is possible where too few users were drawn from.

    Args:
        resampled: the mean of each resample, or the difference of two means. Shape (num_resamples,).
        num_users: how many the resamples were drawn from.
        possible: the least and the largest that the mean can be.
    """
    if num_users < MIN_UNITS:
        return possible
    low, high = np.quantile(resampled, BOUNDS)
    return float(low), float(high)


def interval_text(low: float, high: float, num_users: int) -> str:
    """The interval of a difference in words."""
    return TOO_FEW_USERS if num_users < MIN_UNITS else f"95 % interval {low:+.4f} to {high:+.4f}"


def two_sided_p_value(resampled: np.ndarray, num_users: int) -> float:
    """The two-sided bootstrap p-value of "no difference"; 1 where too few users were drawn from.

    Twice the smaller tail, at most 1. A tail is the share of differences on one side of 0, those of 0 among them,
    with the sample itself counted as one more: (r + 1) / (n + 1). So n resamples say 2 / (n + 1) at the least.

    Args:
        resampled: the difference of two means in each resample. Shape (num_resamples,).
        num_users: how many the resamples were drawn from.
    """
    if num_users < MIN_UNITS:
        return 1.0
    smaller_tail = min(int((resampled <= 0).sum()), int((resampled >= 0).sum()))
    return min(1.0, 2 * (smaller_tail + 1) / (len(resampled) + 1))
