"""What the nights of a backfill share is made once: on which Sundays, and only where several of them stand on one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from expectations.runtime.days import days_before
from expectations.runtime.program import Night
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, NightError
from models.plan_backfill import plan, shared_sundays

LAST = "2024-03-19"
"""A Tuesday."""
TEN_NIGHTS = [days_before(LAST, before) for before in range(10)]


@pytest.fixture
def weekly(shop: Shop) -> Shop:
    return replace(shop, refit="weekly", horizon_days=7, models=("recent_demand", "two_tower", "deep_cf"))


def test_weekly_fits_and_warm_ones_stand_on_the_sundays_of_nights_and_of_their_backtests(weekly: Shop) -> None:
    expected = ["2024-03-03", "2024-03-10", "2024-03-17"]
    assert shared_sundays(weekly, TEN_NIGHTS) == expected
    assert shared_sundays(replace(weekly, refit="nightly", warm_start=True), TEN_NIGHTS) == expected


def test_a_weekly_backtest_alone_stands_on_its_own_sundays(weekly: Shop) -> None:
    backtest = replace(weekly, refit="nightly", weekly_backtest=True)
    assert shared_sundays(backtest, TEN_NIGHTS) == ["2024-03-03", "2024-03-10"]


def test_nights_that_are_fitted_from_nothing_and_single_nights_share_nothing(weekly: Shop) -> None:
    assert shared_sundays(replace(weekly, refit="nightly"), TEN_NIGHTS) == []
    assert shared_sundays(weekly, TEN_NIGHTS[:1]) == []


def test_a_sunday_before_the_log_is_no_anchor_and_baselines_share_no_fit(night: Night, weekly: Shop) -> None:
    night = replace(night, shop=weekly, ds=LAST)
    assert plan(night, TEN_NIGHTS[-1])["days"] == [], "nothing is in the lake"
    night.lake.commit(EVENTS, "2024-03-05", "of the first day", "unread", 1)
    assert plan(night, TEN_NIGHTS[-1]) == {"days": ["2024-03-10", "2024-03-17"], "deep": ["two_tower", "deep_cf"]}
    baselines = replace(night, shop=replace(weekly, models=("recent_demand",)))
    assert plan(baselines, TEN_NIGHTS[-1]) == {"days": [], "deep": []}


def test_a_range_that_ends_before_it_begins_is_refused(night: Night) -> None:
    with pytest.raises(NightError, match=r"--first-ds must not come after --ds\. Received: 2024-03-20 and 2024-03-19"):
        plan(replace(night, ds=LAST), "2024-03-20")
