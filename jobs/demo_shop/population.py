"""The people of the demo shop: who they are, what they like, and what their visits have left in them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from jobs.demo_shop.boredom import boredom_after_night
from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.shelves import BRANDS, GROUPS, SHELF_GROUP, SHELVES

COUNTRIES = ("Germany", "France", "Netherlands", "Poland", "Spain")
GENDERS = ("female", "male", "diverse")
NEVER = 1_000_000
"""The day on which a need falls due that nobody has."""


@dataclass
class Population:
    """Everybody who ever joined, one row each; a user's row number is their index for good.

    Attributes:
        age: 0 where the shop was not told.
        gender, country: places in GENDERS and COUNTRIES; -1 where the shop was not told.
        interests: what they told the shop. Shape (num_users, num_groups).
        taste, home_taste: for each shelf today, and where it drifts back to. Shape (num_users, num_shelves).
        brand_liking: shape (num_users, num_brands).
        style: shape (num_users, style_dim).
        budget: the price level that they like best.
        visit_rate: visits a day when nothing draws or bores them.
        satiation: for each shelf, recently seen items of it, fading. Shape (num_users, num_shelves).
        rest: for each shelf, 1 right after a purchase, fading. Shape (num_users, num_shelves).
        need_due: the day from which something of the shelf is needed, or NEVER. Shape (num_users, num_shelves).
        need_anchor: the item whose purchase led to the need. Shape (num_users, num_shelves).
    """

    age: np.ndarray
    gender: np.ndarray
    country: np.ndarray
    interests: np.ndarray
    taste: np.ndarray
    home_taste: np.ndarray
    brand_liking: np.ndarray
    style: np.ndarray
    budget: np.ndarray
    visit_rate: np.ndarray
    satiation: np.ndarray
    rest: np.ndarray
    need_due: np.ndarray
    need_anchor: np.ndarray
    boredom: np.ndarray
    has_left: np.ndarray

    def __len__(self) -> int:
        return len(self.age)

    def append(self, other: Population) -> None:
        """Puts newcomers after those who are here."""
        for f in fields(self):
            setattr(self, f.name, np.concatenate([getattr(self, f.name), getattr(other, f.name)]))

    def user_id(self, index: int) -> str:
        return f"C{index + 1:06d}"


def new_users(config: WorldConfig, rng: np.random.Generator, num_users: int) -> Population:
    """Draws people. Age, gender and country shift tastes, by amounts that come from the world's seed."""
    age = np.clip(rng.normal(43, 15, num_users), 18, 90).astype(int)
    gender = rng.choice(len(GENDERS), num_users, p=[0.5, 0.47, 0.03])
    country = rng.choice(len(COUNTRIES), num_users, p=[0.4, 0.2, 0.15, 0.15, 0.1])
    group_taste = _demographic_taste(config, age, gender, country)
    group_taste += rng.normal(0, config.taste_spread, (num_users, len(GROUPS)))
    taste = group_taste[:, SHELF_GROUP] + rng.normal(0, config.shelf_spread, (num_users, len(SHELVES)))
    # Half of a log-normal's variance is taken off, so that `mean_visit_rate` is the mean.
    rate = rng.normal(-(config.visit_rate_spread**2) / 2, config.visit_rate_spread, num_users)
    per_shelf = (num_users, len(SHELVES))
    return Population(
        age=np.where(rng.random(num_users) < 0.1, 0, age),
        gender=np.where(rng.random(num_users) < 0.08, -1, gender),
        country=np.where(rng.random(num_users) < 0.02, -1, country),
        interests=_told_interests(rng, group_taste),
        taste=taste,
        home_taste=taste.copy(),
        brand_liking=rng.normal(0, config.brand_spread, (num_users, len(BRANDS))),
        style=rng.normal(0, config.style_spread, (num_users, config.style_dim)),
        budget=rng.normal(0, 1, num_users),
        visit_rate=config.mean_visit_rate * np.exp(rate),
        satiation=np.zeros(per_shelf),
        rest=np.zeros(per_shelf),
        need_due=np.full(per_shelf, NEVER),
        need_anchor=np.zeros(per_shelf, dtype=int),
        boredom=np.zeros(num_users),
        has_left=np.zeros(num_users, dtype=bool),
    )


def drift(config: WorldConfig, rng: np.random.Generator, people: Population) -> None:
    """Lets one night pass: tastes wander, and what is recent fades."""
    people.taste += config.taste_return * (people.home_taste - people.taste)
    people.taste += rng.normal(0, config.taste_step, people.taste.shape)
    people.satiation *= config.satiation_memory
    refill = np.array([shelf.refill_days for shelf in SHELVES])
    people.rest *= np.exp(-1 / np.where(refill > 0, refill / 2, config.rest_days))
    people.boredom = boredom_after_night(config, people.boredom)


def take_up_hobbies(config: WorldConfig, rng: np.random.Generator, people: Population) -> None:
    """Once a week, a few people tire of their favourite group and turn to another; those who tell, tell the shop."""
    users = np.flatnonzero(rng.random(len(people)) < config.hobby_share)
    favourite = SHELF_GROUP[people.home_taste[users].argmax(axis=1)]
    hobby = rng.integers(0, len(GROUPS), len(users))
    people.home_taste[users] -= config.hobby_strength * (favourite[:, None] == SHELF_GROUP)
    people.home_taste[users] += config.hobby_strength * (hobby[:, None] == SHELF_GROUP)
    tells = people.interests[users].any(axis=1)
    people.interests[users[tells], favourite[tells]] = False
    people.interests[users[tells], hobby[tells]] = True


def _demographic_taste(config: WorldConfig, age: np.ndarray, gender: np.ndarray, country: np.ndarray) -> np.ndarray:
    """Shape (num_users, num_groups)."""
    world = np.random.default_rng([config.seed, 2])
    by_age = world.normal(0, 0.5, len(GROUPS))
    by_gender = world.normal(0, 0.4, (len(GENDERS), len(GROUPS)))
    by_country = world.normal(0, 0.3, (len(COUNTRIES), len(GROUPS)))
    return np.outer((age - 43) / 15, by_age) + by_gender[gender] + by_country[country]


def _told_interests(rng: np.random.Generator, group_taste: np.ndarray) -> np.ndarray:
    """Returns the two groups that each likes best, as far as they know themselves; a quarter tell nothing."""
    felt = group_taste + rng.normal(0, 0.5, group_taste.shape)
    told = felt >= np.sort(felt, axis=1)[:, -2:-1]
    return told & (rng.random(len(told)) >= 0.25)[:, None]
