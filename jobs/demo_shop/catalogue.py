"""The goods of the demo shop: their words, brands, prices and looks, and which of them are on sale today."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.shelves import BRANDS, BRANDS_PER_GROUP, SHELF_GROUP, SHELVES

COLOURS = {
    "black": (32, 32, 36),
    "white": (240, 238, 232),
    "red": (200, 48, 44),
    "blue": (46, 92, 190),
    "green": (56, 142, 76),
    "yellow": (236, 190, 48),
    "rose": (228, 140, 164),
    "copper": (178, 108, 66),
}
TRAITS = ("compact", "rugged", "vintage", "quiet", "lightweight", "classic", "deluxe", "everyday", "slim", "playful")


@dataclass
class Catalogue:
    """All goods ever on sale, one row each; an item's row number is its index for good.

    Attributes:
        colour, trait: what the title says and, for the colour, the picture shows.
        style: how it looks, to be multiplied with a user's. Shape (num_items, style_dim).
        price_level: log of the list price over the shelf's middle price, in its spreads.
        list_price, price: without and with this week's cut.
        demand: recent purchases, fading by a tenth a day.
    """

    shelf: np.ndarray
    brand: np.ndarray
    colour: np.ndarray
    trait: np.ndarray
    model_number: np.ndarray
    style: np.ndarray
    quality: np.ndarray
    price_level: np.ndarray
    list_price: np.ndarray
    price: np.ndarray
    is_available: np.ndarray
    is_retired: np.ndarray
    demand: np.ndarray

    def __len__(self) -> int:
        return len(self.shelf)

    def append(self, other: Catalogue) -> None:
        """Puts new goods after the old ones."""
        for f in fields(self):
            setattr(self, f.name, np.concatenate([getattr(self, f.name), getattr(other, f.name)]))

    def item_id(self, index: int) -> str:
        return f"A{index + 1:05d}"

    def title(self, index: int) -> str:
        """Such as "Borsund K310 rugged phone case, blue". One title in 250 carries an emoji, as shops' titles do."""
        brand, noun = BRANDS[self.brand[index]], SHELVES[self.shelf[index]].noun
        letter = "EKMRSTXZ"[self.brand[index] % 8]
        words = f"{brand} {letter}{self.model_number[index]} {self._trait(index)} {noun}, {self.colour_name(index)}"
        return f"{words} 🎁" if self.model_number[index] % 250 == 0 else words

    def description(self, index: int) -> str:
        """Two sentences; some with quotation marks, which a careless CSV reader trips over."""
        trait, noun, brand = self._trait(index), SHELVES[self.shelf[index]].noun, BRANDS[self.brand[index]]
        article = "An" if trait[0] in "aeiou" else "A"
        size = 5 + self.model_number[index] % 26
        measure = f'in a {size}" box' if self.model_number[index] % 4 == 0 else f"in a box of {size} inches"
        grades = ("Plain and sturdy", "Carefully made", "Made to last")
        grade = grades[int(np.clip(self.price_level[index] + 1.5, 0, 2))]
        looks = f"{article} {trait} {noun} in {self.colour_name(index)}, {measure}."
        return f"{looks} {grade}; goes with others by {brand}."

    def colour_name(self, index: int) -> str:
        return list(COLOURS)[self.colour[index]]

    def _trait(self, index: int) -> str:
        return TRAITS[self.trait[index]]


def new_items(config: WorldConfig, rng: np.random.Generator, num_items: int) -> Catalogue:
    """Draws goods; the shelves take turns, so that every shelf of even a small shop holds something.

    The looks of colours and traits, and the price levels of brands, are the world's: they come from its seed and not
    from `rng`.
    """
    world = np.random.default_rng([config.seed, 1])
    colour_style = world.normal(0, config.style_spread, (len(COLOURS), config.style_dim))
    trait_style = world.normal(0, config.style_spread, (len(TRAITS), config.style_dim))
    brand_level = world.normal(0, 0.8, len(BRANDS))

    shelf = rng.permutation(np.arange(num_items) % len(SHELVES))
    brand = SHELF_GROUP[shelf] * BRANDS_PER_GROUP + rng.integers(0, BRANDS_PER_GROUP, num_items)
    colour, trait = rng.integers(0, len(COLOURS), num_items), rng.integers(0, len(TRAITS), num_items)
    level = 0.7 * brand_level[brand] + rng.normal(0, 0.7, num_items)
    middle = np.array([s.price for s in SHELVES])[shelf]
    price = np.round(middle * np.exp(0.4 * level), 2)
    return Catalogue(
        shelf=shelf,
        brand=brand,
        colour=colour,
        trait=trait,
        model_number=rng.integers(100, 1000, num_items),
        style=colour_style[colour] + trait_style[trait] + rng.normal(0, 0.2, (num_items, config.style_dim)),
        quality=rng.normal(0, config.quality_spread, num_items),
        price_level=level,
        list_price=price,
        price=price.copy(),
        is_available=np.ones(num_items, dtype=bool),
        is_retired=np.zeros(num_items, dtype=bool),
        demand=np.zeros(num_items),
    )


def restock(config: WorldConfig, rng: np.random.Generator, goods: Catalogue) -> None:
    """Overnight some goods run out, some come back, and a few are given up for good."""
    chance = rng.random(len(goods))
    goods.is_retired |= rng.random(len(goods)) < config.retire
    goods.is_available = np.where(goods.is_available, chance >= config.stock_out, chance < config.restock)
    goods.is_available &= ~goods.is_retired


def reprice(config: WorldConfig, rng: np.random.Generator, goods: Catalogue) -> None:
    """Once a week, other goods have their price cut."""
    cut = np.where(rng.random(len(goods)) < config.deal_share, rng.uniform(0.1, config.deal_depth, len(goods)), 0.0)
    goods.price = np.round(goods.list_price * (1 - cut), 2)
