"""Nights of the simulated shop in a row: those that are logged for learning, and those by which a policy is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from expectations.shop.reward import Reward
from jobs.demo_shop.appetite import active_needs, item_wants, shelf_wants
from models.slates.rewards import place_rewards
from models.slates.slates import Choices, Slates
from models.slates.training_slates import found_alone
from tests.benchmarks.policy.simple_policies import RankerPolicy
from tests.benchmarks.policy.simulated_shop import TOP_K, Leader, Night, Scores, SimulatedShop

OPENING_NIGHTS = 14
"""Before there is a ranker, lists hold what sells, and no policy learns from them."""
BEHAVIOUR = RankerPolicy(sharpness=1.0)


@dataclass(frozen=True)
class Log:
    """Lists that the behaviour policy drew, and what came of them.

    Attributes:
        at_once: what each place earned on its day. Shape (num_slates, top_k).
        beside: what their users earned on that day with what they found by themselves. Shape (num_slates,).
        is_found: which candidates their users found alone on that day. Shape (num_slates, num_candidates).
        last_day: until which the log goes.
        is_member: who has not left by then. Shape (max_users,).
    """

    choices: Choices
    slates: Slates
    at_once: np.ndarray
    beside: np.ndarray
    is_found: np.ndarray
    last_day: float
    is_member: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What a policy's nights came to, for the users who were there on the first of them.

    Attributes:
        reward: shape (num_nights, num_users).
        is_member: shape (num_nights, num_users).
        of_lists: what a list earned by its items on its day: mean over all lists.
        overlap: share of each night's lists that the ranker's own lists hold, too. Shape (num_nights,).
        kinds: shelves in a list, of each night. Shape (num_nights,).
    """

    reward: np.ndarray
    is_member: np.ndarray
    of_lists: float
    overlap: np.ndarray
    kinds: np.ndarray


def in_demand(shop: SimulatedShop, users: np.ndarray) -> np.ndarray:
    """What sells these days, for everybody."""
    return np.tile(shop.ranker.demand[: len(shop.environment.world.goods)], (len(users), 1))


def at_random(shop: SimulatedShop, users: np.ndarray) -> np.ndarray:
    """Anything."""
    return shop.rng.random((len(users), len(shop.environment.world.goods)))


def by_true_want(shop: SimulatedShop, users: np.ndarray) -> np.ndarray:
    """What no shop knows: how much each user wants each item that morning."""
    world, people = shop.environment.world, shop.environment.world.people
    needs = active_needs(world.config, people, users, shop.day)
    shelves = shelf_wants(world.config, people, users, needs, world.day.timetuple().tm_yday)
    return item_wants(world.config, world.goods, people, users, needs, shelves)


def logged(shop: SimulatedShop, num_nights: int, reward: Reward) -> Log:
    """Opens the shop, lets the behaviour policy lead it, and leaves it on the morning after."""
    for _ in range(OPENING_NIGHTS):
        shop.live(BEHAVIOUR, in_demand)
    nights = [shop.live(BEHAVIOUR) for _ in range(num_nights - OPENING_NIGHTS)]
    choices, slates = lists_of(nights)
    at_once = earned_by(shop, choices, slates, reward)
    all_day = np.concatenate([night.reward_by_user[night.choices.user] for night in nights])
    beside, is_found = all_day - at_once.sum(axis=1), found_alone(choices, shop.happenings())
    return Log(choices, slates, at_once, beside, is_found, float(shop.day), nights[-1].is_member)


def outcome(
    shop: SimulatedShop,
    policy: Leader | None,
    scores: Scores | None,
    is_member: np.ndarray,
    num_nights: int,
    reward: Reward,
    is_drawn: bool,
) -> Outcome:
    """Lets a policy lead a twin of the shop.

    Args:
        is_member: who is there on the first morning.
    """
    twin, users = shop.twin(), np.flatnonzero(is_member)
    nights = [twin.live(policy, scores, is_drawn) for _ in range(num_nights)]
    choices, slates = lists_of(nights)
    return Outcome(
        np.array([night.reward_by_user[users] for night in nights]),
        np.array([night.is_member[users] for night in nights]),
        float(earned_by(twin, choices, slates, reward).sum(axis=1).mean()),
        np.array([overlap_with_ranker(night) for night in nights]),
        np.array([num_kinds(night) for night in nights]),
    )


def lists_of(nights: Sequence[Night]) -> tuple[Choices, Slates]:
    """The lists of several nights as one."""
    columns = zip(*(vars(night.choices).values() for night in nights), strict=True)
    choices = Choices(*(np.concatenate(column) for column in columns))
    places = np.concatenate([night.slates.place for night in nights])
    return choices, Slates(places, np.concatenate([night.slates.propensity for night in nights]))


def shown(choices: Choices, slates: Slates) -> np.ndarray:
    """Item indices, -1 where a list has ended. Shape (num_slates, top_k)."""
    items = np.take_along_axis(choices.item, np.maximum(slates.place, 0), axis=1)
    return np.where(slates.place >= 0, items, -1)


def earned_by(shop: SimulatedShop, choices: Choices, slates: Slates, reward: Reward) -> np.ndarray:
    """What each place earned on its day. Shape (num_slates, top_k)."""
    return place_rewards(choices.user, choices.day, shown(choices, slates), shop.happenings(), reward)


def overlap_with_ranker(night: Night) -> float:
    best = RankerPolicy().draw(night.choices, TOP_K, None)
    ranked, ours = shown(night.choices, best), shown(night.choices, night.slates)
    return float((ranked[:, :, None] == ours[:, None, :]).any(axis=2).mean())


def num_kinds(night: Night) -> float:
    kinds = np.sort(np.take_along_axis(night.choices.kind, np.maximum(night.slates.place, 0), axis=1), axis=1)
    return float((np.diff(kinds, axis=1) > 0).sum(axis=1).mean() + 1)
