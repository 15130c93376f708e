"""How lists of similar items are judged, on baskets that a reader can check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.lists.similar_items import K, hit_shares, top_lists


def test_a_basket_counts_by_the_share_of_its_items_with_a_hit() -> None:
    lists = np.zeros((6, K), np.int64)
    lists[2, 0], lists[3, 0], lists[4, 0] = 3, 5, 4  # the last one names itself
    same = [("ann", np.array([2, 3, 4]), np.array([2, 3, 4]))]
    following = [("ann", np.array([2, 3]), np.array([5])), ("bob", np.array([2]), np.array([3]))]
    everything = np.ones(6, bool)
    assert hit_shares(lists, same, everything).tolist() == pytest.approx([1 / 3])
    assert hit_shares(lists, following, everything).tolist() == [0.5, 1.0]
    # Nothing is asked of the basket that holds no such item.
    assert hit_shares(lists, following, np.arange(6) == 3).tolist() == [1.0]


def test_a_list_names_available_others_that_something_speaks_for() -> None:
    scores = np.zeros((6, 6), np.float32)
    scores[2] = [0, 0, 9, 1, 2, 1]
    lists = top_lists(scores, np.array([False, False, True, True, False, True]))
    assert lists[2].tolist() == [3, 5, 0, 0, 0, 0]
