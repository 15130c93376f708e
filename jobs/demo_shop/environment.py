"""The demo shop with the Gymnasium interface: a day at a time, everybody's list in, what came of it out.

    environment = DemoShopEnv(WorldConfig(num_users=1000, num_items=400), num_nights=60)
    observation, info = environment.reset(seed=1)
    lists = np.full(environment.action_space.shape, -1)  # nothing for nobody
    observation, reward, terminated, truncated, info = environment.step(lists)

Needs `gymnasium`, which no night does: only those who simulate install it (the extra `test`).

Users and goods are added as the weeks pass, and shapes must stay: rows are kept for all who can join within
`num_nights`, and an item is a number below the most that there can be. Lists of users who have not joined yet, or who
have left, are not looked at; an item that is not there yet is as good as nothing.

- Observation: what the day's log says of each user, as numbers of views, clicks, carts and purchases.
- Reward: the day's events, weighed by their types, summed over all users. What a shop's reward says of visits and
  lists of several days (`models.slates.rewards`) is told from the log, not here.
- `info`: `events`, the whole log of the day, an array for each field; `reward_by_user`; `is_member`, who has joined and
  not left. Of the last one no shop is told: it is for those who judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from expectations.shop.reward import Reward
from expectations.tables import EVENT_TYPES
from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.visits import DayOfEvents
from jobs.demo_shop.world import DemoWorld

# Of these no shop is told.
_UNTOLD = ("visitors", "left")


class DemoShopEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """See the module's docstring.

    Args:
        config: of the world; its seed is that of the first episode, unless `reset` is given another.
        event_weights: what an event of each type is worth, as in `expectations.shop.reward`; without any, as there.
        top_k: length of a list.
        num_nights: days in an episode.

    Attributes:
        max_users, max_items: how many there may be by the end; rows of lists, and numbers of items.
        world: the world of this episode, with all that nobody but a judge may look at.
    """

    def __init__(
        self,
        config: WorldConfig | None = None,
        event_weights: Mapping[str, float] | None = None,
        top_k: int = 10,
        num_nights: int = 60,
    ) -> None:
        if top_k < 1 or num_nights < 1:
            raise ValueError(
                f"`top_k` and `num_nights` must be at least 1. Received: top_k={top_k}, num_nights={num_nights}"
            )
        reward = Reward() if event_weights is None else Reward(dict(event_weights))
        self.config = config or WorldConfig()
        self.top_k, self.num_nights = top_k, num_nights
        self.worth = np.array([reward.event_weights.get(name, 0.0) for name in EVENT_TYPES])
        num_weeks = num_nights // 7
        self.max_users = self.config.num_users + num_weeks * self.config.weekly_new_users
        self.max_items = self.config.num_items + num_weeks * self.config.weekly_new_items
        shape = (self.max_users, top_k)
        self.action_space = spaces.MultiDiscrete(np.full(shape, self.max_items + 1), start=np.full(shape, -1))
        self.observation_space = spaces.Box(0, self.config.max_slots, (self.max_users, len(EVENT_TYPES)), np.float32)
        self.world = DemoWorld(self.config)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Returns a world's first morning: that of `seed`; without one, first the config's own, and then ever another.

        Returns:
            The observation, all 0. Shape (max_users, 4), float32; and `is_member`, shape (max_users,), bool.
        """
        is_first = self._np_random is None
        super().reset(seed=self.config.seed if is_first and seed is None else seed)
        if seed is None:
            seed = self.config.seed if is_first else int(self.np_random.integers(2**31))
        self.world = DemoWorld(replace(self.config, seed=seed))
        return np.zeros((self.max_users, len(EVENT_TYPES)), np.float32), {"is_member": self._is_member()}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Lives through a day with these lists.

        Args:
            action: item indices for each user, best first, -1 for nothing. Shape (max_users, top_k), int.

        Returns:
            Each user's events of each type, shape (max_users, 4), float32; what they are worth together; whether
            nobody is a member any more; whether the last night has passed; and what the shop saw of the day.

        Raises:
            ValueError: `action` has another shape.
        """
        lists = np.asarray(action)
        if lists.shape != (self.max_users, self.top_k):
            raise ValueError(
                f"`action` must hold a list of {self.top_k} for each of {self.max_users} users, -1 for nothing. "
                f"Received: shape {lists.shape}"
            )
        lists = np.where(lists < len(self.world.goods), lists, -1)[: len(self.world.people)]
        day = self.world.step(lists)
        counts = self._counts(day)
        by_user = counts @ self.worth
        is_member = self._is_member()
        events = {f.name: getattr(day, f.name) for f in fields(day) if f.name not in _UNTOLD}
        info = {"events": events, "reward_by_user": by_user, "is_member": is_member}
        is_over = self.world.day_index >= self.num_nights
        return counts.astype(np.float32), float(by_user.sum()), not is_member.any(), is_over, info

    def _counts(self, day: DayOfEvents) -> np.ndarray:
        """Returns each user's events of each type. Shape (max_users, 4)."""
        keys = day.user * len(EVENT_TYPES) + day.event_type
        return np.bincount(keys, minlength=self.max_users * len(EVENT_TYPES)).reshape(self.max_users, len(EVENT_TYPES))

    def _is_member(self) -> np.ndarray:
        """Shape (max_users,)."""
        has_left = self.world.people.has_left
        is_member = np.zeros(self.max_users, dtype=bool)
        is_member[: len(has_left)] = ~has_left
        return is_member
