"""Lists of two out of three items, drawn item by item without replacement: six of them, which can be enumerated."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from models.slates.slates import Slates

LOGGED = np.array([3.0, 2.0, 1.0])
"""How strongly the log's policy favours each item; it draws among those left in proportion (Plackett 1975; Luce)."""
TARGET = np.array([1.0, 1.0, 4.0])
LISTS = np.array(list(permutations(range(3), 2)))
"""Shape (6, 2)."""


def propensity(lists: np.ndarray, favour: np.ndarray) -> np.ndarray:
    """With which probability each rank was filled as it was, given the rank above. Shape of `lists`."""
    of_list = favour[lists]
    above = np.cumsum(of_list, axis=1) - of_list
    chances: np.ndarray = of_list / (favour.sum() - above)
    return chances


def expected_lists(num_lists: int = 60) -> np.ndarray:
    """Each list as often as the log's policy should show it. Shape (num_lists, 2)."""
    counts = num_lists * propensity(LISTS, LOGGED).prod(axis=1)
    whole = np.round(counts).astype(int)
    np.testing.assert_allclose(whole, counts, atol=1e-9)
    return np.repeat(LISTS, whole, axis=0)


def drawn_lists(favour: np.ndarray, num_lists: int, rng: np.random.Generator) -> np.ndarray:
    """Lists as a policy might show them."""
    chances = propensity(LISTS, favour).prod(axis=1)
    return LISTS[rng.choice(len(LISTS), num_lists, p=chances)]


def slates(lists: np.ndarray, favour: np.ndarray = LOGGED) -> Slates:
    """Lists with the propensities of who drew them."""
    return Slates(lists, propensity(lists, favour))
