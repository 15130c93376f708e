from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.environment import DemoShopEnv
from jobs.demo_shop.shelves import APPEAL, SHELVES
from jobs.demo_shop.visits import CLICK, PURCHASE
from jobs.demo_shop.world import DemoWorld

SMALL = WorldConfig(seed=11, num_users=400, num_items=252, mean_visit_rate=0.3)


def lived(
    choose: Callable[[DemoShopEnv], np.ndarray], config: WorldConfig = SMALL, num_nights: int = 20
) -> tuple[DemoShopEnv, list[tuple[float, dict[str, np.ndarray]]]]:
    """An episode: each day's reward and `info`."""
    environment = DemoShopEnv(config, num_nights=num_nights)
    environment.reset()
    days, is_over = [], False
    while not is_over:
        _, reward, terminated, truncated, info = environment.step(choose(environment))
        days.append((reward, info))
        is_over = terminated or truncated
    return environment, days


def nothing(environment: DemoShopEnv) -> np.ndarray:
    return np.full((environment.max_users, environment.top_k), -1)


def favourite_shelf(environment: DemoShopEnv) -> np.ndarray:
    """To each user ten items of the shelf that they like best."""
    return _of_shelves(environment, np.repeat(0, environment.top_k))


def ten_shelves(environment: DemoShopEnv) -> np.ndarray:
    """To each user one item of each of the ten shelves that they like best."""
    return _of_shelves(environment, np.arange(environment.top_k))


def _of_shelves(environment: DemoShopEnv, places: np.ndarray) -> np.ndarray:
    """Lists whose item at each rank is of the shelf at that place of the user's liking."""
    goods, people = environment.world.goods, environment.world.people
    by_liking = np.argsort(-people.taste - APPEAL, axis=1, kind="stable")[:, places]
    items = [
        np.resize(np.flatnonzero((goods.shelf == shelf) & goods.is_available), 10) for shelf in range(len(SHELVES))
    ]
    lists = nothing(environment).copy()
    lists[: len(people)] = np.array(items)[by_liking, np.arange(environment.top_k)]
    return lists


def test_it_keeps_the_rules_of_gymnasium() -> None:
    check_env(DemoShopEnv(SMALL, num_nights=3), skip_render_check=True)


def test_the_same_seed_is_the_same_world() -> None:
    first, second = (lived(ten_shelves, num_nights=8)[1] for _ in range(2))
    assert [reward for reward, _ in first] == [reward for reward, _ in second]
    other = lived(ten_shelves, replace(SMALL, seed=12), num_nights=8)[1]
    assert [reward for reward, _ in first] != [reward for reward, _ in other]


def test_a_seed_given_to_reset_is_that_of_the_config() -> None:
    asked, built = DemoShopEnv(SMALL), DemoShopEnv(replace(SMALL, seed=5))
    asked.reset(seed=5)
    built.reset()
    assert asked.step(nothing(asked))[1] == built.step(nothing(built))[1]


def test_episodes_without_a_seed_differ() -> None:
    environment = DemoShopEnv(SMALL)
    tastes = []
    for _ in range(2):
        environment.reset()
        tastes.append(environment.world.people.taste)
    assert not np.array_equal(tastes[0], tastes[1])


def test_the_world_lives_as_it_does_without_the_interface() -> None:
    environment, days = lived(nothing, num_nights=9)
    world = DemoWorld(SMALL)
    for _, info in days:
        day = world.step(np.full((len(world.people), 10), -1))
        np.testing.assert_array_equal(info["events"]["item"], day.item)
    assert len(environment.world.people) == len(world.people) == 404  # a week brought one per cent more


def test_the_reward_is_what_the_events_are_worth() -> None:
    environment = DemoShopEnv(SMALL, {"click": 1, "purchase": 5})
    environment.reset()
    observation, reward, *_, info = environment.step(ten_shelves(environment))
    types, user = info["events"]["event_type"], info["events"]["user"]
    worth = (types == CLICK) + 5 * (types == PURCHASE)
    assert reward == worth.sum() > 0
    np.testing.assert_array_equal(info["reward_by_user"], np.bincount(user, worth, environment.max_users))
    assert observation.sum() == len(types)


def test_lists_change_what_happens() -> None:
    def num_listed(days: list[tuple[float, dict[str, np.ndarray]]]) -> int:
        return sum(int(info["events"]["is_listed"].sum()) for _, info in days)

    with_lists, without = lived(ten_shelves, num_nights=5)[1], lived(nothing, num_nights=5)[1]
    assert num_listed(without) == 0 < num_listed(with_lists)
    assert [reward for reward, _ in with_lists] != [reward for reward, _ in without]


def test_who_has_left_never_comes_again() -> None:
    _, days = lived(favourite_shelf)
    members = np.array([info["is_member"] for _, info in days])
    assert members[0].sum() > members[-1][:400].sum()
    for before, (_, info) in zip(members[:-1], days[1:], strict=True):
        has_joined = info["events"]["user"] < 400
        assert before[info["events"]["user"][has_joined]].all()


def test_variety_wins_more_clicks_than_the_favourite_shelf_alone_and_keeps_more_people() -> None:
    shelf, variety = (episodes(choose, SMALL) for choose in (favourite_shelf, ten_shelves))
    assert variety[0] > 1.2 * shelf[0]
    assert variety[1] > shelf[1]


def test_without_satiation_the_favourite_shelf_alone_is_clicked_as_often() -> None:
    config = replace(SMALL, satiation_weight=0.0)
    assert episodes(favourite_shelf, config)[0] > 0.95 * episodes(ten_shelves, config)[0]


def episodes(choose: Callable[[DemoShopEnv], np.ndarray], config: WorldConfig) -> tuple[int, int]:
    """Clicks on listed items, and people who are still there, of three seeds."""
    num_clicks, num_kept = 0, 0
    for seed in (1, 2, 3):
        _, days = lived(choose, replace(config, seed=seed))
        logs = [info["events"] for _, info in days]
        num_clicks += sum(int((log["is_listed"] & (log["event_type"] == CLICK)).sum()) for log in logs)
        num_kept += int(days[-1][1]["is_member"][:400].sum())
    return num_clicks, num_kept


def test_an_item_that_is_not_there_yet_is_as_good_as_nothing() -> None:
    def unborn(environment: DemoShopEnv) -> np.ndarray:
        # The last number belongs to goods that come in after a week.
        return np.where(nothing(environment), environment.max_items - 1, 0)

    rewards = [[reward for reward, _ in lived(choose, num_nights=7)[1]] for choose in (unborn, nothing)]
    assert rewards[0] == rewards[1]


def test_it_ends_when_nobody_is_left() -> None:
    environment = DemoShopEnv(replace(SMALL, leave_base=1.0, mean_visit_rate=50.0, visit_rate_spread=0.1))
    environment.reset()
    for _ in range(5):
        *_, terminated, truncated, info = environment.step(nothing(environment))
    assert terminated and not truncated and not info["is_member"].any()


@pytest.mark.parametrize("lists", [np.zeros(10), np.zeros((400, 10), dtype=int)])
def test_lists_of_another_shape_are_refused(lists: np.ndarray) -> None:
    environment = DemoShopEnv(SMALL)
    environment.reset()
    with pytest.raises(ValueError, match="a list of 10 for each of 432 users"):
        environment.step(lists)


def test_an_event_type_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="of view, click, cart, purchase"):
        DemoShopEnv(SMALL, {"like": 1})
