"""What lists earned, from a handful of events, and by a slower route from many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.shop.reward import Reward
from models.slates.event_log import CART, CLICK, PURCHASE, VIEW, EventLog, Groups
from models.slates.rewards import event_rewards, future_rewards, is_repeated, other_rewards, returns, slot_rewards

CLICKS = {"click": 1.0}
U, V = 3, 8
"""Two users."""


def log_of(*events: tuple[int, int, float, int]) -> EventLog:
    """Events as user, item, day and type."""
    user, item, day, event_type = zip(*events, strict=True) if events else ((), (), (), ())
    return EventLog.of(
        np.array(user, dtype=int), np.array(item, dtype=int), np.array(day), np.array(event_type, dtype=int)
    )


def test_events_earn_by_their_type_and_purchases_by_their_price_too() -> None:
    types = np.array([VIEW, CLICK, CART, PURCHASE, PURCHASE])
    nth = np.arange(5)
    log = EventLog.of(nth, nth, nth, types, price=np.full(5, 10.0), quantity=np.array([1, 1, 1, 1, 3]))
    assert event_rewards(log, Reward()).tolist() == [0, 1, 2, 5, 5]
    assert event_rewards(log, Reward({"purchase": 1.0}, margin_weight=0.1)).tolist() == [0, 0, 0, 2, 4]


def test_a_slot_earns_what_its_item_earned_while_the_list_stood() -> None:
    log = log_of((U, 1, 4.9, CLICK), (U, 1, 5.0, CLICK), (U, 1, 5.5, CART), (U, 2, 6.0, CLICK), (V, 2, 5.5, CLICK))
    item = np.array([[1, 2, -1], [2, 1, 7]])
    found = slot_rewards(np.array([U, V]), np.array([5.0, 5.0]), item, log, Reward())
    assert found.tolist() == [[3, 0, 0], [1, 0, 0]]


def test_other_rewards_of_the_day_are_credited_to_every_slot() -> None:
    log = log_of((U, 1, 5.5, CLICK), (U, 9, 5.6, CART), (U, 9, 6.0, CART), (V, 9, 5.6, CART))
    asked = np.array([U]), np.array([5.0]), np.array([[1, 2, -1]]), log, Reward(discount=0.0)
    assert other_rewards(*asked).tolist() == [2]
    assert returns(*asked, horizon_days=1).tolist() == [[3, 2, 0]]


def test_future_rewards_are_credited_to_every_slot_discounted_up_to_the_horizon() -> None:
    log = log_of((U, 1, 5.5, CLICK), (U, 9, 7.0, CLICK), (U, 9, 8.0, CLICK), (V, 9, 7.0, CLICK))
    asked = np.array([U]), np.array([5.0]), np.array([[1, 2, -1]]), log
    assert returns(*asked, Reward(discount=0.5), horizon_days=3).tolist() == [[1.25, 0.25, 0.0]]
    assert returns(*asked, Reward(discount=0.5), horizon_days=4).tolist() == [[1.375, 0.375, 0.0]]
    assert returns(*asked, Reward(discount=0.0), horizon_days=4).tolist() == [[1.0, 0.0, 0.0]]


def test_who_comes_back_soon_earns_a_bonus_on_that_day() -> None:
    log = log_of((U, 1, 5.5, VIEW), (U, 1, 5.6, VIEW), (U, 1, 8.2, VIEW), (U, 1, 20.0, VIEW))
    reward = Reward(return_bonus=4.0, return_days=7, discount=0.5)
    assert future_rewards(np.array([U]), np.array([5.0]), log, reward, horizon_days=30).tolist() == [0.5]


def test_what_stood_there_before_untouched_costs_a_penalty() -> None:
    log = log_of((U, 2, 1.5, CLICK), (U, 3, 1.5, VIEW), (U, 2, 2.5, CLICK))
    user, day = np.array([U, U, U, V]), np.array([2.0, 1.0, 4.0, 2.0])
    item = np.array([[1, 2, 3], [3, 2, 9], [2, 1, -1], [3, 2, 1]])
    expected = np.array([[False, False, True], [False] * 3, [False, True, False], [False] * 3])
    assert np.array_equal(is_repeated(user, day, item, log), expected)
    found = slot_rewards(user, day, item, log, Reward(CLICKS, repetition_penalty=0.25))
    assert found.tolist() == [[0, 1, -0.25], [0, 1, 0], [0, -0.25, 0], [0, 0, 0]]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), discount=st.sampled_from([0.0, 0.3, 0.97]), bonus=st.sampled_from([0.0, 2.0]))
def test_returns_are_what_a_loop_over_lists_and_events_finds(seed: int, discount: float, bonus: float) -> None:
    rng = np.random.default_rng(seed)
    num = int(rng.integers(0, 60))
    users, items, types = rng.integers(0, 4, (3, num))
    log = EventLog.of(users, items, rng.integers(0, 40, num) / 4, types)
    user, day = rng.integers(0, 5, 9), rng.integers(0, 10, 9).astype(float)
    item = np.array([rng.permutation(5)[:3] - 1 for _ in range(9)])
    reward = Reward(return_bonus=bonus, return_days=2, discount=discount)
    found = returns(user, day, item, log, reward, horizon_days=5)
    weights = np.array([0.0, 1, 2, 5])
    for row in range(9):
        mine = log.user == user[row]
        days_of_visits = np.unique(np.floor(log.day[mine]))
        soon = days_of_visits[1:][np.diff(days_of_visits) <= 2]
        later = sum(
            discount ** (d - day[row]) * weights[kind]
            for d, kind in zip(log.day[mine], log.event_type[mine], strict=True)
            if day[row] + 1 <= d < day[row] + 5
        )
        later += sum(bonus * discount ** (d - day[row]) for d in soon if day[row] + 1 <= d < day[row] + 5)
        is_that_day = mine & (log.day >= day[row]) & (log.day < day[row] + 1)
        later += weights[log.event_type[is_that_day & ~np.isin(log.item, item[row])]].sum()
        for rank, listed in enumerate(item[row]):
            is_now = is_that_day & (log.item == listed)
            expected = weights[log.event_type[is_now]].sum() + later if listed >= 0 else 0.0
            assert found[row, rank] == pytest.approx(expected)


def test_the_latest_events_of_a_row_are_kept() -> None:
    log = log_of((U, 1, 1.0, VIEW), (U, 2, 2.0, VIEW), (U, 3, 3.0, VIEW), (V, 4, 1.0, VIEW))
    row, event = log.between(np.array([V, U]), np.array([-np.inf, -np.inf]), np.array([9.0, 3.0]), most=1)
    assert row.tolist() == [0, 1]
    assert log.item[event].tolist() == [4, 2]


def test_amounts_are_gathered_for_keys_that_nobody_has_too() -> None:
    groups = Groups(np.array([5, 2, 5]), np.array([[5, 3], [2, 9]]))
    assert groups.sums(np.array([1.0, 10.0, 100.0])).tolist() == [[101, 0], [10, 0]]
    assert groups.highest(np.array([1.0, 10.0, 100.0])).tolist() == [[100, 0], [10, 0]]
    assert Groups(np.array([], dtype=int), np.array([4])).sums(np.array([])).tolist() == [0]
