"""Ways to damage the shop files that ship."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from expectations.shop.shop import SHIPPED_SHOPS

T = TypeVar("T")
Choose = Callable[[Sequence[T]], T]
"""Picks one of several."""

SHIPPED = sorted(SHIPPED_SHOPS.glob("*.toml"))
WRONG = (
    *('"x"', "-1", "0", "1.5", "true", "nan", "inf", "''", "1979-05-27", "[]", "[1]", "{}", "{ a = 1 }", '["x", 2]'),
)
CHANGES = ("value", "gone", "twice", "key", "cut")


def damaged_shop_file(text: str, num_changes: int, choose: Choose) -> str:
    """Returns a shop file of which some lines are wrong, missing, twice there or cut."""
    lines = text.splitlines()
    for _ in range(num_changes):
        place = choose(_places_of_values("\n".join(lines)) or [0])
        key, change = lines[place].partition("=")[0], choose(CHANGES)
        if change == "value":
            lines[place] = f"{key}= {choose(WRONG)}"
        elif change == "gone":
            del lines[place]
        elif change == "twice":
            lines.insert(place, lines[place])
        elif change == "key":
            lines[place] = f"x{lines[place]}"
        else:
            lines[place] = lines[place][: len(lines[place]) // 2]
    return "\n".join(lines)


def _places_of_values(text: str) -> list[int]:
    """The numbers of the lines that give a key its value on one line."""
    return [number for number, line in enumerate(text.splitlines()) if " = " in line.split("#")[0]]
