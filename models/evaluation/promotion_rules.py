"""The rules by which the gate promotes one of the night's models, from figures alone.

Every model of the shop is a challenger, the champion of the night before among them. A challenger has to beat the
champion; what it takes to beat a model is the shop's `[gate] promotion`. Where several do, or where there is no
champion, a deep model has to beat the baselines among them as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from expectations.shop.shop import Gate
from models.evaluation.list_health import ListHealth
from models.evaluation.refit_consistency import RefitConsistency
from models.evaluation.resampling import interval_text


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
        kind: baseline or deep.
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

    @property
    def num_users(self) -> int:
        """How many the backtest judged it on; 0 when it did not."""
        return int(self.backtest["num_users"]) if self.backtest else 0

    @property
    def is_competing(self) -> bool:
        """Whether it is healthy and was judged."""
        return self.backtest is not None and self.is_healthy


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
class Promotion:
    """Who may be published in place of whom.

    Attributes:
        champion: the model published for the latest earlier ds; None before the first night.
        gate: how sure a gain must be, and how many users must have been judged.
        num_users: how many the backtest judged.
    """

    comparison: Comparison
    champion: str | None
    gate: Gate
    num_users: int

    @property
    def has_too_few_users(self) -> bool:
        """Whether figures are no evidence: then nobody beats anybody."""
        return self.num_users < self.gate.min_judged_users

    def winner(self, competing: Sequence[Challenger]) -> Challenger:
        """The best of those that beat all their bars, as the champion does, which has none; of equals the first.

        Args:
            competing: judged and healthy models, from simple to able.
        """
        may_win = [c for c in competing if all(self.beats(c, bar) for bar in self.bars(c, competing))]
        return max(may_win, key=self.comparison.value)

    def bars(self, challenger: Challenger, competing: Sequence[Challenger]) -> list[Challenger]:
        """Whom a model has to beat: the champion and, where it is deep, the baselines that could be published instead.

        Those are the baselines that beat the champion; without a champion that competes, all of them.
        """
        if challenger.model == self.champion:
            return []
        champions = [c for c in competing if c.model == self.champion]
        baselines = [c for c in competing if c.kind == "baseline" and c.model != self.champion]
        rivals = [b for b in baselines if all(self.beats(b, champion) for champion in champions)]
        return champions + (rivals if challenger.kind == "deep" else [])

    def beats(self, challenger: Challenger, rival: Challenger) -> bool:
        """Whether the challenger may take the rival's place; never where too few users were judged."""
        if self.has_too_few_users:
            return False
        if self.gate.promotion == "best":
            return self.comparison.value(challenger) > self.comparison.value(rival)
        gain = challenger.gains.get(rival.model)
        return gain is not None and bool(gain["gain_low"] > 0)

    def check(self, challenger: Challenger, rival: Challenger) -> PromotionCheck:
        """`beats` with the figures that it looked at."""
        saw = f"{self.comparison.value(challenger):.4f} against {self.comparison.value(rival):.4f}, "
        return PromotionCheck(
            f"beats {rival.model}", saw + self.sureness(challenger, rival), self.beats(challenger, rival)
        )

    def sureness(self, challenger: Challenger, rival: Challenger) -> str:
        """How sure the gain of one model over another is, in words."""
        if self.has_too_few_users:
            return f"too few users judged, {self.num_users:,} of at least {self.gate.min_judged_users:,}"
        gain = challenger.gains.get(rival.model)
        if gain is None:
            return "no interval of the gain"
        return f"{interval_text(gain['gain_low'], gain['gain_high'], self.num_users)} of the gain"

    def could_have_won(self, absent: Challenger, challengers: Sequence[Challenger]) -> bool:
        """Whether a model that could not compete might have been published, had it been sound.

        The champion always might: it was published yesterday. Another model is held to what the backtest says of it;
        where it was not judged, nothing speaks against it.

        Args:
            challengers: every model, in its order.
        """
        if absent.model == self.champion:
            return True
        at_best = absent
        if not absent.backtest:
            sure = {rival.model: {"gain_low": float("inf")} for rival in challengers}
            at_best = replace(absent, backtest={self.comparison.metric: float("inf")}, gains=sure)
        with_it = [at_best if c is absent else c for c in challengers if c is absent or c.is_competing]
        return self.winner(with_it) is at_best
