"""May re-ranked lists be published? Two ways to tell, both on users whom the policy did not learn from.

*By what was shown.* Where the lists of earlier days were drawn, and their propensities published, the log itself tells
what the policy's lists would have earned on the day on which they stood (`models.off_policy.slate_estimators`,
sequential weights, self-normalised). They may be published where, at the lower end of the 95 % interval, their gain
over the log costs no more than `max_loss` of what the log earned. A log of whose lists the policy would hardly have
shown any decides nothing: it takes `min_effective_lists` that count, `min_rewarded_lists` that earned something, and
weights of `min_mean_weight` on average, all of them settings of the shop. The policy is judged as it would fill lists
without the shop's rules (`models.policies.served_policy`): where caps and diversity shape lists much, that average is
far below 1, and the backtest decides.

*By the backtest*, where there is no such log, or too little of it. Weaker, for it only asks whether lists still hold
what people wanted anyway: on the backtest's days the policy's lists must keep all of the published model's primary
metric but `max_loss`, again at the lower end of the interval, which is paired, user by user.

Neither sees the long term: that is what the agent is for. They bound what it may cost on the day.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from expectations.runtime.lake import Lake
from expectations.shop.shop import Shop
from models.data.vocabulary import indices_on
from models.evaluation.held_out import HeldOut, decisive_task, held_out_tasks
from models.evaluation.ranking_metrics import METRICS, hits, relevant_from_pairs
from models.evaluation.resampling import GAINS, MIN_UNITS, NUM_RESAMPLES, bootstrap_means, interval
from models.off_policy.slate_estimators import evaluate_slates
from models.slates.slates import CandidateSets, SlatePolicy
from models.slates.training_slates import Examples, items_at, spaced

MAX_JUDGED = 8_192
"""Users of the backtest, evenly spaced, whom a policy is judged on: bounds the lists that are re-ranked for that."""
ESTIMATOR = "sequential_snips"


@dataclass(frozen=True)
class SafetyResult:
    """What one way says.

    Attributes:
        is_allowed: None where it cannot tell.
        value: of the lists that were, and are to be beaten; `gain` of the policy's, with its interval.
    """

    is_allowed: bool | None
    reason: str
    value: float = float("nan")
    gain: float = float("nan")
    gain_low: float = float("nan")
    gain_high: float = float("nan")
    num_lists: int = 0
    effective_lists: float = 0.0
    mean_weight: float = float("nan")

    def as_dict(self) -> dict[str, Any]:
        """Returns figures that JSON can write."""
        figures = asdict(self)
        return {name: None if isinstance(v, float) and not np.isfinite(v) else v for name, v in figures.items()}


def decisive_result(by_log: SafetyResult, by_backtest: SafetyResult) -> SafetyResult:
    """Returns the result that counts: that of the shown lists, where they can tell."""
    if by_log.is_allowed is not None:
        return by_log
    if by_backtest.is_allowed is not None:
        reason = f"{by_backtest.reason} {by_log.reason}"
        return SafetyResult(**{**asdict(by_backtest), "reason": reason})
    return SafetyResult(False, f"Nothing tells what re-ranked lists are worth. {by_log.reason} {by_backtest.reason}")


def check_by_log(shown: Examples | None, policy: SlatePolicy, shop: Shop) -> SafetyResult:
    """Checks a policy by lists that were drawn.

    Args:
        policy: as users would see it; see `models.policies.served_policy`.
    """
    if shown is not None:
        is_drawn = ~np.isnan(np.where(shown.slates.slots >= 0, shown.slates.propensity, 1.0)).any(axis=1)
        shown = shown.rows(np.flatnonzero(is_drawn))
    if shown is None or not len(shown):
        return SafetyResult(None, "No shown lists with propensities were found in the last days.")
    target = policy.propensity(shown.candidates, shown.slates)
    report = evaluate_slates(shown.slates, shown.immediate_reward, target, unit=shown.candidates.user, seed=shop.seed)
    gain, value, overlap = report.gain(ESTIMATOR), report.on_policy.value, report.overlap
    figures: dict[str, Any] = {
        "value": value,
        "gain": gain.value,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "num_lists": len(shown),
        "effective_lists": overlap.effective_rows,
        "mean_weight": overlap.mean_weight.value,
    }
    seen = f"{len(shown):,} shown lists, of which {overlap.effective_rows:,.0f} count"
    least = shop.policy
    is_large = overlap.effective_rows >= least.min_effective_lists and overlap.rewarded_rows >= least.min_rewarded_lists
    if not is_large or value <= 0:
        rewarded = f"{overlap.rewarded_rows:,} of them earned something"
        return SafetyResult(None, f"{seen} and {rewarded}, are too few to judge by.", **figures)
    if overlap.mean_weight.value < least.min_mean_weight:
        coverage = f"with a mean weight of {overlap.mean_weight.value:.2f}, show too little of what the policy would"
        return SafetyResult(None, f"{seen}, {coverage}.", **figures)
    return _result(f"By {seen}, a list would earn", gain.low >= -shop.policy.max_loss * value, shop, **figures)


def check_by_backtest(candidates: CandidateSets, held_out: HeldOut, policy: SlatePolicy, shop: Shop) -> SafetyResult:
    """Checks a policy's best lists by what was wanted on the backtest's days.

    Args:
        candidates: one list for each user of `held_out`, in their order, best candidate of the published model first.
    """
    top_k, name = shop.top_k, shop.primary_metric
    lists = items_at(candidates, policy.draw(candidates, top_k, None).slots), candidates.item[:, :top_k]
    values = np.stack(
        [METRICS[name](hits(items, held_out.relevant), held_out.relevant.counts, top_k) for items in lists], axis=1
    )
    means = bootstrap_means(values, NUM_RESAMPLES, shop.seed)
    low, high = interval(means[:, 0] - means[:, 1], len(values), GAINS)
    if len(values) < max(MIN_UNITS, shop.gate.min_judged_users):
        bound = f"`min_judged_users` is {shop.gate.min_judged_users:,}"
        reason = f"The backtest judged {len(values):,} users, too few to judge a policy by: {bound}."
        return SafetyResult(None, reason, num_lists=len(values))
    mine, theirs = values.mean(axis=0)
    what = f"On the backtest's days, {name}@{top_k} of {len(values):,} users is"
    figures = {"value": float(theirs), "gain": float(mine - theirs), "gain_low": low, "gain_high": high}
    is_allowed = theirs > 0 and low >= -shop.policy.max_loss * theirs
    return _result(what, bool(is_allowed), shop, **figures, num_lists=len(values), effective_lists=float(len(values)))


def backtest_users(lake: Lake, ds: str, as_of: str, shop: Shop) -> HeldOut | None:
    """Returns some of the users of the decisive task, and what they wanted, in the indices of ds; None without any."""
    tasks = held_out_tasks(lake, ds, as_of, shop)
    found = [task for task in tasks if task.task == decisive_task(shop)]
    if not found:
        return None
    (task,) = found
    users, items = (indices_on(lake, as_of, ds, name) for name in ("user_id", "item_id"))
    asked = spaced(np.flatnonzero(users[task.user_indices] >= 0), MAX_JUDGED)
    relevant = task.relevant
    is_asked = np.isin(relevant.user_rows, asked) & (items[relevant.item_indices] >= 0)
    row = np.searchsorted(asked, relevant.user_rows[is_asked])
    known, row = np.unique(row, return_inverse=True)  # who wants nothing that ds knows is not judged
    wanted = relevant_from_pairs(row, items[relevant.item_indices[is_asked]], len(known))
    return HeldOut(task.task, users[task.user_indices[asked[known]]], wanted)


def _result(what: str, is_allowed: bool, shop: Shop, **figures: Any) -> SafetyResult:
    value, gain = figures["value"], figures["gain"]
    interval = f"{figures['gain_low']:+.4f} to {figures['gain_high']:+.4f}"
    bound = f"{-shop.policy.max_loss * value:+.4f} (max_loss = {shop.policy.max_loss:g})"
    reason = (
        f"{what} {value + gain:.4f} instead of {value:.4f}, a gain of {gain:+.4f} with a 95 % interval of {interval}, "
        f"which {'keeps' if is_allowed else 'does not keep'} above {bound}."
    )
    return SafetyResult(is_allowed, reason, **figures)
