"""The rules of the gate: which model a night may publish, from figures alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from expectations.tables import NightError
from models.evaluation.list_health import ListHealth
from models.evaluation.refit_consistency import Agreement

MIN_VARYING_SHARE = 0.5
"""A model that scores everything alike says nothing; single users may well have ties only."""
MIN_USER_SHARE = 0.8
"""The rest gets filled lists: a model that reaches fewer of its users is not what was judged."""

MIN_KEPT_SHARE = 0.15
"""Sound refits keep twice as much, and shuffled ones two thirds of it; see `models.evaluation.refit_consistency`."""


MIN_VARIETY = 0.1
"""Far below what any sound refit has, and above one that offers everybody the same ten items."""


@dataclass(frozen=True)
class Rule:
    """One thing that was checked of one model: what the rule asks, what it saw, what it said."""

    rule: str
    saw: str
    passed: bool


@dataclass(frozen=True)
class Contender:
    """A model that the shop asked for, and what this night has of it.

    Attributes:
        kind: baseline or deep; empty when the model was not fitted.
        version: of the fit as of ds; None when the model was not fitted.
        health: of the lists as of ds; None without lists.
        backtest: the row of `backtests` that counts; None when the model was not judged.
        gains: rival -> the row of `backtest_gains` that counts.
        agreement: how the lists of users who did nothing since stand beside those that were judged; None when there
            is nobody to ask.
        refit_overlap: share of the backtest fit's top items that are still top items of the refit; only noted.
    """

    model: str
    kind: str = ""
    version: str | None = None
    health: ListHealth | None = None
    backtest: dict[str, Any] | None = None
    gains: dict[str, dict[str, Any]] = field(default_factory=dict)
    agreement: Agreement | None = None
    refit_overlap: float | None = None

    def health_rules(self) -> list[Rule]:
        """What of this night's lists speaks for or against publishing them; ends where there is nothing to look at."""
        if self.version is None:
            return [Rule("is fitted as of ds", "no fit", False)]
        is_fitted = Rule("is fitted as of ds", self.version, True)
        if self.health is None:
            return [is_fitted, Rule("has lists as of ds", "no lists under the vocabulary in force", False)]
        health = self.health
        rules = [
            is_fitted,
            Rule("has lists as of ds", f"{health.num_rows} rows", health.num_rows > 0),
            Rule("scores are finite", "all finite" if health.is_finite else "NaN or infinity", health.is_finite),
            Rule(
                f"scores vary for at least {MIN_VARYING_SHARE:.0%} of users",
                f"{health.varying_share:.1%}",
                health.varying_share >= MIN_VARYING_SHARE,
            ),
            Rule(
                f"at least {MIN_USER_SHARE:.0%} of users with interactions have a list",
                f"{health.user_share:.1%}",
                health.user_share >= MIN_USER_SHARE,
            ),
        ]
        # Demand may turn over in a month, and baselines with it: this is asked of deep models alone.
        return [*rules, *_agreement_rules(self.agreement)] if self.kind == "deep" and self.agreement else rules

    @property
    def is_healthy(self) -> bool:
        return all(rule.passed for rule in self.health_rules())


def _agreement_rules(agreement: Agreement) -> list[Rule]:
    return [
        Rule(
            f"users who did nothing since the backtest keep at least {MIN_KEPT_SHARE:.0%} of their list",
            f"{agreement.kept_share:.1%}",
            agreement.kept_share >= MIN_KEPT_SHARE,
        ),
        Rule(
            f"their lists hold at least {MIN_VARIETY:.0%} as many different items",
            f"{agreement.variety:.1%}",
            agreement.variety >= MIN_VARIETY,
        ),
    ]


@dataclass(frozen=True)
class Contest:
    """What is compared: the mean of `metric` at `k` on one task of the backtest."""

    metric: str
    task: str
    k: int

    def value(self, contender: Contender) -> float:
        """How the backtest judged the model; below everything when it did not."""
        return float(contender.backtest[self.metric]) if contender.backtest else float("-inf")

    def __str__(self) -> str:
        return f"{self.metric}@{self.k} on {self.task}"


@dataclass(frozen=True)
class Decision:
    """Which model is published and why; `reason` in a sentence or two, `models` with every rule."""

    published_model: str
    is_fallback: bool
    champion: str | None
    reason: str
    contest: Contest
    models: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """What `gate_decisions` keeps as JSON."""
        return asdict(self)


def decide(ds: str, contenders: Sequence[Contender], champion: str | None, contest: Contest) -> Decision:
    """Publishes the best healthy model; of equals the simpler one, which stands earlier.

    Args:
        contenders: every model that the shop asked for, from simple to able.
        champion: the model published for the latest earlier ds.

    Raises:
        NightError: no model is healthy.
    """
    healthy = [c for c in contenders if c.is_healthy]
    if not healthy:
        raise NightError(f"gate_decisions ds={ds}: no model can be published: {_failures(contenders)}")
    competing = [c for c in healthy if c.backtest]
    absent = [c for c in contenders if c not in competing]
    if competing:
        winner = max(competing, key=contest.value)  # the first of equals
        reason = _reason_of_winner(winner, competing, champion, contest)
    else:
        winner = _unjudged_choice(healthy, champion)
        role = "champion" if winner.model == champion else f"{winner.kind} model"
        reason = f"The {role} {winner.model} is published unjudged: no healthy model was judged by a backtest."
    if absent:
        reason += f" This night is a fallback, because these could not compete: {_failures(absent)}"
    told = [_told(c, contenders, champion, contest) for c in contenders]
    return Decision(winner.model, bool(absent), champion, reason, contest, told)


def _unjudged_choice(healthy: Sequence[Contender], champion: str | None) -> Contender:
    """The champion, which was judged once; else the ablest baseline; else what there is."""
    champions = [c for c in healthy if c.model == champion]
    baselines = [c for c in healthy if c.kind == "baseline"]
    return (champions or baselines[-1:] or healthy[-1:])[0]


def _reason_of_winner(winner: Contender, competing: Sequence[Contender], champion: str | None, contest: Contest) -> str:
    value = f"{contest.value(winner):.4f}"
    others = [c for c in competing if c is not winner]
    rivals = [c for c in others if c.kind == "deep"] if winner.kind == "baseline" else others
    if rivals:
        rival = max(rivals, key=contest.value)
        against = f"{value} against {contest.value(rival):.4f} of {rival.model}"
    else:
        against = f"{value}, with no {'deep model' if winner.kind == 'baseline' else 'other model'} to compare"
    if winner.kind == "baseline":
        reason = f"The baseline {winner.model} is published, because no deep model beat it in {contest}: {against}."
    else:
        reason = f"{winner.model} is published, because it is the best of {len(competing)} in {contest}: {against}."
    if champion and champion != winner.model:
        judged = next((f"{contest.value(c):.4f}" for c in competing if c.model == champion), "could not compete")
        reason += f" It follows the champion {champion} ({judged})."
    return reason


def _failures(contenders: Sequence[Contender]) -> str:
    parts = []
    for c in contenders:
        failed = [f"{rule.rule}: {rule.saw}" for rule in c.health_rules() if not rule.passed]
        parts.append(f"{c.model} ({'; '.join(failed) or 'not in the backtest'})")
    return ", ".join(parts) + "."


def _told(
    contender: Contender, contenders: Sequence[Contender], champion: str | None, contest: Contest
) -> dict[str, Any]:
    """All that was seen of a model, for the decision's JSON."""
    rules = contender.health_rules()
    judged = f"{contest}: {contest.value(contender):.4f}" if contender.backtest else "not judged"
    rules.append(Rule("is in the backtest", judged, contender.backtest is not None))
    if contender.kind == "deep" and contender.backtest:
        rules += [_beats(contender, rival, contest) for rival in contenders if _is_bar(rival, contender, champion)]
    figures = {name: (contender.backtest or {}).get(name) for name in (contest.metric, "ndcg_low", "ndcg_high")}
    return {
        "model": contender.model,
        "kind": contender.kind,
        "version": contender.version,
        "is_healthy": contender.is_healthy,
        **figures,
        "kept_share": contender.agreement.kept_share if contender.agreement else None,
        "variety": contender.agreement.variety if contender.agreement else None,
        "refit_overlap": contender.refit_overlap,
        "rules": [asdict(rule) for rule in rules],
    }


def _is_bar(rival: Contender, challenger: Contender, champion: str | None) -> bool:
    """Whether a deep challenger has to beat this one: every judged baseline, and the champion."""
    is_named = rival.kind == "baseline" or rival.model == champion
    return is_named and rival.model != challenger.model and rival.backtest is not None


def _beats(challenger: Contender, rival: Contender, contest: Contest) -> Rule:
    mine, theirs = contest.value(challenger), contest.value(rival)
    saw, gain = f"{mine:.4f} against {theirs:.4f}", challenger.gains.get(rival.model)
    if gain:
        saw += f", 95 % interval of the gain {gain['gain_low']:+.4f} to {gain['gain_high']:+.4f}"
    return Rule(f"beats {rival.model}", saw, mine > theirs)
