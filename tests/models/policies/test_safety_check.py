"""Which policies may re-rank: the good, and none of the bad."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from expectations.shop.policy_settings import Policy
from expectations.shop.shop import Shop
from jobs.lists.candidate_pool import Pool
from jobs.lists.mmr_selection import sampled_places
from jobs.lists.softmax_sampling import SlotSampler
from models.evaluation.held_out import WITH_REPEATS, HeldOut
from models.evaluation.ranking_metrics import relevant_from_pairs
from models.policies.cross_fitting import CrossFitted, folds_of
from models.policies.safety_check import MIN_EFFECTIVE_LISTS, decided, judged_by_backtest, judged_by_log
from models.policies.served_policy import DrawnOrder
from models.slates.slates import Choices, SlatePolicy, Slates
from models.slates.training_slates import Examples, items_at
from tests.worlds.fixed_policies import CONSTANT, RANKER, REVERSED, AtRandom, Knowing, Ordered, choices_by

USERS, ITEMS, TOP_K = 900, 14, 4
POISONED: dict[str, SlatePolicy] = {"reversed": REVERSED, "constant": CONSTANT, "random": AtRandom()}


@pytest.fixture
def wanted(rng: np.random.Generator) -> np.ndarray:
    """Three items of each user. Shape (users, items)."""
    is_wanted = np.zeros((USERS, ITEMS), bool)
    np.put_along_axis(is_wanted, np.argsort(rng.random((USERS, ITEMS)), axis=1)[:, :3], True, axis=1)
    return is_wanted


@pytest.fixture
def choices(wanted: np.ndarray, rng: np.random.Generator) -> Choices:
    """A ranker that knows something of what is wanted; its best candidate comes first."""
    score = rng.normal(size=wanted.shape) + 1.5 * wanted
    order = np.argsort(-score, axis=1)
    return choices_by(np.take_along_axis(score, order, axis=1), order)


@pytest.fixture
def shop(shop: Shop) -> Shop:
    return replace(shop, top_k=TOP_K, num_candidates=ITEMS, policy=Policy("policy_gradient", randomness=0.5))


def shown(
    choices: Choices, wanted: np.ndarray, policy: SlatePolicy, randomness: float = 0.5, days: int = 3
) -> Examples:
    """Lists that a policy drew for some days, and what they earned."""
    many = choices.rows(np.tile(np.arange(USERS), days))
    slates = DrawnOrder(policy, TOP_K, randomness).draw(many, TOP_K, np.random.default_rng(3))
    earned = np.where(slates.place >= 0, wanted[many.user[:, None], items_at(many, slates.place)], 0.0)
    return Examples(many, slates, earned.astype(float), np.zeros(len(many)), np.zeros(many.item.shape, dtype=bool))


def held_out(wanted: np.ndarray) -> HeldOut:
    rows, items = np.nonzero(wanted)
    return HeldOut(WITH_REPEATS, np.arange(USERS), relevant_from_pairs(rows, items, USERS))


def seen(policy: SlatePolicy, randomness: float = 0.5) -> DrawnOrder:
    return DrawnOrder(policy, TOP_K, randomness)


def test_what_already_stands_may_stay(choices: Choices, wanted: np.ndarray, shop: Shop) -> None:
    by_log = judged_by_log(shown(choices, wanted, RANKER), seen(RANKER), shop)
    by_backtest = judged_by_backtest(choices, held_out(wanted), RANKER, shop)
    assert by_log.is_allowed and by_log.gain == pytest.approx(0.0, abs=1e-9)
    assert by_log.effective_lists == pytest.approx(3 * USERS)
    assert by_backtest.is_allowed and (by_backtest.gain_low, by_backtest.gain_high) == (0.0, 0.0)


def test_a_better_order_is_allowed_by_either(choices: Choices, wanted: np.ndarray, shop: Shop) -> None:
    by_log = judged_by_log(shown(choices, wanted, RANKER, 1.5), seen(Knowing(wanted), 1.5), shop)
    assert by_log.is_allowed and by_log.gain_low > 0.1
    by_backtest = judged_by_backtest(choices, held_out(wanted), Knowing(wanted), shop)
    assert by_backtest.is_allowed and by_backtest.gain_low > 0.1
    assert decided(by_log, by_backtest) is by_log


@pytest.mark.parametrize("name", POISONED)
def test_a_poisoned_policy_is_refused_by_the_backtest(
    choices: Choices, wanted: np.ndarray, shop: Shop, name: str
) -> None:
    verdict = judged_by_backtest(choices, held_out(wanted), POISONED[name], shop)
    assert verdict.is_allowed is False
    assert "does not keep" in verdict.reason
    nothing_shown = judged_by_log(None, seen(POISONED[name]), shop)
    assert nothing_shown.is_allowed is None
    assert decided(nothing_shown, verdict).is_allowed is False


@pytest.mark.parametrize("name", POISONED)
def test_a_poisoned_policy_is_refused_by_what_was_shown(
    choices: Choices, wanted: np.ndarray, shop: Shop, name: str
) -> None:
    log = shown(choices, wanted, RANKER, randomness=3.0)
    verdict = judged_by_log(log, seen(POISONED[name], 3.0), shop)
    assert verdict.is_allowed is False
    assert verdict.gain < 0


def test_the_log_tells_what_a_policy_would_have_earned(choices: Choices, wanted: np.ndarray, shop: Shop) -> None:
    verdict = judged_by_log(shown(choices, wanted, RANKER, 1.5, days=6), seen(REVERSED, 1.5), shop)
    really = shown(choices, wanted, REVERSED, 1.5, days=6).at_once.sum(axis=1).mean()
    assert verdict.value + verdict.gain_low < really < verdict.value + verdict.gain_high


def test_a_log_that_shows_little_of_the_policy_leaves_it_to_the_backtest(
    choices: Choices, wanted: np.ndarray, shop: Shop
) -> None:
    by_log = judged_by_log(shown(choices, wanted, RANKER, 0.3), seen(REVERSED, 0.3), shop)
    assert by_log.is_allowed is None
    assert by_log.effective_lists < MIN_EFFECTIVE_LISTS
    by_backtest = judged_by_backtest(choices, held_out(wanted), REVERSED, shop)
    verdict = decided(by_log, by_backtest)
    assert verdict.is_allowed is False
    assert by_backtest.reason in verdict.reason and by_log.reason in verdict.reason


def test_a_log_of_other_lists_than_its_propensities_say_decides_nothing(
    choices: Choices, wanted: np.ndarray, shop: Shop
) -> None:
    log = shown(choices, wanted, RANKER)
    slates = Slates(log.slates.place, np.minimum(1.0, 1.3 * log.slates.propensity))
    verdict = judged_by_log(replace(log, slates=slates), seen(RANKER), shop)
    assert verdict.is_allowed is None
    assert verdict.mean_weight < 0.5 and "show too little of what the policy would" in verdict.reason


def test_lists_without_propensities_or_rewards_say_nothing(choices: Choices, wanted: np.ndarray, shop: Shop) -> None:
    log = shown(choices, wanted, RANKER)
    nobody_wrote = replace(log, slates=Slates(log.slates.place, np.full(log.slates.place.shape, np.nan)))
    assert judged_by_log(nobody_wrote, seen(RANKER), shop).is_allowed is None
    nothing_earned = replace(log, at_once=np.zeros(log.at_once.shape))
    assert judged_by_log(nothing_earned, seen(RANKER), shop).is_allowed is None
    assert decided(judged_by_log(None, seen(RANKER), shop), judged_by_log(None, seen(RANKER), shop)).is_allowed is False


def test_how_much_may_be_lost_is_the_shops_to_say(choices: Choices, wanted: np.ndarray, shop: Shop) -> None:
    generous = replace(shop, policy=replace(shop.policy, max_loss=0.99))
    assert judged_by_backtest(choices, held_out(wanted), AtRandom(), generous).is_allowed is True


# --- What is judged: the order of a policy, drawn from as the night draws ---------------------------------------------


def test_lists_are_drawn_as_often_as_their_propensities_say(rng: np.random.Generator) -> None:
    items = np.array([[4, 2, 7, 9, -1]])
    one = choices_by(np.array([[2.0, 1.5, 1.0, -1.0, 0.0]]), items)
    many, drawn_order = one.rows(np.zeros(20_000, int)), DrawnOrder(REVERSED, 2, 1.0)
    slates = drawn_order.draw(many, 2, rng)
    assert drawn_order.order(one).tolist() == [[3, 2, 0, 1, -1]]
    probability = {tuple(place): p.prod() for place, p in zip(slates.place.tolist(), slates.propensity, strict=True)}
    assert len(probability) == 12 and sum(probability.values()) == pytest.approx(1.0)
    for place, num in Counter(map(tuple, slates.place.tolist())).items():
        expected = 20_000 * probability[place]
        assert abs(num - expected) < 4.5 * np.sqrt(expected)


def test_without_randomness_only_the_order_itself_is_likely() -> None:
    one = choices_by(np.array([[3.0, 2.0, 1.0]]), np.array([[5, 6, 7]]))
    lists = Slates(np.array([[0, 1], [1, 0], [0, 2]]), np.ones((3, 2)))
    asked = one.rows(np.zeros(3, int))
    assert DrawnOrder(RANKER, 3, 0.0).propensity(asked, lists).tolist() == [[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    assert DrawnOrder(RANKER, 3, 0.0).draw(one, 5, None).place.tolist() == [[0, 1, 2]]


def test_the_night_draws_with_just_these_probabilities(choices: Choices) -> None:
    """`jobs.lists.softmax_sampling` writes the propensities that `DrawnOrder` would give for the same scores."""
    few = choices.rows(np.arange(50))
    pool = Pool.of(few.item + 2, few.features[..., 0].astype(np.float64), users=few.user)
    places, propensity = sampled_places(pool, TOP_K, 0.0, None, (), SlotSampler(0.7, 5))
    items = np.take_along_axis(pool.items, places, axis=1) - 2
    place = (few.item[:, None, :] == items[:, :, None]).argmax(axis=2)
    told = DrawnOrder(RANKER, TOP_K, 0.7).propensity(few, Slates(place, propensity))
    np.testing.assert_allclose(told, propensity, rtol=1e-4)


def test_nobody_is_answered_by_the_policy_that_learnt_from_them(choices: Choices) -> None:
    both = CrossFitted([Ordered(1.0), Ordered(-1.0)])
    folds = folds_of(choices.user)
    assert 0.4 < folds.mean() < 0.6 and not (folds[::2] == folds[0]).all()
    place = both.draw(choices, 2, None).place
    for fold, alone in enumerate(both.policies):
        own = choices.rows(np.flatnonzero(folds == fold))
        assert (place[folds == fold] == alone.draw(own, 2, None).place).all()
