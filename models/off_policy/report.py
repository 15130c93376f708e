"""What a log says of a policy that never ran: estimates with intervals, and how far the log can be trusted.

An interval rests on the rewards that were seen: where few rows are rewarded, or few carry the weight, it is too narrow.
`Overlap` tells both.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        estimator: what it was computed by.
        value: NaN where the log has no row that speaks for it; comparisons with NaN are false, so that a gate stays
            closed.
        low: lower bound; -inf where too many resamples have no row that speaks for it, or where the log is of a single
            unit, as `high` is inf.
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


def _named(estimates: tuple[Estimate, ...], name: str) -> Estimate:
    found = {estimate.estimator: estimate for estimate in estimates}
    if name not in found:
        raise KeyError(
            f"No estimate by `{name}`: what it needs was not given, or this log does not allow it. Has: {list(found)}"
        )
    return found[name]
