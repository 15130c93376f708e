"""What another policy would have earned, from the log of one that ran and wrote down its propensities.

For row i with reward r, logging propensity p(a|x), target probability t(a|x), weight w = t / p, and a reward model's
q(x, a) with mean q_t(x) under the target:

    replay     mean of r over the rows where an action drawn from the target is the logged one. Needs a uniform log:
               elsewhere what agrees is not a fair sample, and it is left out
    ips        mean of w r: unbiased where the log shows all that the target does; wide
    snips      sum of w r / sum of w: hardly biased, much narrower where rewards do not average 0
    dm         mean of q_t: narrow, and as wrong as the model; the interval leaves the model's own error out
    dr         mean of q_t + w (r - q): unbiased where either the model or the propensities are right
    switch_dr  as dr, but rows whose weight exceeds `switch_at` are left to the model: bias for width

`models.off_policy.reward_model` fits q on other users than it is asked about. Lists are judged by
`models.off_policy.slate_estimators`.

Sources: Li et al. 2011 (replay); Horvitz and Thompson 1952 (ips); Swaminathan and Joachims 2015 (snips); Dudík,
Langford and Li 2011 (dm, dr); Wang, Agarwal and Dudík 2017 (switch_dr).
"""

from __future__ import annotations

import numpy as np

from models.off_policy.bootstrap import Resamples, share
from models.off_policy.report import OffPolicyReport

ROUNDING = 1e-6
"""By how much a probability may exceed 1, or two of a uniform log differ: policies compute in 32 bits."""


def evaluate(
    reward: np.ndarray,
    propensity: np.ndarray,
    target_probability: np.ndarray,
    *,
    predicted: np.ndarray | None = None,
    predicted_target: np.ndarray | None = None,
    unit: np.ndarray | None = None,
    seed: int,
    num_resamples: int = 1000,
    switch_at: float = 10.0,
    confidence: float = 0.95,
) -> OffPolicyReport:
    """Estimates a policy's value over single actions by every estimator that its input allows.

    Args:
        reward: what the logged action earned. Shape (num_rows,), float64, as all others but `unit`.
        propensity: the probability with which the log's policy chose the logged action.
        target_probability: the probability with which the target would have chosen it; 0 or 1 where it draws nothing.
        predicted: the reward model's answer for the logged action; without it, and `predicted_target`, there is no dm,
            dr and switch_dr.
        predicted_target: the mean of its answers under the target's probabilities.
        unit: whose row it is; rows of one unit are resampled together. Any dtype. Without it each row stands for
            itself.
        seed: of the resamples, and of the actions that replay draws.

    Raises:
        ValueError: a column has another length, is not finite, or holds no probability; a propensity is 0; one
            prediction came without the other.
    """
    check_figures("reward", reward, len(reward))
    check_probabilities("propensity", propensity, len(reward), is_logged=True)
    check_probabilities("target_probability", target_probability, len(reward))
    unit = np.arange(len(reward)) if unit is None else unit
    check_length("unit", unit, len(reward))
    weight = np.asarray(target_probability, np.float64) / propensity
    columns = {"reward": reward, "weight": weight, "weighted": weight * reward}
    if np.ptp(propensity) <= ROUNDING * propensity.max():
        drawn = np.random.default_rng([seed, 1]).random(len(reward))  # not what the resamples are drawn from
        agrees = drawn < target_probability
        columns |= {"agrees": agrees, "agreed": agrees * reward}
    columns |= _modelled(reward, weight, predicted, predicted_target, switch_at)
    resamples = Resamples(unit, seed, num_resamples, confidence)
    wide = resamples.means({name: np.asarray(column, np.float64)[:, None] for name, column in columns.items()})
    means = {name: column[:, 0] for name, column in wide.items()}
    overlap = resamples.overlap(weight, reward, np.inf, means["weight"])
    return resamples.report(_values(means), means["reward"], [overlap])


def _modelled(
    reward: np.ndarray,
    weight: np.ndarray,
    predicted: np.ndarray | None,
    predicted_target: np.ndarray | None,
    switch_at: float,
) -> dict[str, np.ndarray]:
    """The columns of the estimators that ask a reward model."""
    if switch_at <= 0:
        raise ValueError(f"`switch_at` is the largest weight to trust, above 0. Received: switch_at={switch_at}")
    if predicted is None and predicted_target is None:
        return {}
    if predicted is None or predicted_target is None:
        raise ValueError(
            "`predicted` and `predicted_target` belong together: a model's answer for the logged action, and its mean "
            "under the target. Received: one of them"
        )
    check_figures("predicted", predicted, len(reward))
    check_figures("predicted_target", predicted_target, len(reward))
    trusted = np.where(weight <= switch_at, weight, 0.0)
    return {
        "dm": predicted_target,
        "dr": predicted_target + weight * (reward - predicted),
        "switch_dr": predicted_target + trusted * (reward - predicted),
    }


def _values(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The estimators, on the log itself and on each resample."""
    has_weight = means["weight"][0] > 0
    values = {"replay": share(means["agreed"], means["agrees"])} if "agrees" in means else {}
    values["ips"] = means["weighted"] if has_weight else np.full(len(means["weighted"]), np.nan)
    values["snips"] = share(means["weighted"], means["weight"])
    return values | {name: means[name] for name in ("dm", "dr", "switch_dr") if name in means}


def check_figures(name: str, column: np.ndarray, num_rows: int) -> None:
    """Refuses a column that does not hold a finite figure for each row.

    Args:
        column: shape (num_rows,) or (num_rows, top_k), float64.

    Raises:
        ValueError: there are no rows, the column has another length, or a figure is NaN or infinite.
    """
    if not num_rows:
        raise ValueError("A log without rows says nothing. Received: 0 rows; was the right day or table read?")
    check_length(name, column, num_rows)
    wrong = ~np.isfinite(column)
    if wrong.any():
        raise ValueError(f"`{name}` must be finite. Received: {column[wrong][0]} at {_first(wrong)}")


def check_probabilities(name: str, column: np.ndarray, num_rows: int, *, is_logged: bool = False) -> None:
    """Refuses a column that does not hold a probability for each row.

    Args:
        column: shape (num_rows,) or (num_rows, top_k), float64.
        is_logged: whether they belong to actions that happened, whose probability cannot be 0.

    Raises:
        ValueError: the column has another length, or holds no probability.
    """
    check_length(name, column, num_rows)
    wrong = ~((column > 0 if is_logged else column >= 0) & (column <= 1 + ROUNDING))
    if wrong.any():
        rule = (
            "above 0 and at most 1; leave out rows whose propensity nobody wrote down" if is_logged else "from 0 to 1"
        )
        raise ValueError(f"`{name}` must be {rule}. Received: {column[wrong][0]} at {_first(wrong)}")


def check_length(name: str, column: np.ndarray, num_rows: int) -> None:
    """Refuses a column that does not have one entry for each row.

    Args:
        column: shape (num_rows, ...), any dtype.

    Raises:
        ValueError: its first axis is not `num_rows` long.
    """
    if column.shape[:1] != (num_rows,):
        raise ValueError(f"`{name}` must have one row for each logged row, {num_rows}. Received: shape {column.shape}")


def _first(wrong: np.ndarray) -> list[int]:
    return [int(index) for index in np.argwhere(wrong)[0]]
