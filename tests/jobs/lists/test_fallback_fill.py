"""What fills lists: demand, under caps as long as they leave anything."""

from __future__ import annotations

import numpy as np
import pytest

from expectations.semantics.list_caps import Cap
from jobs.lists.fallback_fill import FallbackItems

NONE = np.empty(0, np.int32)
ORDER = np.array([5, 2, 7, 3, 4, 6], np.int32)
GROUP = np.array([0, 0, 1, 1, 0, 1, 2])  # of item 7 nothing is known


@pytest.mark.parametrize("caps", [(), (Cap(9, GROUP),)], ids=["without caps", "with one that is never reached"])
def test_the_best_in_demand_fill_a_list_but_for_what_is_taken(caps: tuple[Cap, ...]) -> None:
    fallback = FallbackItems(ORDER, ORDER[:0], caps)
    assert fallback.best(3, np.array([2]), np.array([7])).tolist() == [5, 3, 4]
    assert fallback.best(0, NONE, NONE).tolist() == []
    assert fallback.best(9, NONE, NONE).tolist() == ORDER.tolist()


def test_a_cap_counts_what_is_listed_already() -> None:
    fallback = FallbackItems(ORDER, ORDER[:0], (Cap(2, GROUP),))
    assert fallback.best(4, np.array([2]), NONE).tolist() == [5, 7, 4, 6]
    assert fallback.best(4, NONE, NONE).tolist() == [5, 2, 7, 4]


def test_two_caps_hold_at_once() -> None:
    other = np.array([0, 0, 1, 1, 2, 2, 2])
    fallback = FallbackItems(ORDER, ORDER[:0], (Cap(2, GROUP), Cap(1, other)))
    assert fallback.best(6, NONE, NONE).tolist() == [5, 2, 7]


def test_beyond_the_caps_the_order_goes_on() -> None:
    fallback = FallbackItems(ORDER, ORDER[:0], (Cap(1, GROUP),))
    assert fallback.beyond_caps(2, np.array([5, 7, 4, 6]), NONE).tolist() == [2, 3]


def test_new_fillers_come_from_the_new_items() -> None:
    fallback = FallbackItems(ORDER, np.array([7, 6], np.int32))
    assert fallback.best(2, NONE, NONE, only_new=True).tolist() == [7, 6]
