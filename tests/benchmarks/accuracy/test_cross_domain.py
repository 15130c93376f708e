"""Who is asked what: the truth is hidden from every fit, and what settings are chosen on is never the test's."""

from __future__ import annotations

import numpy as np
import pytest

from expectations.runtime.days import SECONDS_PER_DAY
from tests.benchmarks.accuracy.cross_domain import (
    DOMAINS,
    LAST_DAY,
    TEST_DAYS,
    Asked,
    Log,
    asked_later,
    asked_transfer,
    popularity_of,
    ridge_scores,
    seconds_of,
)

NUM_USERS, NUM_ITEMS = 100, 220
"""Half of the items are of either department."""


@pytest.fixture(scope="module")
def log() -> Log:
    """Everybody bought three things in each department, on days of the last two years."""
    rng = np.random.default_rng(7)
    items = np.concatenate([[*rng.choice(110, 3, False), *(110 + rng.choice(110, 3, False))] for _ in range(NUM_USERS)])
    users = np.repeat(np.arange(2, NUM_USERS + 2), 6)
    order = np.lexsort((items, users))
    times = seconds_of(LAST_DAY) - SECONDS_PER_DAY * rng.integers(1, 730, len(users))
    domain_of = np.concatenate([[0, 1], np.repeat([2, 3], 110)]).astype(np.int32)
    sizes = {"user_id": NUM_USERS + 2, "item_id": NUM_ITEMS + 2}
    return Log(users[order], items[order] + 2, times[order], domain_of, sizes, {"domain_index": domain_of})


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("is_validation", [False, True])
def test_what_is_asked_of_a_newcomer_is_hidden(log: Log, domain: str, is_validation: bool) -> None:
    asked, test = asked_transfer(log, domain, is_validation), asked_transfer(log, domain, False)
    assert len(asked.users) == NUM_USERS // 5
    is_theirs = np.isin(log.users, asked.users)
    assert not (asked.is_known & is_theirs & log.within(domain)).any()
    assert (asked.is_known | ~is_theirs | log.within(domain)).all(), "what they did elsewhere is known"
    assert asked.truth.sum() == 3 * len(asked.users) and asked.truth.shape[1] == 110
    # The test's truth is hidden in the validation as well.
    assert not (asked.is_known & np.isin(log.users, test.users) & log.within(domain)).any()
    assert is_validation == (len(np.intersect1d(asked.users, test.users)) == 0)


@pytest.mark.parametrize("is_validation", [False, True])
def test_who_is_asked_for_what_came_later_was_known_in_both(log: Log, is_validation: bool) -> None:
    asked = asked_later(log, "beauty", is_validation)
    assert log.times[asked.is_known].max() < asked.end
    assert asked.end == seconds_of(LAST_DAY) - TEST_DAYS * SECONDS_PER_DAY * (2 if is_validation else 1)
    for domain in DOMAINS:
        assert np.isin(asked.users, log.users[asked.is_known & log.within(domain)]).all()
    assert asked.truth.sum() > 0
    assert asked.truth.multiply(asked.known).sum() == 0


def test_lists_are_judged_by_what_was_wanted(log: Log) -> None:
    asked: Asked = asked_transfer(log, "electronics", False)
    perfect = asked.truth.toarray()
    np.testing.assert_allclose(asked.judged(perfect), 1.0)
    np.testing.assert_allclose(asked.judged(-perfect), 0.0)
    # One of three wanted items, in the first place.
    first = np.zeros_like(perfect)
    first[np.arange(len(perfect)), perfect.argmax(axis=1)] = 1
    first -= (perfect - first) * 2
    one_of_three = 1 / (1 + 1 / np.log2(3) + 1 / 2)
    np.testing.assert_allclose(asked.judged(first)[:, 0], one_of_three)


def test_ridge_regression_through_users_is_that_through_items(log: Log) -> None:
    asked = asked_transfer(log, "electronics", False)
    learners = np.setdiff1d(np.unique(log.users), asked.users)
    x, y, asking = np.zeros((80, 110)), np.zeros((80, 110)), np.zeros((20, 110))
    for user, item in zip(log.users, log.items - 2, strict=True):
        if user in learners:
            (x if item < 110 else y)[np.searchsorted(learners, user), item % 110] = 1
        elif item < 110:
            asking[np.searchsorted(asked.users, user), item] = 1
    slow = asking @ np.linalg.solve(x.T @ x + 5 * np.eye(110), x.T @ y)
    np.testing.assert_allclose(ridge_scores(log, asked, 5.0), slow, atol=1e-5)
    assert (popularity_of(log, asked) == y.sum(axis=0)).all()
