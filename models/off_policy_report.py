"""What a log says of a policy that never ran: estimates with intervals, and how far the log can be trusted.

Estimators are ratios of sums over a log's rows. Intervals come from drawing *units* with replacement (Efron and
Tibshirani 1993, chapter 13): all rows of one user come along together or not at all, since they are alike. Of a unit,
its sums are all that is kept, so that what resampling needs grows with units and columns, not with resamples.

An interval rests on the rewards that were seen: where few rows are rewarded, or few carry the weight, it is too narrow.
`Overlap` tells both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.metrics import bootstrap_means


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        estimator: what it was computed by.
        value: NaN where the log has no row that speaks for it; comparisons with NaN are false, so that a gate stays
            closed.
        low: lower bound; -inf where too many resamples have no row that speaks for it, as `high` is inf.
    """

    estimator: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Overlap:
    """Whether the log shows what the target would show. A row's weight: how many rows of the target it stands for.

    Attributes:
        effective_rows: how many rows of equal weight would say as much: (sum w)^2 / sum w^2 (Kish 1965).
        effective_share: of all rows.
        largest_weight: of a row.
        share_without_weight: of rows, that show what the target never would.
        share_capped: of rows, whose weight was larger than the cap.
        rewarded_rows: with weight and reward; estimates by weights rest on these.
        mean_weight: near 1 where the log covers the target and propensities are right. Below: the target does what the
            log never does, or weights were capped. Above: propensities are too low.
    """

    effective_rows: float
    effective_share: float
    largest_weight: float
    share_without_weight: float
    share_capped: float
    rewarded_rows: int
    mean_weight: Estimate

    @property
    def share_never_shown(self) -> float:
        """Share of the target's probability on actions that the log never shows, by the mean weight."""
        return max(0.0, 1.0 - self.mean_weight.value)


@dataclass(frozen=True)
class OffPolicyReport:
    """What a log says of a target policy.

    Attributes:
        on_policy: mean reward of the log itself: the value of the policy that made it.
        estimates: of the target's value, one an estimator.
        gains: of the target over the log's policy, in the same order; both are of the same resamples.
        overlaps: one for each rank of a list; a single action has one.
    """

    on_policy: Estimate
    estimates: tuple[Estimate, ...]
    gains: tuple[Estimate, ...]
    overlaps: tuple[Overlap, ...]
    num_rows: int
    num_units: int

    @property
    def overlap(self) -> Overlap:
        """Of the action, or of whole lists."""
        return self.overlaps[-1]

    def estimate(self, estimator: str) -> Estimate:
        """The target's value.

        Raises:
            KeyError: the log does not allow it, or what it needs was not given.
        """
        return _named(self.estimates, estimator)

    def gain(self, estimator: str) -> Estimate:
        """The target's value less that of the log's policy; raises as `estimate` does."""
        return _named(self.gains, estimator)


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
        """Means over rows.

        Args:
            columns: name -> shape (num_rows, width).

        Returns:
            name -> shape (1 + num_resamples, width), the log itself first.
        """
        num_rows = np.ones(len(self._unit))
        wide = [num_rows, *(column for columns_ in columns.values() for column in columns_.T)]
        sums = np.stack([np.bincount(self._unit, column, self.num_units) for column in wide])
        drawn = bootstrap_means(sums.T, self._num_resamples, self._seed)
        totals = np.concatenate([sums.mean(axis=1)[None, :], drawn])
        ends = np.cumsum([columns_.shape[1] for columns_ in columns.values()])[:-1]
        return dict(zip(columns, np.split(totals[:, 1:] / totals[:, :1], ends, axis=1), strict=True))

    def estimate(self, estimator: str, values: np.ndarray) -> Estimate:
        """Reads value and percentiles.

        Args:
            values: NaN where nothing can be said, which may be anything. Shape (1 + num_resamples,).
        """
        if np.isnan(values[0]):
            return Estimate(estimator, np.nan, -np.inf, np.inf)
        low = np.quantile(np.where(np.isnan(values[1:]), -np.inf, values[1:]), self._bounds[0], method="lower")
        high = np.quantile(np.where(np.isnan(values[1:]), np.inf, values[1:]), self._bounds[1], method="higher")
        return Estimate(estimator, float(values[0]), float(low), float(high))

    def report(
        self, values: Mapping[str, np.ndarray], on_policy: np.ndarray, overlaps: list[Overlap]
    ) -> OffPolicyReport:
        """Makes estimates and gains of values on the same resamples, each of shape (1 + num_resamples,)."""
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
            weight: before the cap. Shape (num_rows,), as `reward`.
            mean_weight: after the cap. Shape (1 + num_resamples,).
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
    """A ratio of sums; NaN over 0."""
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)


def _named(estimates: tuple[Estimate, ...], name: str) -> Estimate:
    found = {estimate.estimator: estimate for estimate in estimates}
    if name not in found:
        raise KeyError(
            f"No estimate by `{name}`: what it needs was not given, or this log does not allow it. Has: {list(found)}"
        )
    return found[name]
