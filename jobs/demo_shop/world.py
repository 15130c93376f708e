"""The demo world: steps one day at a time, given what was recommended. Knows nothing of files."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from jobs.demo_shop import catalogue, population
from jobs.demo_shop.boredom import boredom_after_visits, leave_chances, visit_share
from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.shelves import REFILL_DAYS, SHELF_INDEX, SHELVES
from jobs.demo_shop.visits import DayOfEvents, Visits, events_of, looked_at, reactions
from jobs.demo_shop.wants import active_needs, item_wants, shelf_wants

# One stream of random numbers per matter and day: what one part of a day draws never shifts what another draws.
_OPENING_ITEMS, _OPENING_USERS, _NEWCOMERS, _VISITORS, _VISITS, _NIGHT, _GOODS = range(10, 17)
_WEEKDAY_RATES = np.array([1.0, 0.95, 0.95, 1.0, 1.05, 1.1, 0.95])


class DemoWorld:
    """People and goods, as they stand on the morning of `day`.

    Attributes:
        day: the day that the next step lives through.
        goods, people: everything and everybody so far; indices never change.
    """

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.day: date = config.first_day
        self.goods = catalogue.new_items(config, self._rng(_OPENING_ITEMS), config.num_items)
        self.people = population.new_users(config, self._rng(_OPENING_USERS), config.num_users)

    @property
    def day_index(self) -> int:
        """Days since the first."""
        return (self.day - self.config.first_day).days

    def step(self, recommendations: np.ndarray | None = None) -> DayOfEvents:
        """Lives through one day and the night after it.

        People who join today are there after the step; new goods are on the shelves for the morning after.

        Args:
            recommendations: item indices for each user, best first, -1 for nothing. Shape (num_users, any), int,
                with the users of before the step. None: the shop recommends nothing, and people find their own way.
        """
        config, goods, people = self.config, self.goods, self.people
        self._welcome_newcomers()
        visitors = self.visitors()
        needs = active_needs(config, people, visitors, self.day_index)
        shelves = shelf_wants(config, people, visitors, needs, self.day.timetuple().tm_yday)
        wants = item_wants(config, goods, people, visitors, needs, shelves)

        rng = self._rng(_VISITS)
        errand = (shelves + rng.gumbel(size=shelves.shape)).argmax(axis=1)
        keys = wants + config.focus_weight * (goods.shelf == errand[:, None])
        keys += config.herd_weight * np.log1p(goods.demand)
        lists = None if recommendations is None else _lists_of(recommendations, visitors)
        seen = looked_at(config, rng, keys, goods.is_available, lists)
        visits = reactions(config, rng, visitors, seen, wants, goods.shelf)
        events = events_of(rng, visits, goods.shelf)
        price = goods.price[events["item"]]
        self._remember(rng, visits)
        left = self._leave(rng, visits)
        self._pass_night()
        return DayOfEvents(**events, price=price, visitors=visitors, left=left)

    def _welcome_newcomers(self) -> None:
        if self.day_index > 0 and self.day_index % 7 == 0:
            newcomers = population.new_users(self.config, self._rng(_NEWCOMERS), self.config.weekly_new_users)
            self.people.append(newcomers)

    def visitors(self) -> np.ndarray:
        """Returns who comes today, of all who have joined. Only their lists are looked at: a simulation may spare
        itself all others. What they are shown must not depend on it: no shop knows in the morning.

        Returns:
            User indices, in order. Shape (num_visitors,), int.
        """
        config, people = self.config, self.people
        has_need = active_needs(config, people, np.arange(len(people)), self.day_index).any(axis=1)
        rate = people.visit_rate * _WEEKDAY_RATES[self.day.weekday()] * visit_share(config, people.boredom)
        rate = rate * np.where(has_need, config.need_pull, 1.0)
        comes = self._rng(_VISITORS).random(len(people)) < np.minimum(rate, 0.9)
        return np.flatnonzero(comes & ~people.has_left)

    def _remember(self, rng: np.random.Generator, visits: Visits) -> None:
        """Keeps what the day leaves behind: satiation, rest after purchases, needs met and needs awakened, demand."""
        people, goods = self.people, self.goods
        visit, slot = np.nonzero(visits.is_viewed)
        np.add.at(people.satiation, (visits.user[visit], goods.shelf[visits.item[visit, slot]]), 1.0)

        visit, slot = np.nonzero(visits.is_bought)
        user, item = visits.user[visit], visits.item[visit, slot]
        shelf = goods.shelf[item]
        np.add.at(goods.demand, item, 1.0)
        people.rest[user, shelf] = 1.0
        people.need_due[user, shelf] = population.NEVER
        gap = REFILL_DAYS[shelf] * np.exp(rng.normal(0, 0.15, len(shelf)))
        runs_out = REFILL_DAYS[shelf] > 0
        self._awaken(user[runs_out], shelf[runs_out], item[runs_out], gap[runs_out])
        for index, bought in enumerate(SHELVES):
            buys = shelf == index
            for name, probability, days in bought.leads_to:
                follows = rng.random(buys.sum()) < probability
                delay = rng.poisson(days - 1, buys.sum())[follows]
                needed = np.full(follows.sum(), SHELF_INDEX[name])
                self._awaken(user[buys][follows], needed, item[buys][follows], delay)

    def _awaken(self, user: np.ndarray, shelf: np.ndarray, anchor: np.ndarray, days: np.ndarray) -> None:
        self.people.need_due[user, shelf] = self.day_index + 1 + days.astype(int)
        self.people.need_anchor[user, shelf] = anchor
        # What goes with a thing just bought is needed even by those who bought such a thing lately.
        self.people.rest[user, shelf] *= np.where(self.goods.shelf[anchor] == shelf, 1.0, 0.0)

    def _leave(self, rng: np.random.Generator, visits: Visits) -> np.ndarray:
        """Returns who leaves for good: a visit without a click bores, and the more bored leave more often."""
        config, people, user = self.config, self.people, visits.user
        has_clicked = np.asarray(visits.is_clicked.any(axis=1))
        people.boredom[user] = boredom_after_visits(config, people.boredom[user], has_clicked)
        left = user[rng.random(len(user)) < leave_chances(config, people.boredom[user])]
        people.has_left[left] = True
        return left

    def _pass_night(self) -> None:
        config, rng, goods = self.config, self._rng(_NIGHT), self._rng(_GOODS)
        population.drift(config, rng, self.people)
        self.goods.demand *= 0.9
        catalogue.restock(config, goods, self.goods)
        self.day += timedelta(days=1)
        if self.day_index % 7 == 0:
            population.take_up_hobbies(config, rng, self.people)
            catalogue.reprice(config, goods, self.goods)
            self.goods.append(catalogue.new_items(config, goods, config.weekly_new_items))

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, stream, self.day_index])


def _lists_of(recommendations: np.ndarray, visitors: np.ndarray) -> np.ndarray:
    """Returns the visitors' lists; those who joined today have none yet."""
    lists = np.full((len(visitors), recommendations.shape[1]), -1)
    is_known = visitors < len(recommendations)
    lists[is_known] = recommendations[visitors[is_known]]
    return lists
