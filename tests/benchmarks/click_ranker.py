"""A plain ranker for the simulated shop: the chance that a visitor clicks an item tonight, from the shop's log alone.

Logistic regression over what a shop may know on that morning: how often the user clicked what they viewed of the same
shelf, group, brand, colour and trait; how often everybody clicked the item; item-item weights (EASE); which shelves
people turn to after what they bought; prices; and what they saw and bought lately. Refitted by `refit`; features are
taken on the morning of each visit, so no fit reads anything that came later.
"""

from __future__ import annotations

import numpy as np

from jobs.demo_shop.catalogue import Catalogue
from jobs.demo_shop.shelves import SHELF_GROUP, SHELVES
from jobs.demo_shop.visits import CLICK, PURCHASE, VIEW
from tests.benchmarks.click_features import Counts, ItemItem, Looks, NextShelves

ATTRIBUTES = ("shelf", "group", "brand", "colour", "trait")
ITEM_FEATURES = ("item", "demand", "deal")
LOOKED_AT = tuple(f"own looks at {name}" for name in ATTRIBUTES)
PAIR_FEATURES = (
    "interest",
    "item_item",
    "next_shelf",
    "price",
    "seen_lately",
    "bought_shelf",
    "bought_brand",
    "bought_item",
)
FEATURES = (*ATTRIBUTES, *LOOKED_AT, *ITEM_FEATURES, *PAIR_FEATURES, "is_listed", "intercept")
RIDGE = 10.0
TASTE_MEMORY, DEMAND_MEMORY, SATIATION_MEMORY = 0.98, 0.9, 0.85
"""What is left of a count a day later."""


class ClickRanker:
    """See the module's docstring. Shapes are those of a shop that has grown to its last night.

    Attributes:
        demand: purchases of each item, fading. Shape (max_items,).
    """

    def __init__(self, max_users: int, max_items: int) -> None:
        sizes = {"shelf": len(SHELVES), "group": int(SHELF_GROUP.max()) + 1, "brand": 70, "colour": 8, "trait": 10}
        self.tastes = {name: Counts((max_users, sizes[name])) for name in ATTRIBUTES}
        self.looks = {name: Looks(max_users, sizes[name]) for name in ATTRIBUTES}
        self.items = Counts((max_items,))
        self.demand, self.highest_price = np.zeros(max_items), np.zeros(max_items)
        self.price_level = np.zeros(0)  # of this morning
        self.price_sum, self.price_count = np.zeros(max_users), np.zeros(max_users)
        self.seen_shelf = np.zeros((max_users, len(SHELVES)))
        self.bought = {name: np.zeros((max_users, size)) for name, size in (("shelf", sizes["shelf"]), ("brand", 70))}
        self.bought_item = np.zeros((max_users, max_items), dtype=np.float32)
        self.item_item, self.next_shelves = ItemItem(max_users, max_items), NextShelves(max_users)
        self.weights = np.zeros(len(FEATURES))
        self._rows: list[np.ndarray] = []
        self._clicks: list[np.ndarray] = []

    def features(self, users: np.ndarray, goods: Catalogue, interests: np.ndarray, day: int) -> np.ndarray:
        """What is known of every user and item. Shape (num_users, num_items, len(FEATURES)), as if all were listed.

        Args:
            interests: the groups that these users say they like. Shape (num_users, num_groups).
        """
        num_items = len(goods)
        self.highest_price[:num_items] = np.maximum(self.highest_price[:num_items], goods.price)
        level = self.price_level = price_levels(goods, self.highest_price[:num_items])
        usual = (self.price_sum[users] / (self.price_count[users] + 2))[:, None]
        of_pairs = (
            *(self.tastes[name].log_rates()[users][:, of_item] for name, of_item in attributes(goods).items()),
            *(self.looks[name].log_shares(users)[:, of_item] for name, of_item in attributes(goods).items()),
            self.items.log_rates()[None, :num_items],
            np.log1p(self.demand[None, :num_items]),
            np.log(self.highest_price[:num_items] / goods.price)[None, :],
            interests[:, SHELF_GROUP[goods.shelf]] - interests.mean(axis=1, keepdims=True),
            self.item_item.scores(users)[:, :num_items],
            self.next_shelves.predicted(users, day)[:, goods.shelf],
            (level - usual) ** 2 - level**2,
            np.log1p(self.seen_shelf[users])[:, goods.shelf],
            self.bought["shelf"][users][:, goods.shelf],
            self.bought["brand"][users][:, goods.brand],
            self.bought_item[users][:, :num_items],
            1.0,
            1.0,
        )
        told = np.empty((len(users), num_items, len(FEATURES)), dtype=np.float32)
        for place, of_pair in enumerate(of_pairs):
            told[:, :, place] = of_pair
        return told

    def chances(self, features: np.ndarray) -> np.ndarray:
        """Log-odds of a click. Shape (num_users, num_items)."""
        return features @ self.weights.astype(np.float32)

    def learn(
        self, users: np.ndarray, features: np.ndarray, events: dict[str, np.ndarray], goods: Catalogue, day: int
    ) -> None:
        """Takes in a day.

        Args:
            users: whom `features` are about, sorted; events of others have no features, and only count.
            events: of the day, as `DemoShopEnv` tells them.
        """
        self._fade()
        user, item, kind = events["user"], events["item"], events["event_type"]
        is_view, is_click, is_buy = kind == VIEW, kind == CLICK, kind == PURCHASE
        is_own = is_view & ~events["is_listed"]
        for name, of_item in attributes(goods).items():
            self.tastes[name].add((user, of_item[item]), is_view, is_click)
            self.looks[name].add(user[is_own], of_item[item[is_own]])
        self.items.add((item,), is_view, is_click)
        np.add.at(self.price_sum, user[is_click], self.price_level[item[is_click]])
        np.add.at(self.price_count, user[is_click], 1)
        np.add.at(self.seen_shelf, (user[is_view], goods.shelf[item[is_view]]), 1)
        np.add.at(self.demand, item[is_buy], 1)
        self.bought["shelf"][user[is_buy], goods.shelf[item[is_buy]]] = 1
        self.bought["brand"][user[is_buy], goods.brand[item[is_buy]]] = 1
        self.bought_item[user[is_buy], item[is_buy]] = 1
        self.item_item.add(user[is_click], item[is_click])
        self.next_shelves.add(user, goods.shelf[item], is_view, is_click, is_buy, day)
        self._remember(
            users,
            features,
            user[is_view],
            item[is_view],
            events["is_listed"][is_view],
            (user[is_click], item[is_click]),
        )

    def refit(self) -> None:
        """Newton's method on all rows so far, with a ridge."""
        self.item_item.refit()
        self.next_shelves.refit()
        rows, clicks = np.concatenate(self._rows).astype(np.float64), np.concatenate(self._clicks)
        for _ in range(8):
            chance = 1 / (1 + np.exp(-rows @ self.weights))
            gradient = rows.T @ (clicks - chance) - RIDGE * self.weights
            curvature = (rows * (chance * (1 - chance))[:, None]).T @ rows + RIDGE * np.eye(rows.shape[1])
            self.weights += np.linalg.solve(curvature, gradient)

    def _remember(
        self,
        users: np.ndarray,
        features: np.ndarray,
        viewer: np.ndarray,
        item: np.ndarray,
        is_listed: np.ndarray,
        clicked: tuple[np.ndarray, np.ndarray],
    ) -> None:
        """Keeps the rows of what was viewed, with whether it was clicked."""
        is_known = np.isin(viewer, users)
        viewer, item, is_listed = viewer[is_known], item[is_known], is_listed[is_known]
        rows = features[np.searchsorted(users, viewer), item].copy()
        rows[:, FEATURES.index("is_listed")] = is_listed
        self._rows.append(rows)
        width = features.shape[1]
        self._clicks.append(np.isin(viewer * width + item, clicked[0] * width + clicked[1]))

    def _fade(self) -> None:
        for counts in self.tastes.values():
            counts.fade(TASTE_MEMORY)
        for looks in self.looks.values():
            looks.counts *= TASTE_MEMORY
        self.items.fade(TASTE_MEMORY)
        self.demand *= DEMAND_MEMORY
        self.seen_shelf *= SATIATION_MEMORY
        for bought in (*self.bought.values(), self.bought_item):
            bought *= TASTE_MEMORY


def attributes(goods: Catalogue) -> dict[str, np.ndarray]:
    """What titles and categories say of each item."""
    return dict(
        zip(ATTRIBUTES, (goods.shelf, SHELF_GROUP[goods.shelf], goods.brand, goods.colour, goods.trait), strict=True)
    )


def price_levels(goods: Catalogue, price: np.ndarray) -> np.ndarray:
    """Log prices, less the mean of their shelf."""
    log_price = np.log(price)
    num = np.bincount(goods.shelf, minlength=len(SHELVES))
    mean = np.bincount(goods.shelf, log_price, len(SHELVES)) / np.maximum(num, 1)
    return np.asarray(log_price - mean[goods.shelf])
