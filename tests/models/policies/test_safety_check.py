"""Which policies may re-rank: the good, and none of the bad."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from expectations.semantics.policy_decision import policy_settings
from expectations.shop.policy_settings import Policy
from expectations.shop.shop import Shop
from jobs.lists.candidate_pool import Pool
from jobs.lists.mmr_selection import sampled_places
from jobs.lists.softmax_sampling import SlotSampler
from models.evaluation.held_out import WITH_REPEATS, HeldOut
from models.evaluation.ranking_metrics import relevant_from_pairs
from models.policies.cross_fitting import CrossFitted, folds_of
from models.policies.safety_check import check_by_backtest, check_by_log, decisive_result
from models.policies.served_policy import ServedPolicy
from models.slates.slates import CandidateSets, SlatePolicy, Slates
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
def candidates(wanted: np.ndarray, rng: np.random.Generator) -> CandidateSets:
    """A ranker that knows something of what is wanted; its best candidate comes first."""
    score = rng.normal(size=wanted.shape) + 1.5 * wanted
    order = np.argsort(-score, axis=1)
    return choices_by(np.take_along_axis(score, order, axis=1), order)


@pytest.fixture
def shop(shop: Shop) -> Shop:
    return replace(shop, top_k=TOP_K, num_candidates=ITEMS, policy=Policy("policy_gradient", temperature=0.5))


def shown(
    candidates: CandidateSets, wanted: np.ndarray, policy: SlatePolicy, temperature: float = 0.5, days: int = 3
) -> Examples:
    """Lists that a policy drew for some days, and what they earned."""
    many = candidates.rows(np.tile(np.arange(USERS), days))
    slates = ServedPolicy(policy, TOP_K, temperature).draw(many, TOP_K, np.random.default_rng(3))
    earned = np.where(slates.slots >= 0, wanted[many.user[:, None], items_at(many, slates.slots)], 0.0)
    return Examples(many, slates, earned.astype(float), np.zeros(len(many)), np.zeros(many.item.shape, dtype=bool))


def held_out(wanted: np.ndarray) -> HeldOut:
    rows, items = np.nonzero(wanted)
    return HeldOut(WITH_REPEATS, np.arange(USERS), relevant_from_pairs(rows, items, USERS))


def seen(policy: SlatePolicy, temperature: float = 0.5) -> ServedPolicy:
    return ServedPolicy(policy, TOP_K, temperature)


def test_what_already_stands_may_stay(candidates: CandidateSets, wanted: np.ndarray, shop: Shop) -> None:
    by_log = check_by_log(shown(candidates, wanted, RANKER), seen(RANKER), shop)
    by_backtest = check_by_backtest(candidates, held_out(wanted), RANKER, shop)
    assert by_log.is_allowed and by_log.gain == pytest.approx(0.0, abs=1e-9)
    assert by_log.effective_lists == pytest.approx(3 * USERS)
    assert by_backtest.is_allowed and (by_backtest.gain_low, by_backtest.gain_high) == (0.0, 0.0)


def test_a_better_order_is_allowed_by_either(candidates: CandidateSets, wanted: np.ndarray, shop: Shop) -> None:
    by_log = check_by_log(shown(candidates, wanted, RANKER, 1.5), seen(Knowing(wanted), 1.5), shop)
    assert by_log.is_allowed and by_log.gain_low > 0.1
    by_backtest = check_by_backtest(candidates, held_out(wanted), Knowing(wanted), shop)
    assert by_backtest.is_allowed and by_backtest.gain_low > 0.1
    assert decisive_result(by_log, by_backtest) is by_log


@pytest.mark.parametrize("name", POISONED)
def test_a_poisoned_policy_is_refused_by_the_backtest(
    candidates: CandidateSets, wanted: np.ndarray, shop: Shop, name: str
) -> None:
    result = check_by_backtest(candidates, held_out(wanted), POISONED[name], shop)
    assert result.is_allowed is False
    assert "does not keep" in result.reason
    nothing_shown = check_by_log(None, seen(POISONED[name]), shop)
    assert nothing_shown.is_allowed is None
    assert decisive_result(nothing_shown, result).is_allowed is False


@pytest.mark.parametrize("name", POISONED)
def test_a_poisoned_policy_is_refused_by_what_was_shown(
    candidates: CandidateSets, wanted: np.ndarray, shop: Shop, name: str
) -> None:
    log = shown(candidates, wanted, RANKER, temperature=3.0)
    result = check_by_log(log, seen(POISONED[name], 3.0), shop)
    assert result.is_allowed is False
    assert result.gain < 0


def test_the_log_tells_what_a_policy_would_have_earned(
    candidates: CandidateSets, wanted: np.ndarray, shop: Shop
) -> None:
    result = check_by_log(shown(candidates, wanted, RANKER, 1.5, days=6), seen(REVERSED, 1.5), shop)
    really = shown(candidates, wanted, REVERSED, 1.5, days=6).immediate_reward.sum(axis=1).mean()
    assert result.value + result.gain_low < really < result.value + result.gain_high


def test_a_log_that_shows_little_of_the_policy_leaves_it_to_the_backtest(
    candidates: CandidateSets, wanted: np.ndarray, shop: Shop
) -> None:
    by_log = check_by_log(shown(candidates, wanted, RANKER, 0.3), seen(REVERSED, 0.3), shop)
    assert by_log.is_allowed is None
    assert by_log.effective_lists < shop.policy.min_effective_lists
    by_backtest = check_by_backtest(candidates, held_out(wanted), REVERSED, shop)
    result = decisive_result(by_log, by_backtest)
    assert result.is_allowed is False
    assert by_backtest.reason in result.reason and by_log.reason in result.reason


def test_the_shop_says_how_much_a_log_must_show_to_decide(
    candidates: CandidateSets, wanted: np.ndarray, shop: Shop
) -> None:
    log = shown(candidates, wanted, RANKER)
    log = replace(log, slates=Slates(log.slates.slots, np.minimum(1.0, 1.05 * log.slates.propensity)))
    result = check_by_log(log, seen(RANKER), shop)
    assert result.is_allowed is not None
    assert shop.policy.min_mean_weight < result.mean_weight < 0.99
    rewarded = int((log.immediate_reward.sum(axis=1) > 0).sum())
    too_much: dict[str, Any] = {
        "min_effective_lists": len(log) + 1,
        "min_rewarded_lists": rewarded + 1,
        "min_mean_weight": result.mean_weight + 0.01,
    }
    for name, value in too_much.items():
        stricter = replace(shop, policy=replace(shop.policy, **{name: value}))
        assert check_by_log(log, seen(RANKER), stricter).is_allowed is None, name
        assert policy_settings(stricter) != policy_settings(shop)


def test_a_log_of_other_lists_than_its_propensities_say_decides_nothing(
    candidates: CandidateSets, wanted: np.ndarray, shop: Shop
) -> None:
    log = shown(candidates, wanted, RANKER)
    slates = Slates(log.slates.slots, np.minimum(1.0, 1.3 * log.slates.propensity))
    result = check_by_log(replace(log, slates=slates), seen(RANKER), shop)
    assert result.is_allowed is None
    assert result.mean_weight < 0.5 and "show too little of what the policy would" in result.reason


def test_lists_without_propensities_or_rewards_say_nothing(
    candidates: CandidateSets, wanted: np.ndarray, shop: Shop
) -> None:
    log = shown(candidates, wanted, RANKER)
    nobody_wrote = replace(log, slates=Slates(log.slates.slots, np.full(log.slates.slots.shape, np.nan)))
    assert check_by_log(nobody_wrote, seen(RANKER), shop).is_allowed is None
    nothing_earned = replace(log, immediate_reward=np.zeros(log.immediate_reward.shape))
    assert check_by_log(nothing_earned, seen(RANKER), shop).is_allowed is None
    assert (
        decisive_result(check_by_log(None, seen(RANKER), shop), check_by_log(None, seen(RANKER), shop)).is_allowed
        is False
    )


@pytest.mark.parametrize(("num_users", "is_allowed"), [(1, None), (29, None), (30, True)])
def test_too_few_users_of_the_backtest_tell_nothing(
    candidates: CandidateSets, wanted: np.ndarray, shop: Shop, num_users: int, is_allowed: bool | None
) -> None:
    few = np.arange(num_users)
    rows, items = np.nonzero(wanted[few])
    asked = HeldOut(WITH_REPEATS, few, relevant_from_pairs(rows, items, num_users))
    result = check_by_backtest(candidates.rows(few), asked, RANKER, shop)
    assert (result.is_allowed, result.num_lists) == (is_allowed, num_users)
    by_log = check_by_log(None, seen(RANKER), shop)
    decided = decisive_result(by_log, result)
    assert decided.is_allowed is bool(is_allowed)
    assert ("too few to judge a policy by: `min_judged_users` is 30." in decided.reason) is (is_allowed is None)


def test_how_much_may_be_lost_is_the_shops_to_say(candidates: CandidateSets, wanted: np.ndarray, shop: Shop) -> None:
    generous = replace(shop, policy=replace(shop.policy, max_loss=0.99))
    assert check_by_backtest(candidates, held_out(wanted), AtRandom(), generous).is_allowed is True


# --- What is judged: the order of a policy, drawn from as the night draws ---------------------------------------------


def test_lists_are_drawn_as_often_as_their_propensities_say(rng: np.random.Generator) -> None:
    items = np.array([[4, 2, 7, 9, -1]])
    one = choices_by(np.array([[2.0, 1.5, 1.0, -1.0, 0.0]]), items)
    many, drawn_order = one.rows(np.zeros(20_000, int)), ServedPolicy(REVERSED, 2, 1.0)
    slates = drawn_order.draw(many, 2, rng)
    assert drawn_order.order(one).tolist() == [[3, 2, 0, 1, -1]]
    probability = {tuple(slots): p.prod() for slots, p in zip(slates.slots.tolist(), slates.propensity, strict=True)}
    assert len(probability) == 12 and sum(probability.values()) == pytest.approx(1.0)
    for slots, num in Counter(map(tuple, slates.slots.tolist())).items():
        expected = 20_000 * probability[slots]
        assert abs(num - expected) < 4.5 * np.sqrt(expected)


def test_without_randomness_only_the_order_itself_is_likely() -> None:
    one = choices_by(np.array([[3.0, 2.0, 1.0]]), np.array([[5, 6, 7]]))
    lists = Slates(np.array([[0, 1], [1, 0], [0, 2]]), np.ones((3, 2)))
    asked = one.rows(np.zeros(3, int))
    assert ServedPolicy(RANKER, 3, 0.0).propensity(asked, lists).tolist() == [[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    assert ServedPolicy(RANKER, 3, 0.0).draw(one, 5, None).slots.tolist() == [[0, 1, 2]]


def test_the_night_draws_with_just_these_probabilities(candidates: CandidateSets) -> None:
    """`jobs.lists.softmax_sampling` writes the propensities that `ServedPolicy` would give for the same scores."""
    few = candidates.rows(np.arange(50))
    pool = Pool.of(few.item + 2, few.features[..., 0].astype(np.float64), users=few.user)
    places, propensity = sampled_places(pool, TOP_K, 0.0, None, (), SlotSampler(0.7, 5))
    items = np.take_along_axis(pool.items, places, axis=1) - 2
    slots = (few.item[:, None, :] == items[:, :, None]).argmax(axis=2)
    told = ServedPolicy(RANKER, TOP_K, 0.7).propensity(few, Slates(slots, propensity))
    np.testing.assert_allclose(told, propensity, rtol=1e-4)


def test_nobody_is_answered_by_the_policy_that_learnt_from_them(candidates: CandidateSets) -> None:
    both = CrossFitted([Ordered(1.0), Ordered(-1.0)])
    folds = folds_of(candidates.user)
    assert 0.4 < folds.mean() < 0.6 and not (folds[::2] == folds[0]).all()
    slots = both.draw(candidates, 2, None).slots
    for fold, alone in enumerate(both.policies):
        own = candidates.rows(np.flatnonzero(folds == fold))
        assert (slots[folds == fold] == alone.draw(own, 2, None).slots).all()
