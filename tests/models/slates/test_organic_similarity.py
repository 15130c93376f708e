"""How much an item is found by those who found the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.slates import organic_similarity
from models.slates.event_log import CLICK, VIEW, EventLog
from models.slates.organic_similarity import SHRINKAGE, OrganicSimilarity

NUM_ITEMS = 9


def random_log(rng: np.random.Generator, num: int) -> EventLog:
    """Of users 3 to 8."""
    user, item, day = rng.integers(3, 9, num), rng.integers(0, NUM_ITEMS, num), rng.random(num)
    return EventLog.of(user, item, day, rng.choice([VIEW, CLICK], num), is_exposed=rng.random(num) < 0.3)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), num=st.integers(0, 80), items_at_once=st.integers(1, NUM_ITEMS + 1))
def test_it_is_the_sum_over_others_of_what_both_viewed_times_what_they_viewed(
    seed: int, num: int, items_at_once: int
) -> None:
    rng = np.random.default_rng(seed)
    log = random_log(rng, num)
    counts = np.zeros((20, NUM_ITEMS))
    for user, item, event_type, is_exposed in zip(log.user, log.item, log.event_type, log.is_exposed, strict=True):
        counts[user, item] += event_type == VIEW and not is_exposed
    organic_counts = counts / np.sqrt((counts**2).sum(axis=0) + SHRINKAGE)
    user, asked = rng.integers(0, 12, 7), rng.integers(0, NUM_ITEMS, (7, 5))
    row, item, weight = rng.integers(0, 7, 11), rng.integers(0, NUM_ITEMS, 11), rng.random(11)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(organic_similarity, "ITEMS_AT_ONCE", items_at_once)
        found = OrganicSimilarity.of(log, NUM_ITEMS).leave_user_out_scores(user, row, item, weight, asked)
    for n, one in enumerate(user):
        own = np.bincount(item[row == n], weight[row == n], NUM_ITEMS)
        others = np.delete(organic_counts, one, axis=0)
        np.testing.assert_allclose(found[n], ((others @ own) @ others)[asked[n]], atol=1e-6)


def test_nobody_s_own_finds_tell_of_themselves() -> None:
    log = EventLog.of(np.array([4, 4]), np.array([1, 2]), np.zeros(2), np.full(2, VIEW))
    crowd, asked = OrganicSimilarity.of(log, 3), np.array([[0, 1, 2]])
    one, weight = np.array([0]), np.ones(1)
    assert not crowd.leave_user_out_scores(np.array([4]), one, np.array([1]), weight, asked).any()
    assert crowd.leave_user_out_scores(np.array([5]), one, np.array([1]), weight, asked)[0].tolist() == pytest.approx(
        [0, 1 / 6, 1 / 6]
    )
