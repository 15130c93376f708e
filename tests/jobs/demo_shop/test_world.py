from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date

import numpy as np
import pytest

from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.shelves import SHELF_INDEX
from jobs.demo_shop.visits import CART, CLICK, PURCHASE, VIEW, DayOfEvents
from jobs.demo_shop.world import DemoWorld

SMALL = WorldConfig(seed=11, num_users=400, num_items=250, mean_visit_rate=0.2)


def lived(config: WorldConfig, num_days: int) -> tuple[DemoWorld, list[DayOfEvents]]:
    world = DemoWorld(config)
    return world, [world.step() for _ in range(num_days)]


def assert_same_events(left: DayOfEvents, right: DayOfEvents) -> None:
    for field in fields(DayOfEvents):
        np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name), err_msg=field.name)


def purchases(days: list[DayOfEvents], world: DemoWorld, shelf: str) -> list[tuple[int, int, int]]:
    """(day, user, item) of all purchases from a shelf."""
    index = SHELF_INDEX[shelf]
    return [
        (day, int(user), int(item))
        for day, events in enumerate(days)
        for user, item, kind in zip(events.user, events.item, events.event_type, strict=True)
        if kind == PURCHASE and world.goods.shelf[item] == index
    ]


def list_for_all(choose: Callable[[DemoWorld], np.ndarray], world: DemoWorld) -> np.ndarray:
    return np.tile(choose(world), (len(world.people), 1))


def dearest(world: DemoWorld) -> np.ndarray:
    return np.argsort(-world.goods.list_price, kind="stable")[:10]


def of_one_shelf(world: DemoWorld) -> np.ndarray:
    return np.flatnonzero(world.goods.shelf == SHELF_INDEX["Notebooks"])[:5]


def test_the_same_seed_lives_the_same_days() -> None:
    for left, right in zip(lived(SMALL, 9)[1], lived(SMALL, 9)[1], strict=True):
        assert_same_events(left, right)


def test_another_seed_lives_other_days() -> None:
    ours, theirs = lived(SMALL, 1)[1][0], lived(replace(SMALL, seed=12), 1)[1][0]
    assert not np.array_equal(ours.user, theirs.user)


def test_living_on_does_not_change_the_days_before() -> None:
    for left, right in zip(lived(SMALL, 8)[1], lived(SMALL, 15)[1], strict=False):
        assert_same_events(left, right)


def test_without_recommendations_nothing_is_listed() -> None:
    assert not any(events.is_listed.any() for events in lived(SMALL, 3)[1])


def test_recommended_items_are_seen_more_often() -> None:
    world, plain = DemoWorld(SMALL), DemoWorld(SMALL)
    chosen = dearest(world)
    events, without = world.step(list_for_all(dearest, world)), plain.step()

    def num_views(day: DayOfEvents) -> int:
        return int((np.isin(day.item, chosen) & (day.event_type == VIEW)).sum())

    assert num_views(events) > 5 * num_views(without)
    listed = events.is_listed & (events.event_type == VIEW)
    # Half of the slots; lists are long enough, and a few of the items are found without them.
    assert 0.4 < listed.sum() / (events.event_type == VIEW).sum() < 0.6
    assert set(events.item[listed]) <= set(chosen)


def test_the_top_of_the_list_is_seen_first() -> None:
    world = DemoWorld(SMALL)
    events = world.step(list_for_all(dearest, world))
    rank = {item: rank for rank, item in enumerate(dearest(world))}
    seen: dict[int, list[int]] = {}
    for index in np.flatnonzero(events.is_listed & (events.event_type == VIEW)):
        seen.setdefault(int(events.visit[index]), []).append(rank[events.item[index]])
    assert all(ranks == list(range(len(ranks))) for ranks in seen.values())
    assert max(len(ranks) for ranks in seen.values()) > 3


def test_items_that_ran_out_are_not_shown_even_when_recommended() -> None:
    world = DemoWorld(SMALL)
    world.goods.is_available[dearest(world)] = False
    events = world.step(list_for_all(dearest, world))
    assert not np.isin(events.item, dearest(world)).any()
    assert not events.is_listed.any()


def test_users_who_joined_after_the_lists_were_made_find_their_own_way() -> None:
    world = DemoWorld(SMALL)
    for _ in range(7):
        world.step()
    num_before = len(world.people)
    events = world.step(list_for_all(dearest, world))
    assert len(world.people) == num_before + 4  # one per cent of 400
    assert not events.is_listed[events.user >= num_before].any()


def test_each_step_of_a_purchase_needs_the_one_before() -> None:
    _, days = lived(SMALL, 5)
    for events in days:
        met = {kind: set() for kind in (VIEW, CLICK, CART, PURCHASE)}  # type: dict[int, set[tuple[int, int]]]
        for visit, item, kind in zip(events.visit, events.item, events.event_type, strict=True):
            met[int(kind)].add((int(visit), int(item)))
        assert met[PURCHASE] <= met[CART] <= met[CLICK] <= met[VIEW]
        assert met[PURCHASE]


def test_times_rise_within_a_visit_and_stay_within_the_day() -> None:
    for events in lived(SMALL, 5)[1]:
        assert (np.diff(events.second) >= 0).all()
        assert events.second.min() >= 0
        assert events.second.max() < 86_400


def cases_around_phones(config: WorldConfig) -> tuple[int, list[bool]]:
    """Cases bought in the 12 days before one's first phone; and of those in the 12 days after, which fit its brand."""
    world, days = lived(config, 60)
    first = {user: (day, item) for day, user, item in reversed(purchases(days, world, "Smartphones"))}
    cases = [(day, item, *first[user]) for day, user, item in purchases(days, world, "Cases") if user in first]
    brand = world.goods.brand
    fits = [bool(brand[case] == brand[phone]) for day, case, bought, phone in cases if 0 < day - bought <= 12]
    return sum(0 < bought - day <= 12 for day, _, bought, _ in cases), fits


def test_cases_are_bought_after_phones_and_not_before() -> None:
    before, after = cases_around_phones(replace(SMALL, num_users=2000))
    assert len(after) > 3 * max(before, 10)


def test_cases_fit_the_phone_that_made_them_needed() -> None:
    # Without loyalty, people still buy the brand that they like.
    config = replace(SMALL, num_users=2000)
    loyal, fickle = cases_around_phones(config)[1], cases_around_phones(replace(config, loyalty=0.0))[1]
    assert np.mean(loyal) > 1.3 * np.mean(fickle)


def test_consumables_are_bought_again_after_their_gap() -> None:
    world, days = lived(replace(SMALL, num_users=2000), 60)
    last: dict[int, int] = {}
    gaps = []
    for day, user, _ in purchases(days, world, "Cat Food"):
        if user in last:
            gaps.append(day - last[user])
        last[user] = day
    # The gap is 11 days, and a need is met at the next visit.
    assert len(gaps) > 30
    assert 10 <= np.median(gaps) <= 17


def test_fans_are_bought_in_summer_and_heaters_in_winter() -> None:
    def num_bought(first_day: date, shelf: str) -> int:
        world, days = lived(replace(SMALL, first_day=first_day), 14)
        return len(purchases(days, world, shelf))

    summer, winter = date(2025, 7, 5), date(2025, 1, 10)
    assert num_bought(summer, "Fans") > 5 * num_bought(winter, "Fans")
    assert num_bought(winter, "Heaters") > 5 * num_bought(summer, "Heaters")


@pytest.mark.parametrize(("satiation_weight", "tires"), [(0.35, True), (0.0, False)])
def test_seeing_the_same_shelf_day_by_day_lowers_interest(satiation_weight: float, tires: bool) -> None:
    # Nobody leaves, and a purchase does not lower interest either.
    config = replace(SMALL, num_users=2000, mean_visit_rate=0.6, leave_base=0.0, leave_slope=0.0, rest_weight=0.0)
    config = replace(config, satiation_weight=satiation_weight)
    world = DemoWorld(config)
    shares = []
    for _ in range(12):
        events = world.step(list_for_all(of_one_shelf, world))
        views = (events.is_listed & (events.event_type == VIEW)).sum()
        shares.append((events.is_listed & (events.event_type == CLICK)).sum() / views)
    assert (np.mean(shares[6:]) < 0.8 * shares[0]) == tires


def test_bored_users_leave_and_do_not_come_back() -> None:
    # Nobody leaves for another reason than boredom.
    config = replace(SMALL, mean_visit_rate=0.6, leave_base=0.0)
    bored, plain = DemoWorld(replace(config, click_intercept=-5.0)), DemoWorld(config)
    gone: set[int] = set()
    for _ in range(20):
        events = bored.step()
        assert not gone & set(events.visitors.tolist())
        gone |= set(events.left.tolist())
        plain.step()
    assert len(gone) == bored.people.has_left.sum()
    assert len(gone) > max(20, 1.5 * plain.people.has_left.sum())


def test_a_world_without_people_is_refused() -> None:
    with pytest.raises(ValueError, match="`num_users` must be at least 12"):
        WorldConfig(num_users=3)
