"""Nights of the simulated shop in a row: those that are logged for learning, and those by which a policy is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from expectations.shop.reward import Reward
from jobs.demo_shop.wants import active_needs, item_wants, shelf_wants
from models.slates.rewards import slot_rewards
from models.slates.slates import CandidateSets, Slates
from models.slates.training_slates import organic_candidates
from tests.benchmarks.policy.simple_policies import RankerPolicy
from tests.benchmarks.policy.simulated_shop import TOP_K, Leader, Night, Scores, SimulatedShop

OPENING_NIGHTS = 14
"""Before there is a ranker, lists hold what sells, and no policy learns from them."""
BEHAVIOUR = RankerPolicy(inverse_temperature=1.0)


@dataclass(frozen=True)
class Log:
    """Lists that the behaviour policy drew, and what came of them.

    Attributes:
        immediate_reward: what each slot earned on its day. Shape (num_slates, top_k).
        other_reward: what their users earned on that day with what they found by themselves. Shape (num_slates,).
        is_organic: which candidates their users found organically on that day. Shape (num_slates, num_candidates).
        last_day: until which the log goes.
        is_member: who has not left by then. Shape (max_users,).
    """

    candidates: CandidateSets
    slates: Slates
    immediate_reward: np.ndarray
    other_reward: np.ndarray
    is_organic: np.ndarray
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
    candidates, slates = lists_of(nights)
    immediate_reward = earned_by(shop, candidates, slates, reward)
    all_day = np.concatenate([night.reward_by_user[night.candidates.user] for night in nights])
    other_reward, is_organic = all_day - immediate_reward.sum(axis=1), organic_candidates(candidates, shop.event_log())
    return Log(candidates, slates, immediate_reward, other_reward, is_organic, float(shop.day), nights[-1].is_member)


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
    candidates, slates = lists_of(nights)
    return Outcome(
        np.array([night.reward_by_user[users] for night in nights]),
        np.array([night.is_member[users] for night in nights]),
        float(earned_by(twin, candidates, slates, reward).sum(axis=1).mean()),
        np.array([overlap_with_ranker(night) for night in nights]),
        np.array([num_kinds(night) for night in nights]),
    )


def lists_of(nights: Sequence[Night]) -> tuple[CandidateSets, Slates]:
    """The lists of several nights as one."""
    columns = zip(*(vars(night.candidates).values() for night in nights), strict=True)
    candidates = CandidateSets(*(np.concatenate(column) for column in columns))
    places = np.concatenate([night.slates.slots for night in nights])
    return candidates, Slates(places, np.concatenate([night.slates.propensity for night in nights]))


def shown(candidates: CandidateSets, slates: Slates) -> np.ndarray:
    """Item indices, -1 where a list has ended. Shape (num_slates, top_k)."""
    items = np.take_along_axis(candidates.item, np.maximum(slates.slots, 0), axis=1)
    return np.where(slates.slots >= 0, items, -1)


def earned_by(shop: SimulatedShop, candidates: CandidateSets, slates: Slates, reward: Reward) -> np.ndarray:
    """What each slot earned on its day. Shape (num_slates, top_k)."""
    return slot_rewards(candidates.user, candidates.day, shown(candidates, slates), shop.event_log(), reward)


def overlap_with_ranker(night: Night) -> float:
    best = RankerPolicy().draw(night.candidates, TOP_K, None)
    ranked, ours = shown(night.candidates, best), shown(night.candidates, night.slates)
    return float((ranked[:, :, None] == ours[:, None, :]).any(axis=2).mean())


def num_kinds(night: Night) -> float:
    kinds = np.sort(np.take_along_axis(night.candidates.kind, np.maximum(night.slates.slots, 0), axis=1), axis=1)
    return float((np.diff(kinds, axis=1) > 0).sum(axis=1).mean() + 1)
