"""What the gate lets through, on literal figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from expectations.shop.shop import Gate
from expectations.tables import NightError
from models.evaluation.list_health import ListHealth
from models.evaluation.promotion_decision import Decision, decide
from models.evaluation.promotion_rules import Challenger, Comparison
from models.evaluation.refit_consistency import RefitConsistency

COMPARISON = Comparison("ndcg", "with_repeats", 10)
SOUND = ListHealth(num_rows=500, is_finite=True, varying_share=1.0, user_share=1.0, top_item_ids=("a",))


def challenger(model: str, ndcg: float | None, kind: str = "baseline", health: ListHealth | None = SOUND) -> Challenger:
    figures = {} if ndcg is None else {"ndcg": ndcg, "ndcg_low": ndcg - 0.01, "ndcg_high": ndcg + 0.01}
    return Challenger(model, kind, f"{model}-v1", health, {**figures, "num_users": 900} if figures else None)


def decided(*challengers: Challenger, champion: str | None = None) -> Decision:
    """By the higher figure; what intervals change is in `test_promotion_decision`."""
    return decide("2024-03-10", challengers, champion, COMPARISON, Gate(promotion="best"))


def test_the_best_model_is_published() -> None:
    decision = decided(challenger("recent_demand", 0.1), challenger("deep_cf", 0.3, "deep"))
    assert (decision.published_model, decision.is_fallback) == ("deep_cf", False)
    assert decision.reason == (
        "deep_cf is published, because it is the best of 2 in ndcg@10 on with_repeats: "
        "0.3000 against 0.1000 of recent_demand."
    )


def test_a_baseline_that_is_best_is_published_and_the_decision_says_so() -> None:
    decision = decided(
        challenger("recent_demand", 0.1), challenger("item_item", 0.31), challenger("deep_cf", 0.3, "deep")
    )
    assert (decision.published_model, decision.is_fallback) == ("item_item", False)
    assert decision.reason == (
        "The baseline item_item is published, because no deep model beat it in ndcg@10 on with_repeats: "
        "0.3100 against 0.3000 of deep_cf."
    )


def test_of_equal_models_the_simpler_is_published() -> None:
    decision = decided(
        challenger("recent_demand", 0.2), challenger("item_item", 0.2), challenger("deep_cf", 0.2, "deep")
    )
    assert decision.published_model == "recent_demand"


def test_a_challenger_that_does_not_beat_the_champion_is_withheld() -> None:
    decision = decided(challenger("two_tower", 0.3, "deep"), challenger("deep_cf", 0.29, "deep"), champion="two_tower")
    assert decision.published_model == "two_tower"
    rules = {rule["rule"]: rule for rule in decision.models[1]["rules"]}
    saw = "0.2900 against 0.3000, no interval of the gain"
    assert rules["beats two_tower"] == {"rule": "beats two_tower", "saw": saw, "passed": False}


def test_a_beaten_champion_is_named() -> None:
    decision = decided(challenger("two_tower", 0.3, "deep"), challenger("deep_cf", 0.4, "deep"), champion="two_tower")
    assert decision.reason.endswith("It follows the champion two_tower (0.3000).")


@pytest.mark.parametrize(
    ("health", "failed"),
    [
        (None, "has lists as of ds: no lists under the current vocabulary"),
        (replace(SOUND, varying_share=0.0), "scores vary for at least 50% of users: 0.0%"),
        (replace(SOUND, is_finite=False), "scores are finite: NaN or infinity"),
        (replace(SOUND, user_share=0.3), "at least 80% of users with interactions have a list: 30.0%"),
    ],
)
def test_a_broken_refit_is_not_published_however_good_its_backtest_was(health: ListHealth | None, failed: str) -> None:
    decision = decided(challenger("recent_demand", 0.1), challenger("deep_cf", 0.9, "deep", health))
    assert (decision.published_model, decision.is_fallback) == ("recent_demand", True)
    assert f"This night is a fallback, because these could not compete: deep_cf ({failed})." in decision.reason


@pytest.mark.parametrize(("kind", "published"), [("deep", "recent_demand"), ("baseline", "item_item")])
def test_a_deep_refit_that_disowns_what_was_judged_is_not_published(kind: str, published: str) -> None:
    turned = replace(challenger("item_item", 0.9, kind), consistency=RefitConsistency(kept_share=0.08, variety=1.0))
    decision = decided(challenger("recent_demand", 0.1), turned)
    assert decision.published_model == published
    failed = "users who did nothing since the backtest keep at least 15% of their list: 8.0%"
    assert (failed in decision.reason) == (kind == "deep")


def test_a_rule_tells_the_interval_of_the_gain() -> None:
    gain = {"recent_demand": {"gain_low": 0.05, "gain_high": 0.15}}
    decision = decided(challenger("recent_demand", 0.1), replace(challenger("deep_cf", 0.2, "deep"), gains=gain))
    details = {rule["rule"]: rule["saw"] for rule in decision.models[1]["rules"]}
    assert details["beats recent_demand"] == "0.2000 against 0.1000, 95 % interval +0.0500 to +0.1500 of the gain"


def test_a_model_that_was_not_trained_makes_the_night_a_fallback() -> None:
    decision = decided(challenger("recent_demand", 0.1), challenger("item_item", 0.2), Challenger("deep_cf"))
    assert (decision.published_model, decision.is_fallback) == ("item_item", True)
    assert "deep_cf (is fitted as of ds: no fit)." in decision.reason


def test_without_a_backtest_the_champion_is_published_as_a_fallback() -> None:
    models = (challenger("item_item", None), challenger("two_tower", None, "deep"), challenger("deep_cf", None, "deep"))
    decision = decided(*models, champion="two_tower")
    assert (decision.published_model, decision.is_fallback) == ("two_tower", True)
    assert decision.reason.startswith("The champion two_tower is published unjudged")


def test_without_backtest_and_champion_the_ablest_baseline_is_published_as_a_fallback() -> None:
    models = (challenger("recent_demand", None), challenger("item_item", None), challenger("deep_cf", None, "deep"))
    assert decided(*models).published_model == "item_item"
    assert decided(*models).is_fallback


def test_a_champion_that_is_broken_tonight_is_not_published() -> None:
    broken = challenger("two_tower", 0.9, "deep", replace(SOUND, varying_share=0.1))
    decision = decided(challenger("item_item", 0.2), broken, champion="two_tower")
    assert decision.published_model == "item_item"
    assert "It follows the champion two_tower (could not compete)." in decision.reason


def test_a_night_without_a_healthy_model_is_an_error_that_names_every_rule_broken() -> None:
    with pytest.raises(NightError, match=r"gate_decisions ds=2024-03-10: no model.*item_item \(scores are finite: NaN"):
        decided(challenger("item_item", 0.2, health=replace(SOUND, is_finite=False)), Challenger("deep_cf"))


def test_the_decisions_json_keeps_its_keys() -> None:
    details = decided(challenger("recent_demand", 0.1)).as_dict()
    assert set(details) == {"published_model", "is_fallback", "champion", "reason", "contest", "models", "by_champion"}
    assert details["contest"] == {"metric": "ndcg", "task": "with_repeats", "k": 10}


def test_a_shop_moves_the_bounds_of_its_gate() -> None:
    few = replace(SOUND, user_share=0.5)
    asked = Challenger("item_item", "baseline", "item_item-v1", few)
    assert not asked.is_healthy
    assert replace(asked, bounds=Gate(min_user_share=0.4)).is_healthy
    assert replace(asked, bounds=Gate(min_user_share=0.4)).health_checks()[-1].rule.startswith("at least 40%")
