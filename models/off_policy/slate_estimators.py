"""What another policy's lists would have earned, from lists that were drawn with known propensities.

A list's value is the sum of its slots' rewards. With c_k = t_k / p_k, how much likelier the target was to fill rank k
as it was filled, given the ranks before, the reward at rank k is weighed by

    ips           c_1 ... c_K: right whatever rewards depend on; hopeless for long lists
    sequential    c_1 ... c_k: right where a reward depends on its own rank and those above it, as people read
    independent   c_k: what rank k would earn if the target filled it below the log's own ranks. Narrow; the target's
                  value only where ranks have nothing to do with each other

`<weights>_snips` divides, at each rank, by the sum of the weights instead of the rows. `sequential_snips` is the one to
decide by; look at `overlaps` and at `independent_snips` beside it.

Weights above `max_weight` are cut down to it: a list that stands for hundreds says little and shakes everything. With
rewards that are not negative this makes *_ips smaller, never larger. `overlaps` hold the share of
lists that were cut, rank by rank.

Sources: McInerney et al. 2020 (sequential; "reward interaction IPS", with self-normalisation by rank); Li et al. 2018
(independent); Ionides 2008 (the cap).
"""

from __future__ import annotations

import numpy as np

from models.off_policy.bootstrap import Resamples, share
from models.off_policy.estimators import check_figures, check_length, check_probabilities
from models.off_policy.report import OffPolicyReport
from models.slates.slates import Slates

WEIGHTS = ("", "sequential_", "independent_")
"""What the names of the estimators begin with."""


def evaluate_slates(
    slates: Slates,
    reward: np.ndarray,
    target_propensity: np.ndarray,
    *,
    unit: np.ndarray | None = None,
    seed: int,
    num_resamples: int = 1000,
    max_weight: float = 100.0,
    confidence: float = 0.95,
) -> OffPolicyReport:
    """Estimates a policy's value over lists, by `ips`, `sequential_ips`, `independent_ips` and the same with `snips`.

    Args:
        slates: what was shown, with the propensities of whatever chose it.
        reward: what each slot earned; 0 where a list has ended. Shape (num_slates, top_k), float64.
        target_propensity: `SlatePolicy.propensity` of the target for these lists. Same shape.
        unit: whose list it is; lists of one user are resampled together. Without it each stands for itself. Shape
            (num_slates,), any dtype.

    Returns:
        Values of a list; `overlaps` of the sequential weights, one a rank: that of the last is of whole lists.

    Raises:
        ValueError: shapes differ, a figure is not finite, a propensity is 0 or NaN, an ended slot earned something.
    """
    is_shown = slates.slots >= 0
    _check(slates, is_shown, reward, target_propensity, max_weight)
    unit = np.arange(len(reward)) if unit is None else unit
    check_length("unit", unit, len(reward))
    target, logged = (np.asarray(chance, np.float64) for chance in (target_propensity, slates.propensity))
    change = np.where(is_shown, target, 1.0) / np.where(is_shown, logged, 1.0)
    sequential = np.cumprod(change, axis=1)  # (num_slates, top_k)
    whole = np.broadcast_to(sequential[:, -1:], change.shape)
    columns = {"reward": np.asarray(reward, np.float64)}
    for name, weight in zip(WEIGHTS, (whole, sequential, change), strict=True):
        used = np.minimum(weight, max_weight)
        columns |= {f"{name}weight": used, f"{name}weighted": used * reward}
    resamples = Resamples(unit, seed, num_resamples, confidence)
    means = resamples.means(columns)
    overlaps = [
        resamples.overlap(sequential[:, rank], reward[:, rank], max_weight, means["sequential_weight"][:, rank])
        for rank in range(reward.shape[1])
    ]
    return resamples.report(_values(means), means["reward"].sum(axis=1), overlaps)


def _values(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The estimators, on the log itself and on each resample. Shapes (1 + num_resamples,)."""
    values = {}
    for name in WEIGHTS:
        weight, weighted = means[f"{name}weight"], means[f"{name}weighted"]  # (1 + num_resamples, top_k)
        has_weight = (weight[0] > 0).all()
        values[f"{name}ips"] = weighted.sum(axis=1) if has_weight else np.full(len(weighted), np.nan)
        values[f"{name}snips"] = share(weighted, weight).sum(axis=1)
    return values


def _check(
    slates: Slates, is_shown: np.ndarray, reward: np.ndarray, target_propensity: np.ndarray, max_weight: float
) -> None:
    shapes = {slates.slots.shape, slates.propensity.shape, reward.shape, target_propensity.shape}
    if len(shapes) > 1 or is_shown.ndim != 2:
        raise ValueError(
            f"Places, propensities and rewards must all be (num_slates, top_k). Received: {sorted(shapes)}"
        )
    if not max_weight > 0:
        raise ValueError(f"`max_weight` must be above 0; inf cuts nothing. Received: max_weight={max_weight}")
    check_figures("reward", reward, len(is_shown))
    check_probabilities("slates.propensity", np.where(is_shown, slates.propensity, 1.0), len(is_shown), is_logged=True)
    check_probabilities("target_propensity", np.where(is_shown, target_propensity, 1.0), len(is_shown))
    is_wrong = ~is_shown & (reward != 0)
    if is_wrong.any():
        row, rank = (int(index) for index in np.argwhere(is_wrong)[0])
        raise ValueError(f"`reward` must be 0 where a list has ended. Received: {reward[row, rank]} at {[row, rank]}")
