"""A shop in the demo world that makes lists every night: what it remembers, ranks by, and writes down.

Of the world it reads what a shop may know: its own log, and the catalogue of the morning (shelves, brands, what is on
sale). That it makes lists only for those who come that day spares time and changes nothing: nobody else looks, and no
list depends on who else comes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from jobs.demo_shop.environment import DemoShopEnv
from jobs.demo_shop.shelves import SHELF_GROUP
from models.slates.event_log import EventLog
from models.slates.item_traits import ItemTraits
from models.slates.organic_similarity import OrganicSimilarity
from models.slates.slate_features import candidate_sets
from models.slates.slates import CandidateSets, Slates
from tests.benchmarks.policy.click_ranker import ClickRanker

TOP_K, NUM_CANDIDATES = 10, 50
REFIT_DAYS = 7
EVENT_COLUMNS = ("user", "item", "day", "event_type", "price", "quantity", "is_exposed")


@dataclass(frozen=True)
class Night:
    """What became of one night's lists.

    Attributes:
        day: of the lists, counted from the world's first.
        reward_by_user: of everything they did. Shape (max_users,).
        is_member: who has not left by the evening. Same shape.
    """

    day: int
    candidates: CandidateSets
    slates: Slates
    reward_by_user: np.ndarray
    is_member: np.ndarray


class Leader(Protocol):
    """Whoever makes a shop's lists; a `models.slates.slates.SlatePolicy`, but for what it says of lists by others."""

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        """Lists drawn at random, with their propensities; without `rng` the best ones, with propensity 1."""


Scores = Callable[["SimulatedShop", np.ndarray], np.ndarray]
"""Which items are worth choosing from: scores of the ranker's features. Returns shape (num_users, num_items)."""


@dataclass
class SimulatedShop:
    """The world, what the shop remembers of it, and its ranker, all as of the next morning."""

    environment: DemoShopEnv
    ranker: ClickRanker
    rng: np.random.Generator
    log: dict[str, list[np.ndarray]] = field(default_factory=lambda: {name: [] for name in EVENT_COLUMNS})

    @classmethod
    def opened(cls, environment: DemoShopEnv, seed: int) -> SimulatedShop:
        environment.reset(seed=seed)
        ranker = ClickRanker(environment.max_users, environment.max_items)
        return cls(environment, ranker, np.random.default_rng([seed, 1]))

    @property
    def day(self) -> int:
        return self.environment.world.day_index

    def twin(self) -> SimulatedShop:
        """The same shop on the same morning, to be led otherwise."""
        return copy.deepcopy(self)

    def event_log(self) -> EventLog:
        """The log so far."""
        return EventLog.of(**{name: np.concatenate(parts) for name, parts in self.log.items()})

    def live(self, policy: Leader | None, scores: Scores | None = None, is_drawn: bool = True) -> Night:
        """A day with the policy's lists, of the ranker's candidates or of those by `scores`; None: without lists."""
        world, day = self.environment.world, self.day
        users, lists = world.visitors(), np.full((self.environment.max_users, TOP_K), -1)
        features = self.ranker.features(users, world.goods)
        log_odds = self.ranker.log_odds(features)
        candidates = self.candidates(users, log_odds if scores is None else scores(self, users))
        slates = Slates(np.full((len(users), TOP_K), -1), np.ones((len(users), TOP_K)))
        if policy is not None:
            slates = policy.draw(candidates, TOP_K, self.rng if is_drawn else None)
            shown = np.take_along_axis(candidates.item, np.maximum(slates.slots, 0), axis=1)
            lists[users] = np.where(slates.slots >= 0, shown, -1)
        *_, info = self.environment.step(lists)
        self._write_down(info["events"], day)
        self.ranker.learn(users, features, info["events"], world.goods)
        if self.day % REFIT_DAYS == 0:
            self.ranker.refit()
        return Night(day, candidates, slates, info["reward_by_user"], info["is_member"])

    def candidates(self, users: np.ndarray, scores: np.ndarray) -> CandidateSets:
        """The best of what is on sale by these scores, described."""
        goods = self.environment.world.goods
        on_sale = np.where(goods.is_available, scores, -np.inf)
        items = np.argsort(-on_sale, axis=1, kind="stable")[:, :NUM_CANDIDATES]
        found = np.take_along_axis(on_sale, items, axis=1)
        day = np.full(len(users), float(self.day))
        items = np.where(np.isfinite(found), items, -1)
        traits = ItemTraits(goods.shelf, SHELF_GROUP[goods.shelf], goods.brand)
        everything = self.event_log() if self.log["user"] else _nothing_happened()
        crowd, event_log = (
            OrganicSimilarity.of(everything, len(goods)),
            everything.where(np.isin(everything.user, users)),
        )
        return candidate_sets(users, day, items, np.where(items >= 0, found, 0.0), event_log, traits, crowd)

    def _write_down(self, events: dict[str, np.ndarray], day: int) -> None:
        told = {**events, "day": day + events["second"] / 86_400, "is_exposed": events["is_listed"]}
        for name, parts in self.log.items():
            parts.append(told[name])


def _nothing_happened() -> EventLog:
    nothing = np.zeros(0, dtype=np.int64)
    return EventLog.of(nothing, nothing, nothing, nothing)
