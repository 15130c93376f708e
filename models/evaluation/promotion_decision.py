"""Which model a night publishes, whether it is a fallback, and why, in a sentence or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from expectations.semantics.champions import NO_CHAMPION, Outcome
from expectations.shop.shop import Gate
from expectations.tables import NightError
from models.evaluation.promotion_rules import Challenger, Comparison, Promotion, PromotionCheck


@dataclass(frozen=True)
class Decision:
    """Which model is published and why.

    Attributes:
        is_fallback: whether something less is published than could have been, had every model been sound.
        champion: the model published for the latest earlier ds.
        reason: in a sentence or two.
        models: every model with every rule.
        by_champion: champion -> what would have been decided under it; the first without any.
    """

    published_model: str
    is_fallback: bool
    champion: str | None
    reason: str
    comparison: Comparison
    models: list[dict[str, Any]]
    by_champion: dict[str, Outcome]

    def as_dict(self) -> dict[str, Any]:
        """Returns what `gate_decisions` keeps as JSON; its readers know the comparison under the key `contest`."""
        details = asdict(self)
        details["contest"] = details.pop("comparison")
        return details


def decide(
    ds: str, challengers: Sequence[Challenger], champion: str | None, comparison: Comparison, gate: Gate
) -> Decision:
    """Publishes the champion or, where the rules of promotion allow it, the best of the other healthy models.

    The night is a fallback where nothing was judged, or where a model that could not compete could have won. One that
    would have lost is a note.

    Args:
        challengers: every model that the shop asked for, from simple to able.
        champion: the model published for the latest earlier ds.
        gate: how sure a gain must be, and how many users must have been judged.

    Raises:
        NightError: no model is healthy.
    """
    if not any(c.is_healthy for c in challengers):
        raise NightError(f"gate_decisions ds={ds}: no model can be published: {_failures(challengers)}")
    competing = [c for c in challengers if c.is_competing]
    absent = [c for c in challengers if not c.is_competing]
    promotion = Promotion(comparison, champion, gate, max((c.num_users for c in competing), default=0))
    winner, missed = _choice(challengers, promotion)
    if competing:
        reason = _reason_of_winner(winner, challengers, promotion)
    else:
        role = "champion" if winner.model == champion else f"{winner.kind} model"
        reason = f"The {role} {winner.model} is published unjudged: no healthy model was judged by a backtest."
    if missed:
        reason += f" This night is a fallback, because these could not compete: {_failures(missed)}"
    if lost := [c for c in absent if c not in missed]:
        reason += f" These could not compete, and would not have been published: {_losses(lost, comparison)}"
    details = [_details(c, competing, promotion) for c in challengers]
    others = [replace(promotion, champion=model) for model in (NO_CHAMPION, *(c.model for c in challengers))]
    by_champion = {str(other.champion): _outcome(*_choice(challengers, other)) for other in others}
    return Decision(winner.model, bool(missed), champion, reason, comparison, details, by_champion)


def _choice(challengers: Sequence[Challenger], promotion: Promotion) -> tuple[Challenger, list[Challenger]]:
    """Who is published, and which of those that could not compete could have been."""
    competing = [c for c in challengers if c.is_competing]
    absent = [c for c in challengers if not c.is_competing]
    if not competing:
        return _unjudged_choice([c for c in challengers if c.is_healthy], promotion.champion), absent
    return promotion.winner(competing), [c for c in absent if promotion.could_have_won(c, challengers)]


def _outcome(winner: Challenger, missed: Sequence[Challenger]) -> Outcome:
    return Outcome(winner.model, bool(missed))


def _unjudged_choice(healthy: Sequence[Challenger], champion: str | None) -> Challenger:
    """The champion, which was judged once; else the ablest baseline; else what there is."""
    champions = [c for c in healthy if c.model == champion]
    baselines = [c for c in healthy if c.kind == "baseline"]
    return (champions or baselines[-1:] or healthy[-1:])[0]


def _reason_of_winner(winner: Challenger, challengers: Sequence[Challenger], promotion: Promotion) -> str:
    comparison, champion = promotion.comparison, promotion.champion
    competing = [c for c in challengers if c.is_competing]
    best = max(competing, key=comparison.value)
    if comparison.value(best) > comparison.value(winner):
        reason = _reason_of_withholding(best, winner, competing, promotion)
    else:
        reason = _reason_of_best(winner, competing, comparison)
    if promotion.has_too_few_users:
        users = "1 user was" if promotion.num_users == 1 else f"{promotion.num_users:,} users were"
        reason += (
            f" Only {users} judged, fewer than the {promotion.gate.min_judged_users:,} of `min_judged_users`: nothing "
            f"replaces the champion, and no deep model a baseline."
        )
    if champion and champion != winner.model:
        reason += f" It follows the champion {champion} ({_fate_of(champion, challengers, comparison)})."
    return reason


def _reason_of_best(winner: Challenger, competing: Sequence[Challenger], comparison: Comparison) -> str:
    value = f"{comparison.value(winner):.4f}"
    others = [c for c in competing if c is not winner]
    rivals = [c for c in others if c.kind == "deep"] if winner.kind == "baseline" else others
    if rivals:
        rival = max(rivals, key=comparison.value)
        against = f"{value} against {comparison.value(rival):.4f} of {rival.model}"
    else:
        against = f"{value}, with no {'deep model' if winner.kind == 'baseline' else 'other model'} to compare"
    if winner.kind == "baseline":
        return f"The baseline {winner.model} is published, because no deep model beat it in {comparison}: {against}."
    return f"{winner.model} is published, because it is the best of {len(competing)} in {comparison}: {against}."


def _reason_of_withholding(
    best: Challenger, winner: Challenger, competing: Sequence[Challenger], promotion: Promotion
) -> str:
    """Why the model of the highest figure is not the one that is published."""
    comparison = promotion.comparison
    if winner.model == promotion.champion:
        published = f"The champion {winner.model} stays"
    elif winner.kind == "baseline":
        published = f"The baseline {winner.model} is published"
    else:
        published = f"{winner.model} is published"
    reason = (
        f"{published} with {comparison.value(winner):.4f} in {comparison}, although {best.model} has "
        f"{comparison.value(best):.4f}"
    )
    if promotion.has_too_few_users:
        return f"{reason}."
    bar = next(rival for rival in promotion.bars(best, competing) if not promotion.beats(best, rival))
    return f"{reason}: it does not surely beat {bar.model} ({promotion.sureness(best, bar)})."


def _fate_of(champion: str, challengers: Sequence[Challenger], comparison: Comparison) -> str:
    for c in challengers:
        if c.model == champion:
            return f"{comparison.value(c):.4f}" if c.is_competing else "could not compete"
    return "not among the shop's models"


def _failures(challengers: Sequence[Challenger]) -> str:
    return ", ".join(f"{c.model} ({'; '.join(_what_failed(c))})" for c in challengers) + "."


def _losses(challengers: Sequence[Challenger], comparison: Comparison) -> str:
    """Failures, with what the backtest says of the models all the same."""
    judged = [[f"judged {comparison.value(c):.4f}"] if c.backtest else [] for c in challengers]
    parts = [f"{c.model} ({'; '.join(_what_failed(c) + more)})" for c, more in zip(challengers, judged, strict=True)]
    return ", ".join(parts) + "."


def _what_failed(challenger: Challenger) -> list[str]:
    failed = [f"{rule.rule}: {rule.saw}" for rule in challenger.health_checks() if not rule.passed]
    return failed or ["not in the backtest"]


def _details(challenger: Challenger, competing: Sequence[Challenger], promotion: Promotion) -> dict[str, Any]:
    """All that was seen of a model, for the decision's JSON."""
    comparison, rules = promotion.comparison, challenger.health_checks()
    judged = f"{comparison}: {comparison.value(challenger):.4f}" if challenger.backtest else "not judged"
    rules.append(PromotionCheck("is in the backtest", judged, challenger.backtest is not None))
    if challenger.backtest:
        rules += [promotion.check(challenger, rival) for rival in promotion.bars(challenger, competing)]
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
