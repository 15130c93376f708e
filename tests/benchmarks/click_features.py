"""What the simulated shop's ranker counts and fits beside its regression; see `tests.benchmarks.click_ranker`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from jobs.demo_shop.shelves import SHELVES

PRIOR_VIEWS, PRIOR_LOOKS = 5.0, 5.0
CLICK_MEMORY_RIDGE = 30.0
WINDOWS = (0, 5, 10, 16, 24, 36, 56)
"""Days since a purchase, in ever longer stretches."""
NEXT_RIDGE = 30.0


class Counts:
    """Views and clicks by something, fading."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.views, self.clicks = np.zeros(shape), np.zeros(shape)

    def add(self, place: tuple[np.ndarray, ...], is_view: np.ndarray, is_click: np.ndarray) -> None:
        for counts, which in ((self.views, is_view), (self.clicks, is_click)):
            np.add.at(counts, tuple(of_axis[which] for of_axis in place), 1)

    def fade(self, memory: float) -> None:
        self.views *= memory
        self.clicks *= memory

    def log_rates(self) -> np.ndarray:
        """Log of the share of views that were clicked, over that of everybody; few views hardly move it from 0."""
        usual = (self.clicks.sum() + 1) / (self.views.sum() + 4)
        return np.log((self.clicks / usual + PRIOR_VIEWS) / (self.views + PRIOR_VIEWS))


class Looks:
    """What people looked at without being shown it, fading: it tells what they came for."""

    def __init__(self, num_users: int, num_values: int) -> None:
        self.counts = np.zeros((num_users, num_values))

    def add(self, user: np.ndarray, value: np.ndarray) -> None:
        np.add.at(self.counts, (user, value), 1)

    def log_shares(self, users: np.ndarray) -> np.ndarray:
        """Log of each value's share of a user's looks, over its share of everybody's. Shape (num_users, num_values)."""
        usual = (self.counts.sum(axis=0) + 1) / (self.counts.sum() + self.counts.shape[1])
        counts = self.counts[users]
        share = (counts + PRIOR_LOOKS * usual) / (counts.sum(axis=1, keepdims=True) + PRIOR_LOOKS)
        return np.asarray(np.log(share / usual))


class ItemItem:
    """Which items are clicked by the same users: EASE's weights (Steck 2019) on the clicks so far."""

    def __init__(self, max_users: int, max_items: int) -> None:
        self.clicked = np.zeros((max_users, max_items), dtype=np.float32)
        self.weights = np.zeros((max_items, max_items), dtype=np.float32)

    def add(self, user: np.ndarray, item: np.ndarray) -> None:
        self.clicked[user, item] = 1

    def refit(self) -> None:
        inverse = np.linalg.inv(self.clicked.T @ self.clicked + CLICK_MEMORY_RIDGE * np.eye(len(self.weights)))
        self.weights = (-inverse / np.diag(inverse)).astype(np.float32)
        np.fill_diagonal(self.weights, 0)

    def scores(self, users: np.ndarray) -> np.ndarray:
        return np.asarray(self.clicked[users] @ self.weights)


class NextShelves:
    """Which shelves people click after what they bought, and how long after: ridge regression of each visit's clicks
    of a shelf on the shelves bought in each stretch of days before.
    """

    def __init__(self, max_users: int) -> None:
        self.bought_on = np.full((max_users, len(SHELVES)), -np.inf)
        self.weights = np.zeros(((len(WINDOWS) - 1) * len(SHELVES) + 1, len(SHELVES)))
        self._squares = NEXT_RIDGE * np.eye(len(self.weights))
        self._products = np.zeros(self.weights.shape)

    def add(
        self,
        user: np.ndarray,
        shelf: np.ndarray,
        is_view: np.ndarray,
        is_click: np.ndarray,
        is_buy: np.ndarray,
        day: int,
    ) -> None:
        visitors, row = np.unique(user, return_inverse=True)
        stretches, clicks = self._stretches(visitors, day), np.zeros((len(visitors), len(SHELVES)))
        clicks[row[is_click], shelf[is_click]] = 1
        self._squares += stretches.T @ stretches
        self._products += stretches.T @ clicks
        self.bought_on[user[is_buy], shelf[is_buy]] = day

    def refit(self) -> None:
        self.weights = np.linalg.solve(self._squares, self._products)

    def predicted(self, users: np.ndarray, day: int) -> np.ndarray:
        """Shape (num_users, num_shelves)."""
        return np.asarray(self._stretches(users, day) @ self.weights)

    def _stretches(self, users: np.ndarray, day: int) -> np.ndarray:
        days = day - self.bought_on[users]
        inside = [(days > first) & (days <= last) for first, last in pairwise(WINDOWS)]
        return np.concatenate([*inside, np.ones((len(users), 1))], axis=1)
