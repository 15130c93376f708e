"""The simulated shop's ranker: the chance that a visitor clicks an item tonight, from the shop's log alone.

As plain as the baselines of a night: a logistic regression over item-item weights (EASE), what sells these days, how
often the item is clicked where it is viewed, and how often the user clicks what they view of its shelf and of its
brand. It is refitted every week; features are taken on the morning of each visit, so no fit reads what came later.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019 (item-item weights).
"""

from __future__ import annotations

import numpy as np

from jobs.demo_shop.catalogue import Catalogue
from jobs.demo_shop.shelves import BRANDS, SHELVES
from jobs.demo_shop.visits import CLICK, PURCHASE, VIEW

FEATURES = ("item_item", "demand", "item", "shelf", "brand", "is_listed", "intercept")
TASTE_MEMORY, DEMAND_MEMORY = 0.98, 0.9
"""What is left of a count a day later."""
PRIOR_VIEWS = 5.0
ITEM_RIDGE, RIDGE = 30.0, 10.0
NUM_STEPS = 8
"""Of Newton's method."""


class ClickRanker:
    """See the module's docstring. Shapes are those of a shop that has grown to its last night.

    Attributes:
        demand: purchases of each item, fading. Shape (max_items,).
    """

    def __init__(self, max_users: int, max_items: int) -> None:
        self.demand = np.zeros(max_items)
        self.of_item = _Counts((max_items,))
        self.of_shelf, self.of_brand = _Counts((max_users, len(SHELVES))), _Counts((max_users, len(BRANDS)))
        self.clicked = np.zeros((max_users, max_items), dtype=np.float32)
        self.item_weights = np.zeros((max_items, max_items), dtype=np.float32)
        self.weights = np.zeros(len(FEATURES), dtype=np.float32)
        self._rows: list[np.ndarray] = []
        self._is_clicked: list[np.ndarray] = []

    def features(self, users: np.ndarray, goods: Catalogue) -> np.ndarray:
        """What is known of every user and item, as if all were listed. Shape (num_users, num_items, num_features)."""
        num_items = len(goods)
        told = np.ones((len(users), num_items, len(FEATURES)), dtype=np.float32)
        told[..., 0] = (self.clicked[users] @ self.item_weights)[:, :num_items]
        told[..., 1] = np.log1p(self.demand[:num_items])
        told[..., 2] = self.of_item.log_rates()[:num_items]
        told[..., 3] = self.of_shelf.log_rates(users)[:, goods.shelf]
        told[..., 4] = self.of_brand.log_rates(users)[:, goods.brand]
        return told

    def log_odds(self, features: np.ndarray) -> np.ndarray:
        """Of a click. Shape (num_users, num_items)."""
        return features @ self.weights

    def learn(self, users: np.ndarray, features: np.ndarray, events: dict[str, np.ndarray], goods: Catalogue) -> None:
        """Takes in a day.

        Args:
            users: whom `features` are about, sorted; events of others only count.
            events: of the day, as `DemoShopEnv` tells them.
        """
        user, item, event_type = events["user"], events["item"], events["event_type"]
        is_view, is_click, is_bought = (event_type == which for which in (VIEW, CLICK, PURCHASE))
        self._remember(users, features, events)
        self.demand *= DEMAND_MEMORY
        np.add.at(self.demand, item[is_bought], 1)
        self.of_item.add((item,), is_view, is_click)
        self.of_shelf.add((user, goods.shelf[item]), is_view, is_click)
        self.of_brand.add((user, goods.brand[item]), is_view, is_click)
        self.clicked[user[is_click], item[is_click]] = 1

    def refit(self) -> None:
        """Item-item weights from all clicks, and the regression, with a ridge, from all that was viewed."""
        squares = self.clicked.T @ self.clicked + ITEM_RIDGE * np.eye(len(self.item_weights))
        inverse = np.linalg.inv(squares)
        self.item_weights = (-inverse / np.diag(inverse)).astype(np.float32)
        np.fill_diagonal(self.item_weights, 0)
        rows, is_clicked = np.concatenate(self._rows).astype(np.float64), np.concatenate(self._is_clicked)
        weights = np.zeros(len(FEATURES))
        for _ in range(NUM_STEPS):
            chance = 1 / (1 + np.exp(-rows @ weights))
            gradient = rows.T @ (is_clicked - chance) - RIDGE * weights
            curvature = (rows * (chance * (1 - chance))[:, None]).T @ rows + RIDGE * np.eye(len(weights))
            weights += np.linalg.solve(curvature, gradient)
        self.weights = weights.astype(np.float32)

    def _remember(self, users: np.ndarray, features: np.ndarray, events: dict[str, np.ndarray]) -> None:
        """Keeps the features of what was viewed, and whether it was clicked."""
        keys = events["user"] * len(self.demand) + events["item"]
        is_view = (events["event_type"] == VIEW) & np.isin(events["user"], users)
        place = np.searchsorted(users, events["user"][is_view])
        rows = features[place, events["item"][is_view]]
        rows[:, FEATURES.index("is_listed")] = events["is_listed"][is_view]
        self._rows.append(rows)
        self._is_clicked.append(np.isin(keys[is_view], keys[events["event_type"] == CLICK]))


class _Counts:
    """Views and clicks by something, fading."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.views, self.clicks = np.zeros(shape), np.zeros(shape)

    def add(self, place: tuple[np.ndarray, ...], is_view: np.ndarray, is_click: np.ndarray) -> None:
        """A day's events."""
        for counts, is_counted in ((self.views, is_view), (self.clicks, is_click)):
            counts *= TASTE_MEMORY
            np.add.at(counts, tuple(of_axis[is_counted] for of_axis in place), 1)

    def log_rates(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Log of the share of views that were clicked, over that of everybody; few views hardly move it from 0."""
        usual = (self.clicks.sum() + 1) / (self.views.sum() + 4)
        return np.log((self.clicks[rows] / usual + PRIOR_VIEWS) / (self.views[rows] + PRIOR_VIEWS))
