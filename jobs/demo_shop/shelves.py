"""The demo shop's category tree: what each shelf holds, and how its goods are bought.

A shelf is a leaf of the tree. Goods of one group share their brands, so that the case that fits a phone is a case of
the phone's brand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shelf:
    """A leaf of the category tree.

    Attributes:
        price: the middle of its prices.
        appeal: how much it is wanted by everybody, on the scale of wants (a logarithm).
        peak: the day of the year on which it is wanted most; 0 when every season is alike.
        swing: how much more it is wanted at the peak than on average, on the scale of wants.
        refill_days: the usual gap before the same thing is bought again; 0 when it lasts.
        leads_to: what a purchase makes people need: (shelf, probability, days until then).
    """

    group: str
    name: str
    noun: str
    price: float
    appeal: float = 0.0
    peak: int = 0
    swing: float = 0.0
    refill_days: int = 0
    leads_to: tuple[tuple[str, float, int], ...] = ()


DOMAINS = {
    "electronics": ("Phones", "Computers", "Printing", "Audio", "Cameras", "Gaming"),
    "home": ("Kitchen", "Garden", "Bedroom", "Lighting", "Climate", "Cleaning", "Pets", "Office"),
}
"""domain -> its groups."""

SHELVES = (
    Shelf("Phones", "Smartphones", "smartphone", 420, 0.7, leads_to=(("Cases", 0.75, 3), ("Chargers", 0.45, 7))),
    Shelf("Phones", "Cases", "phone case", 19, -0.6),
    Shelf("Phones", "Chargers", "charger", 26, -0.5),
    Shelf("Computers", "Laptops", "laptop", 880, 0.4, 245, 0.7, leads_to=(("Sleeves", 0.6, 4), ("Mice", 0.5, 6))),
    Shelf("Computers", "Sleeves", "laptop sleeve", 32, -0.8),
    Shelf("Computers", "Mice", "mouse", 36, -0.2),
    Shelf("Computers", "Monitors", "monitor", 230, 0.1),
    Shelf("Printing", "Printers", "printer", 150, 0.1, leads_to=(("Ink", 0.8, 14), ("Paper", 0.6, 9))),
    Shelf("Printing", "Ink", "ink cartridge", 28, -0.3, refill_days=28),
    Shelf("Printing", "Paper", "printer paper", 9, -0.4, refill_days=24),
    Shelf("Audio", "Headphones", "headphones", 95, 0.6),
    Shelf("Audio", "Speakers", "speaker", 110, 0.2, 170, 0.6),
    Shelf("Audio", "Turntables", "turntable", 210, -0.4, leads_to=(("Records", 0.9, 5),)),
    Shelf("Audio", "Records", "vinyl record", 24, -0.1),
    Shelf(
        "Cameras",
        "Camera Bodies",
        "camera",
        520,
        0.3,
        160,
        0.8,
        leads_to=(("Memory Cards", 0.7, 2), ("Lenses", 0.4, 12)),
    ),
    Shelf("Cameras", "Lenses", "lens", 310, -0.3),
    Shelf("Cameras", "Memory Cards", "memory card", 22, -0.4),
    Shelf("Gaming", "Consoles", "console", 390, 0.3, leads_to=(("Games", 0.9, 2), ("Controllers", 0.5, 8))),
    Shelf("Gaming", "Games", "video game", 48, 0.6),
    Shelf("Gaming", "Controllers", "controller", 55, -0.4),
    Shelf("Kitchen", "Coffee Machines", "coffee machine", 160, 0.4, leads_to=(("Coffee", 0.9, 2), ("Filters", 0.5, 4))),
    Shelf("Kitchen", "Coffee", "coffee beans", 14, 0.3, refill_days=15),
    Shelf("Kitchen", "Filters", "coffee filters", 5, -0.6, refill_days=30),
    Shelf("Kitchen", "Pans", "pan", 46, 0.2),
    Shelf("Garden", "Barbecues", "barbecue", 170, 0.0, 165, 1.8, leads_to=(("Charcoal", 0.85, 2),)),
    Shelf("Garden", "Charcoal", "charcoal", 11, -0.6, 180, 1.5, refill_days=13),
    Shelf("Garden", "Seeds", "flower seeds", 5, 0.2, 95, 2.0),
    Shelf("Garden", "Tools", "garden tool", 31, 0.1, 110, 1.2),
    Shelf("Bedroom", "Duvets", "duvet", 75, 0.1, 355, 1.3, leads_to=(("Linen", 0.6, 4),)),
    Shelf("Bedroom", "Linen", "bed linen", 42, 0.2),
    Shelf("Lighting", "Lamps", "lamp", 62, 0.3, 330, 0.9, leads_to=(("Bulbs", 0.7, 3),)),
    Shelf("Lighting", "Bulbs", "light bulb", 8, -0.4, refill_days=45),
    Shelf("Climate", "Fans", "fan", 55, 0.0, 190, 2.2),
    Shelf("Climate", "Heaters", "heater", 85, 0.0, 15, 2.2),
    Shelf("Cleaning", "Vacuums", "vacuum cleaner", 190, 0.2, leads_to=(("Dust Bags", 0.7, 12),)),
    Shelf("Cleaning", "Dust Bags", "dust bags", 12, -0.5, refill_days=30),
    Shelf("Cleaning", "Detergent", "detergent", 9, 0.2, refill_days=20),
    Shelf("Pets", "Cat Food", "cat food", 16, 0.2, refill_days=11),
    Shelf("Pets", "Dog Food", "dog food", 22, 0.2, refill_days=12),
    Shelf("Pets", "Pet Toys", "pet toy", 10, 0.1),
    Shelf("Office", "Chairs", "office chair", 180, 0.1),
    Shelf("Office", "Notebooks", "notebook", 7, 0.1, 240, 1.0, refill_days=35),
)

GROUPS = tuple(group for groups in DOMAINS.values() for group in groups)
BRANDS_PER_GROUP = 5
"""Brands of one group differ in the number of stripes on their pictures: 1 to 5."""
_BRAND_STARTS = ("Al", "Bor", "Cel", "Dra", "Fen", "Hel", "Kor", "Lum", "Nor", "Vel")
_BRAND_ENDS = ("bano", "dexa", "mora", "tivo", "sund", "quil", "rette")
# A step that shares no factor with 70 visits every pair once, so that a group's brands do not all begin alike.
BRANDS = tuple(
    _BRAND_STARTS[i * 27 % 70 // 7] + _BRAND_ENDS[i * 27 % 70 % 7] for i in range(len(GROUPS) * BRANDS_PER_GROUP)
)
"""Brand b belongs to group b // BRANDS_PER_GROUP."""

SHELF_INDEX = {shelf.name: index for index, shelf in enumerate(SHELVES)}
SHELF_GROUP = np.array([GROUPS.index(shelf.group) for shelf in SHELVES])
GROUP_DOMAIN = {group: domain for domain, groups in DOMAINS.items() for group in groups}

APPEAL = np.array([shelf.appeal for shelf in SHELVES])
REFILL_DAYS = np.array([shelf.refill_days for shelf in SHELVES])


def seasons(day_of_year: int) -> np.ndarray:
    """Returns how much more, or less, each shelf is wanted on that day than on average. Shape (num_shelves,), float."""
    peak = np.array([shelf.peak for shelf in SHELVES])
    swing = np.array([shelf.swing for shelf in SHELVES])
    return swing * np.cos(2 * np.pi * (day_of_year - peak) / 365.25)


def category_path(shelf: Shelf) -> tuple[str, str, str]:
    """Returns the path, broadest first, such as ("Home", "Garden", "Seeds")."""
    return GROUP_DOMAIN[shelf.group].capitalize(), shelf.group, shelf.name
