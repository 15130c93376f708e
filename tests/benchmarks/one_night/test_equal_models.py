"""What the benchmark counts, on one series of a few nights."""

from __future__ import annotations

import pytest

from models.evaluation.promotion_rules import Challenger
from tests.benchmarks.one_night.equal_models import AFTER, BEFORE, NUM_JUDGED, Shop, alternations, published


@pytest.fixture(scope="module")
def nights() -> list[list[Challenger]]:
    shop = Shop.opened(seed=3)
    return [shop.night(seed=3, day=day) for day in range(10)]


def test_equal_models_take_turns_where_the_best_wins_and_not_where_a_gain_must_be_sure(
    nights: list[list[Challenger]],
) -> None:
    assert alternations(published(nights, BEFORE)) >= 3
    assert alternations(published(nights, AFTER)) <= 1


def test_a_night_is_judged_user_by_user(nights: list[list[Challenger]]) -> None:
    demand, tower, sequence = nights[0]
    assert tower.num_users == NUM_JUDGED and tower.backtest is not None and sequence.backtest is not None
    assert tower.backtest["ndcg_low"] < tower.backtest["ndcg"] < tower.backtest["ndcg_high"]
    gain = sequence.gains["two_tower"]
    assert gain["gain"] == pytest.approx(sequence.backtest["ndcg"] - tower.backtest["ndcg"])
    assert demand.gains["two_tower"]["gain_high"] < 0, "the baseline is surely worse"


def test_a_model_that_is_much_better_replaces_the_champion_at_once() -> None:
    night = Shop.opened(seed=3, gain=0.4).night(seed=3, day=0)
    assert published([night], AFTER, champion="two_tower") == ["sequence"]
