"""What is published, and when that is a fallback, on literal figures of one night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from expectations.semantics.champions import Outcome
from expectations.shop.shop import Gate
from models.evaluation.list_health import ListHealth
from models.evaluation.promotion_decision import Decision, decide
from models.evaluation.promotion_rules import Challenger, Comparison

COMPARISON = Comparison("ndcg", "with_repeats", 10)
SOUND = ListHealth(num_rows=500, is_finite=True, varying_share=1.0, user_share=1.0, top_item_ids=("a",))
HALF_WIDTH = 0.05
"""Of the interval of every gain: 0.06 more is sure, 0.04 more is not."""
MANY, FEW = 900, 29

Model = tuple[str, float | None, str]
"""Name, what the backtest says of it, and its state: sound, sick, no lists or no fit."""


def challenger(model: Model, num_users: int) -> Challenger:
    name, ndcg, state = model
    kind = "baseline" if name in ("recent_demand", "item_item") else "deep"
    health = {"sound": SOUND, "sick": replace(SOUND, varying_share=0.0)}.get(state)
    figures = {"ndcg_low": 0.0, "ndcg_high": 1.0, "num_users": num_users}
    backtest = None if ndcg is None else {"ndcg": ndcg, **figures}
    return Challenger(name, kind, None if state == "no fit" else f"{name}-v1", health, backtest)


def with_gains(challengers: Sequence[Challenger]) -> list[Challenger]:
    """As `backtest_gains` has them: every judged model against every other one."""
    values = {c.model: c.backtest["ndcg"] for c in challengers if c.backtest}
    gains = {
        model: {
            rival: {"gain_low": mine - theirs - HALF_WIDTH, "gain_high": mine - theirs + HALF_WIDTH}
            for rival, theirs in values.items()
            if rival != model
        }
        for model, mine in values.items()
    }
    return [replace(c, gains=gains.get(c.model, {})) for c in challengers]


@dataclass(frozen=True)
class Case:
    """A night, and what is right."""

    name: str
    models: Sequence[Model]
    published: str
    is_fallback: bool
    says: str
    champion: str | None = None
    promotion: str = "interval"
    num_users: int = MANY

    @property
    def decision(self) -> Decision:
        challengers = with_gains([challenger(model, self.num_users) for model in self.models])
        return decide("2024-03-10", challengers, self.champion, COMPARISON, Gate(promotion=self.promotion))


def sound(name: str, ndcg: float | None) -> Model:
    return name, ndcg, "sound"


def sick(name: str, ndcg: float | None) -> Model:
    return name, ndcg, "sick"


DEMAND, ITEM_ITEM = sound("recent_demand", 0.1), sound("item_item", 0.2)
NO_FIT = "is fitted as of ds: no fit"
CASES = [
    # --- Who is published: all models are sound -----------------------------------------------------------------------
    Case("first night, sure", [DEMAND, sound("deep_cf", 0.3)], "deep_cf", False, "because it is the best of 2"),
    Case(
        "first night, not sure",
        [DEMAND, sound("deep_cf", 0.14)],
        "recent_demand",
        False,
        "The baseline recent_demand is published with 0.1000 in ndcg@10 on with_repeats, although deep_cf has 0.1400: "
        "it does not surely beat recent_demand (95 % interval -0.0100 to +0.0900 of the gain).",
    ),
    Case("first night, best", [DEMAND, sound("deep_cf", 0.14)], "deep_cf", False, "best of 2", promotion="best"),
    Case(
        "first night, sure of one baseline and not of the other",
        [DEMAND, ITEM_ITEM, sound("deep_cf", 0.24)],
        "item_item",
        False,
        "does not surely beat item_item",
    ),
    Case(
        "first night, the second is surely better than the baseline and the best is, too",
        [DEMAND, sound("two_tower", 0.3), sound("deep_cf", 0.31)],
        "deep_cf",
        False,
        "0.3100 against 0.3000 of two_tower",
    ),
    Case(
        "a challenger that is not surely better leaves the champion",
        [DEMAND, sound("two_tower", 0.3), sound("deep_cf", 0.34)],
        "two_tower",
        False,
        "The champion two_tower stays with 0.3000 in ndcg@10 on with_repeats, although deep_cf has 0.3400: it does not",
        champion="two_tower",
    ),
    Case(
        "the best replaces the champion where the shop wants that",
        [DEMAND, sound("two_tower", 0.3), sound("deep_cf", 0.34)],
        "deep_cf",
        False,
        "It follows the champion two_tower (0.3000).",
        champion="two_tower",
        promotion="best",
    ),
    Case(
        "a challenger that is surely better replaces the champion",
        [DEMAND, sound("two_tower", 0.3), sound("deep_cf", 0.36)],
        "deep_cf",
        False,
        "It follows the champion two_tower (0.3000).",
        champion="two_tower",
    ),
    Case(
        "a deep model need not surely beat a baseline that does not surely beat the champion",
        [sound("item_item", 0.27), sound("two_tower", 0.25), sound("deep_cf", 0.31)],
        "deep_cf",
        False,
        "best of 3",
        champion="two_tower",
    ),
    Case(
        "a baseline that surely beats the champion is preferred to a deep model that is not surely better",
        [sound("item_item", 0.3), DEMAND, sound("two_tower", 0.1), sound("deep_cf", 0.32)],
        "item_item",
        False,
        "does not surely beat item_item",
        champion="two_tower",
    ),
    Case(
        "a baseline is a champion like any other",
        [DEMAND, ITEM_ITEM, sound("deep_cf", 0.22)],
        "item_item",
        False,
        "The champion item_item stays",
        champion="item_item",
    ),
    Case(
        "a champion that the shop no longer runs is no bar, and its absence no fallback",
        [DEMAND, sound("deep_cf", 0.3)],
        "deep_cf",
        False,
        "It follows the champion sequence (not among the shop's models).",
        champion="sequence",
    ),
    # --- The champion could not compete: always a fallback ------------------------------------------------------------
    Case(
        "a sick champion",
        [ITEM_ITEM, sick("two_tower", 0.3)],
        "item_item",
        True,
        "fallback, because these could not compete: two_tower (scores vary for at least 50% of users: 0.0%)",
        champion="two_tower",
    ),
    Case(
        "a sick champion that would have been replaced",
        [ITEM_ITEM, sick("two_tower", 0.1), sound("deep_cf", 0.4)],
        "deep_cf",
        True,
        "It follows the champion two_tower (could not compete).",
        champion="two_tower",
    ),
    Case(
        "a champion without a fit",
        [ITEM_ITEM, ("two_tower", None, "no fit")],
        "item_item",
        True,
        f"two_tower ({NO_FIT})",
        champion="two_tower",
    ),
    Case(
        "a champion that was not judged",
        [ITEM_ITEM, sound("two_tower", None)],
        "item_item",
        True,
        "could not compete: two_tower (not in the backtest).",
        champion="two_tower",
    ),
    Case(
        "a sick baseline that was champion",
        [DEMAND, sick("item_item", 0.2)],
        "recent_demand",
        True,
        "item_item (scores vary",
        champion="item_item",
    ),
    # --- Others could not compete: a fallback where they could have won -----------------------------------------------
    Case(
        "the worst of five is sick",
        [DEMAND, ITEM_ITEM, sick("two_tower", 0.02), sound("content", 0.15), sound("deep_cf", 0.4)],
        "deep_cf",
        False,
        "These could not compete, and would not have been published: two_tower (scores vary for at least 50% of users: "
        "0.0%; judged 0.0200).",
    ),
    Case("the best is sick", [ITEM_ITEM, sick("deep_cf", 0.9)], "item_item", True, "deep_cf (scores vary"),
    Case(
        "a sick one has more than the champion, and its interval says that it is not sure",
        [DEMAND, sound("two_tower", 0.3), sick("deep_cf", 0.34)],
        "two_tower",
        False,
        "would not have been published: deep_cf",
        champion="two_tower",
    ),
    Case(
        "a sick one has more than the champion, and the best wins",
        [DEMAND, sound("two_tower", 0.3), sick("deep_cf", 0.34)],
        "two_tower",
        True,
        "could not compete: deep_cf",
        champion="two_tower",
        promotion="best",
    ),
    Case(
        "a sick one is surely better than the champion",
        [DEMAND, sound("two_tower", 0.3), sick("deep_cf", 0.36)],
        "two_tower",
        True,
        "could not compete: deep_cf",
        champion="two_tower",
    ),
    Case(
        "a sick one is not surely better than the baseline",
        [ITEM_ITEM, sick("deep_cf", 0.24)],
        "item_item",
        False,
        "would not have been published: deep_cf",
    ),
    Case(
        "a sick baseline is worse than what is published",
        [sick("recent_demand", 0.1), ITEM_ITEM, sound("deep_cf", 0.3)],
        "deep_cf",
        False,
        "would not have been published: recent_demand",
    ),
    Case(
        "without a fit, but judged, and worse",
        [ITEM_ITEM, ("two_tower", 0.1, "no fit"), sound("deep_cf", 0.3)],
        "deep_cf",
        False,
        f"would not have been published: two_tower ({NO_FIT}; judged 0.1000)",
    ),
    Case(
        "without lists, but judged, and better",
        [ITEM_ITEM, ("two_tower", 0.4, "no lists"), sound("deep_cf", 0.3)],
        "deep_cf",
        True,
        "could not compete: two_tower (has lists as of ds: no lists under the current vocabulary)",
    ),
    Case(
        "without a fit and never judged: nothing speaks against it",
        [DEMAND, ITEM_ITEM, ("deep_cf", None, "no fit")],
        "item_item",
        True,
        f"could not compete: deep_cf ({NO_FIT}).",
    ),
    Case(
        "sound, but not judged",
        [ITEM_ITEM, sound("content", None), sound("deep_cf", 0.3)],
        "deep_cf",
        True,
        "could not compete: content (not in the backtest).",
    ),
    Case("a baseline not judged", [sound("recent_demand", None), ITEM_ITEM], "item_item", True, "recent_demand (not"),
    Case(
        "one could have won and another could not",
        [ITEM_ITEM, sick("two_tower", 0.1), ("deep_cf", None, "no fit")],
        "item_item",
        True,
        f"could not compete: deep_cf ({NO_FIT}). These could not compete, and would not have been "
        "published: two_tower (",
    ),
    # --- Nothing was judged -------------------------------------------------------------------------------------------
    Case(
        "no backtest",
        [sound("item_item", None), sound("two_tower", None)],
        "two_tower",
        True,
        "The champion two_tower is published unjudged",
        champion="two_tower",
    ),
    Case(
        "no backtest, no champion",
        [sound("recent_demand", None), sound("item_item", None), sound("deep_cf", None)],
        "item_item",
        True,
        "The baseline model item_item is published unjudged",
    ),
    # --- Too few users were judged ------------------------------------------------------------------------------------
    Case(
        "one user is no evidence for a deep model",
        [sound("recent_demand", 0.5), sound("two_tower", 0.6309)],
        "recent_demand",
        False,
        "although two_tower has 0.6309. Only 1 user was judged, fewer than the 30 of `min_judged_users`: nothing "
        "replaces the champion, and no deep model a baseline.",
        num_users=1,
    ),
    Case(
        "nor are a few where the best wins",
        [DEMAND, sound("two_tower", 0.9)],
        "recent_demand",
        False,
        "Only 29 users were judged",
        promotion="best",
        num_users=FEW,
    ),
    Case(
        "as many as asked for are",
        [DEMAND, sound("two_tower", 0.9)],
        "two_tower",
        False,
        "best of 2",
        num_users=FEW + 1,
    ),
    Case(
        "of baselines the best is taken all the same",
        [DEMAND, ITEM_ITEM, sound("deep_cf", 0.9)],
        "item_item",
        False,
        "The baseline item_item is published",
        num_users=FEW,
    ),
    Case(
        "the champion stays, a deep one too",
        [sound("item_item", 0.9), sound("two_tower", 0.1)],
        "two_tower",
        False,
        "The champion two_tower stays",
        champion="two_tower",
        num_users=FEW,
    ),
    Case(
        "who could not compete could not have replaced the champion",
        [DEMAND, sound("two_tower", 0.3), ("deep_cf", None, "no fit")],
        "two_tower",
        False,
        "would not have been published: deep_cf",
        champion="two_tower",
        num_users=FEW,
    ),
    Case(
        "an unjudged baseline could have stood in for a baseline",
        [sound("recent_demand", None), ITEM_ITEM, sound("deep_cf", 0.3)],
        "item_item",
        True,
        "could not compete: recent_demand",
        num_users=FEW,
    ),
    Case(
        "a sick champion leaves it to the baselines",
        [ITEM_ITEM, sick("two_tower", 0.3), sound("deep_cf", 0.4)],
        "item_item",
        True,
        "could not compete: two_tower",
        champion="two_tower",
        num_users=FEW,
    ),
    Case(
        "a shop without baselines publishes what it has",
        [sound("two_tower", 0.2), sound("deep_cf", 0.4)],
        "deep_cf",
        False,
        "Only 29 users were judged",
        num_users=FEW,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_published_and_whether_that_is_a_fallback(case: Case) -> None:
    decision = case.decision
    assert (decision.published_model, decision.is_fallback) == (case.published, case.is_fallback), decision.reason
    assert case.says in decision.reason
    assert ("This night is a fallback" in decision.reason) is case.is_fallback


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_whoever_is_published_after_a_backtest_passed_every_rule(case: Case) -> None:
    decision = case.decision
    rules = next(details["rules"] for details in decision.models if details["model"] == decision.published_model)
    failed = [rule["rule"] for rule in rules if not rule["passed"]]
    assert failed == (["is in the backtest"] if "unjudged" in decision.reason else [])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_decision_tells_what_it_would_be_under_each_champion(case: Case) -> None:
    told = case.decision.by_champion
    asked = {
        model: replace(case, champion=model or None).decision for model in ("", *(name for name, _, _ in case.models))
    }
    assert told == {model: Outcome(found.published_model, found.is_fallback) for model, found in asked.items()}
    of_a_stranger = replace(case, champion="no model of the shop").decision
    assert told[""] == Outcome(of_a_stranger.published_model, of_a_stranger.is_fallback)


def test_without_figures_of_a_gain_no_gain_is_sure() -> None:
    challengers = [challenger(model, MANY) for model in (DEMAND, sound("deep_cf", 0.9))]
    decision = decide("2024-03-10", challengers, None, COMPARISON, Gate())
    assert decision.published_model == "recent_demand"
    assert "does not surely beat recent_demand (no interval of the gain)." in decision.reason


def test_one_user_has_no_interval_in_words() -> None:
    challengers = with_gains([challenger(model, 1) for model in (DEMAND, sound("deep_cf", 0.9))])
    no_interval = {"recent_demand": {"gain_low": -1.0, "gain_high": 1.0}}
    challengers[1] = replace(challengers[1], gains=no_interval)
    decision = decide("2024-03-10", challengers, None, COMPARISON, Gate(min_judged_users=1))
    assert decision.published_model == "recent_demand"
    assert "too few users for an interval of the gain)." in decision.reason
