"""Intervals of what a log says, by drawing *units* with replacement.

All rows of one user come along together or not at all, since they are alike. Estimators are ratios of sums over rows,
so that of a unit its sums are all that is kept: what resampling needs grows with units and columns, not with resamples.

Source: Efron and Tibshirani 1993, chapter 13 (percentile intervals).
What differs from scipy.stats.bootstrap: units are drawn, not rows, and all estimators share the draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.evaluation.resampling import MIN_UNITS, bootstrap_means
from models.off_policy.report import Estimate, OffPolicyReport, Overlap


class Resamples:
    """Means over a log's rows: of the log as it is, and of logs made of its units drawn with replacement.

    Args:
        unit: whose row it is. Shape (num_rows,).
    """

    def __init__(self, unit: np.ndarray, seed: int, num_resamples: int, confidence: float):
        if num_resamples < 1:
            raise ValueError(f"`num_resamples` must be at least 1. Received: num_resamples={num_resamples}")
        if not 0 < confidence < 1:
            raise ValueError(f"`confidence` must lie between 0 and 1, such as 0.95. Received: confidence={confidence}")
        units, self._unit = np.unique(unit, return_inverse=True)
        self.num_units = len(units)
        self._seed, self._num_resamples = seed, num_resamples
        self._bounds = (1 - confidence) / 2, (1 + confidence) / 2

    def means(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns means over rows.

        Args:
            columns: name -> shape (num_rows, width), float64.

        Returns:
            name -> shape (1 + num_resamples, width), float64, the log itself first.
        """
        num_rows = np.ones(len(self._unit))
        wide = [num_rows, *(column for columns_ in columns.values() for column in columns_.T)]
        sums = np.stack([np.bincount(self._unit, column, self.num_units) for column in wide])
        drawn = bootstrap_means(sums.T, self._num_resamples, self._seed)
        totals = np.concatenate([sums.mean(axis=1)[None, :], drawn])
        ends = np.cumsum([columns_.shape[1] for columns_ in columns.values()])[:-1]
        return dict(zip(columns, np.split(totals[:, 1:] / totals[:, :1], ends, axis=1), strict=True))

    def estimate(self, estimator: str, values: np.ndarray) -> Estimate:
        """Reads value and percentiles; of a single unit, whose resamples are all alike, the interval is without bounds.

        Args:
            values: NaN where nothing can be said, which may be anything. Shape (1 + num_resamples,), float64.
        """
        if np.isnan(values[0]):
            return Estimate(estimator, np.nan, -np.inf, np.inf)
        if self.num_units < MIN_UNITS:
            return Estimate(estimator, float(values[0]), -np.inf, np.inf)
        low = np.quantile(np.where(np.isnan(values[1:]), -np.inf, values[1:]), self._bounds[0], method="lower")
        high = np.quantile(np.where(np.isnan(values[1:]), np.inf, values[1:]), self._bounds[1], method="higher")
        return Estimate(estimator, float(values[0]), float(low), float(high))

    def report(
        self, values: Mapping[str, np.ndarray], on_policy: np.ndarray, overlaps: Sequence[Overlap]
    ) -> OffPolicyReport:
        """Makes estimates and gains of values on the same resamples.

        Args:
            values: estimator -> the target's value. Each of shape (1 + num_resamples,), float64.
            on_policy: the mean reward of the log's policy. Same shape.
            overlaps: as in `OffPolicyReport`.
        """
        return OffPolicyReport(
            self.estimate("on_policy", on_policy),
            tuple(self.estimate(name, of_target) for name, of_target in values.items()),
            tuple(self.estimate(name, of_target - on_policy) for name, of_target in values.items()),
            tuple(overlaps),
            len(self._unit),
            self.num_units,
        )

    def overlap(self, weight: np.ndarray, reward: np.ndarray, max_weight: float, mean_weight: np.ndarray) -> Overlap:
        """Describes the weights of rows.

        Args:
            weight: before the cap. Shape (num_rows,), float64, as `reward`.
            mean_weight: after the cap. Shape (1 + num_resamples,), float64.
        """
        used = np.minimum(weight, max_weight)
        squares = float((used**2).sum())
        effective = float(used.sum()) ** 2 / squares if squares else 0.0
        return Overlap(
            effective_rows=effective,
            effective_share=effective / len(used),
            largest_weight=float(used.max()),
            share_without_weight=float((used == 0).mean()),
            share_capped=float((weight > max_weight).mean()),
            rewarded_rows=int(((used > 0) & (reward != 0)).sum()),
            mean_weight=self.estimate("mean_weight", mean_weight),
        )


def share(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Returns a ratio of sums; NaN over 0.

    Args:
        numerator, denominator: of one shape, float64, which the result has, too.
    """
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)
