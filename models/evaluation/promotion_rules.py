"""The rules by which the gate promotes one of the night's models, from figures alone.

Every model of the shop is a challenger, the champion of the night before among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from expectations.shop.shop import Gate
from expectations.tables import NightError
from models.evaluation.list_health import ListHealth
from models.evaluation.refit_consistency import RefitConsistency


@dataclass(frozen=True)
class PromotionCheck:
    """One check of one model.

    Attributes:
        rule: what the check asks for.
        saw: the figure that it looked at, in words.
        passed: whether the figure meets the rule.
    """

    rule: str
    saw: str
    passed: bool


@dataclass(frozen=True)
class Challenger:
    """A model that the shop asked for, and what this night has of it.

    Attributes:
        kind: baseline or deep; empty when the model was not fitted.
        version: of the fit as of ds; None when the model was not fitted.
        health: of the lists as of ds; None without lists.
        backtest: the row of `backtests` that counts; None when the model was not judged.
        gains: rival -> the row of `backtest_gains` that counts.
        consistency: how the lists of users who did nothing since stand beside those that were judged; None when there
            is nobody to ask.
        refit_overlap: share of the backtest fit's top items that are still top items of the refit; only noted.
        bounds: what the shop asks of a model's lists.
    """

    model: str
    kind: str = ""
    version: str | None = None
    health: ListHealth | None = None
    backtest: dict[str, Any] | None = None
    gains: dict[str, dict[str, Any]] = field(default_factory=dict)
    consistency: RefitConsistency | None = None
    refit_overlap: float | None = None
    bounds: Gate = field(default_factory=Gate)

    def health_checks(self) -> list[PromotionCheck]:
        """Returns the checks of this night's lists; ends where there is nothing to look at."""
        if self.version is None:
            return [PromotionCheck("is fitted as of ds", "no fit", False)]
        is_fitted = PromotionCheck("is fitted as of ds", self.version, True)
        if self.health is None:
            return [is_fitted, PromotionCheck("has lists as of ds", "no lists under the current vocabulary", False)]
        health, bounds = self.health, self.bounds
        rules = [
            is_fitted,
            PromotionCheck("has lists as of ds", f"{health.num_rows} rows", health.num_rows > 0),
            PromotionCheck(
                "scores are finite", "all finite" if health.is_finite else "NaN or infinity", health.is_finite
            ),
            PromotionCheck(
                f"scores vary for at least {bounds.min_varying_share:.0%} of users",
                f"{health.varying_share:.1%}",
                health.varying_share >= bounds.min_varying_share,
            ),
            PromotionCheck(
                f"at least {bounds.min_user_share:.0%} of users with interactions have a list",
                f"{health.user_share:.1%}",
                health.user_share >= bounds.min_user_share,
            ),
        ]
        # Demand may turn over in a month, and baselines with it: this is asked of deep models alone.
        if self.kind == "deep" and self.consistency:
            rules += _consistency_checks(self.consistency, bounds)
        return rules

    @property
    def is_healthy(self) -> bool:
        """Whether every check passed."""
        return all(rule.passed for rule in self.health_checks())


def _consistency_checks(consistency: RefitConsistency, bounds: Gate) -> list[PromotionCheck]:
    return [
        PromotionCheck(
            f"users who did nothing since the backtest keep at least {bounds.min_kept_share:.0%} of their list",
            f"{consistency.kept_share:.1%}",
            consistency.kept_share >= bounds.min_kept_share,
        ),
        PromotionCheck(
            f"their lists hold at least {bounds.min_variety:.0%} as many different items",
            f"{consistency.variety:.1%}",
            consistency.variety >= bounds.min_variety,
        ),
    ]


@dataclass(frozen=True)
class Comparison:
    """What is compared: the mean of `metric` at `k` on one task of the backtest."""

    metric: str
    task: str
    k: int

    def value(self, challenger: Challenger) -> float:
        """How the backtest judged the model; below everything when it did not."""
        return float(challenger.backtest[self.metric]) if challenger.backtest else float("-inf")

    def __str__(self) -> str:
        return f"{self.metric}@{self.k} on {self.task}"


@dataclass(frozen=True)
class Decision:
    """Which model is published and why; `reason` in a sentence or two, `models` with every rule."""

    published_model: str
    is_fallback: bool
    champion: str | None
    reason: str
    comparison: Comparison
    models: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Returns what `gate_decisions` keeps as JSON; its readers know the comparison under the key `contest`."""
        details = asdict(self)
        details["contest"] = details.pop("comparison")
        return details


def decide(ds: str, challengers: Sequence[Challenger], champion: str | None, comparison: Comparison) -> Decision:
    """Publishes the best healthy model; of equals the simpler one, which stands earlier.

    Args:
        challengers: every model that the shop asked for, from simple to able.
        champion: the model published for the latest earlier ds.

    Raises:
        NightError: no model is healthy.
    """
    healthy = [c for c in challengers if c.is_healthy]
    if not healthy:
        raise NightError(f"gate_decisions ds={ds}: no model can be published: {_failures(challengers)}")
    competing = [c for c in healthy if c.backtest]
    absent = [c for c in challengers if c not in competing]
    if competing:
        winner = max(competing, key=comparison.value)  # the first of equals
        reason = _reason_of_winner(winner, competing, champion, comparison)
    else:
        winner = _unjudged_choice(healthy, champion)
        role = "champion" if winner.model == champion else f"{winner.kind} model"
        reason = f"The {role} {winner.model} is published unjudged: no healthy model was judged by a backtest."
    if absent:
        reason += f" This night is a fallback, because these could not compete: {_failures(absent)}"
    details = [_details(c, challengers, champion, comparison) for c in challengers]
    return Decision(winner.model, bool(absent), champion, reason, comparison, details)


def _unjudged_choice(healthy: Sequence[Challenger], champion: str | None) -> Challenger:
    """The champion, which was judged once; else the ablest baseline; else what there is."""
    champions = [c for c in healthy if c.model == champion]
    baselines = [c for c in healthy if c.kind == "baseline"]
    return (champions or baselines[-1:] or healthy[-1:])[0]


def _reason_of_winner(
    winner: Challenger, competing: Sequence[Challenger], champion: str | None, comparison: Comparison
) -> str:
    value = f"{comparison.value(winner):.4f}"
    others = [c for c in competing if c is not winner]
    rivals = [c for c in others if c.kind == "deep"] if winner.kind == "baseline" else others
    if rivals:
        rival = max(rivals, key=comparison.value)
        against = f"{value} against {comparison.value(rival):.4f} of {rival.model}"
    else:
        against = f"{value}, with no {'deep model' if winner.kind == 'baseline' else 'other model'} to compare"
    if winner.kind == "baseline":
        reason = f"The baseline {winner.model} is published, because no deep model beat it in {comparison}: {against}."
    else:
        reason = f"{winner.model} is published, because it is the best of {len(competing)} in {comparison}: {against}."
    if champion and champion != winner.model:
        judged = next((f"{comparison.value(c):.4f}" for c in competing if c.model == champion), "could not compete")
        reason += f" It follows the champion {champion} ({judged})."
    return reason


def _failures(challengers: Sequence[Challenger]) -> str:
    parts = []
    for c in challengers:
        failed = [f"{rule.rule}: {rule.saw}" for rule in c.health_checks() if not rule.passed]
        parts.append(f"{c.model} ({'; '.join(failed) or 'not in the backtest'})")
    return ", ".join(parts) + "."


def _details(
    challenger: Challenger, challengers: Sequence[Challenger], champion: str | None, comparison: Comparison
) -> dict[str, Any]:
    """All that was seen of a model, for the decision's JSON."""
    rules = challenger.health_checks()
    judged = f"{comparison}: {comparison.value(challenger):.4f}" if challenger.backtest else "not judged"
    rules.append(PromotionCheck("is in the backtest", judged, challenger.backtest is not None))
    if challenger.kind == "deep" and challenger.backtest:
        rules += [
            _beats(challenger, rival, comparison) for rival in challengers if _is_bar(rival, challenger, champion)
        ]
    figures = {name: (challenger.backtest or {}).get(name) for name in (comparison.metric, "ndcg_low", "ndcg_high")}
    return {
        "model": challenger.model,
        "kind": challenger.kind,
        "version": challenger.version,
        "is_healthy": challenger.is_healthy,
        **figures,
        "kept_share": challenger.consistency.kept_share if challenger.consistency else None,
        "variety": challenger.consistency.variety if challenger.consistency else None,
        "refit_overlap": challenger.refit_overlap,
        "rules": [asdict(rule) for rule in rules],
    }


def _is_bar(rival: Challenger, challenger: Challenger, champion: str | None) -> bool:
    """Whether a deep challenger has to beat this one: every judged baseline, and the champion."""
    is_named = rival.kind == "baseline" or rival.model == champion
    return is_named and rival.model != challenger.model and rival.backtest is not None


def _beats(challenger: Challenger, rival: Challenger, comparison: Comparison) -> PromotionCheck:
    mine, theirs = comparison.value(challenger), comparison.value(rival)
    saw, gain = f"{mine:.4f} against {theirs:.4f}", challenger.gains.get(rival.model)
    if gain:
        saw += f", 95 % interval of the gain {gain['gain_low']:+.4f} to {gain['gain_high']:+.4f}"
    return PromotionCheck(f"beats {rival.model}", saw, mine > theirs)
