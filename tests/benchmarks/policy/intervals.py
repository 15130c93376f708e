"""The figures of `policy`, with intervals from drawing users with replacement within each seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from models.evaluation.resampling import BOUNDS, NUM_RESAMPLES, bootstrap_means

Figure = tuple[float, float, float]
"""A value with the bounds of its 95 % interval."""


def mean_reward(results: Sequence[Any], name: str) -> Figure:
    """Per user who was there on the first morning, over all nights."""
    means = seed_means(results, lambda result: result.outcomes[name].reward.sum(axis=0)[:, None])
    return _figure(means[:, 0])


def kept_share(results: Sequence[Any], name: str) -> Figure:
    """Of the users who were there on the first morning."""
    return _figure(seed_means(results, lambda result: result.outcomes[name].is_member[-1][:, None])[:, 0])


def gain_over(results: Sequence[Any], name: str, other: str) -> Figure:
    """How much more one policy earned than another by the same users, as a share."""

    def both(result: Any) -> np.ndarray:
        return np.stack([result.outcomes[one].reward.sum(axis=0) for one in (name, other)], axis=1)

    means = seed_means(results, both)
    return _figure(means[:, 0] / means[:, 1] - 1)


def by_night(results: Sequence[Any], name: str) -> np.ndarray:
    """Mean reward per user of each night, and its bounds. Shape (3, num_nights)."""
    means = seed_means(results, lambda result: result.outcomes[name].reward.T)
    return np.stack([means[0], *np.quantile(means[1:], BOUNDS, axis=0)])


def seed_means(results: Sequence[Any], columns: Callable[[Any], np.ndarray]) -> np.ndarray:
    """Means over users and seeds: of all of them first, then of resamples. Shape (1 + NUM_RESAMPLES, num_columns).

    Args:
        columns: of a seed, one row a user.
    """
    of_seeds = [np.asarray(columns(result), dtype=np.float64) for result in results]
    plain = np.mean([values.mean(axis=0) for values in of_seeds], axis=0)
    drawn = [bootstrap_means(values, NUM_RESAMPLES, seed) for seed, values in enumerate(of_seeds)]
    return np.concatenate([plain[None], np.mean(drawn, axis=0)])


def _figure(means: np.ndarray) -> Figure:
    low, high = np.quantile(means[1:], BOUNDS)
    return float(means[0]), float(low), float(high)
