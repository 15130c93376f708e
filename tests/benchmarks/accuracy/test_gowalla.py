"""Gowalla's judge counts as the literature does, and its made-up calendar holds every pair once."""

from __future__ import annotations

import numpy as np
import pytest

from models.families.graph_adjacency import node_matrix
from models.interface.model import Vectors
from tests.benchmarks.accuracy.gowalla import END, Pairs, dataset_of, judged, kept_and_held_back


def test_recall_and_ndcg_of_a_case_by_hand() -> None:
    # One user, 30 items that are ranked 2, 3, 4, …; item 2 is known already, so that item 4 takes the second place.
    vectors = Vectors(np.ones((3, 1)), -np.arange(32, dtype=np.float64)[:, None])
    recall, ndcg = judged(vectors, _pairs([(2, 2)]), _pairs([(2, 4), (2, 31)]))
    assert recall == pytest.approx(1 / 2)
    assert ndcg == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))


def test_a_user_with_nothing_to_find_is_not_counted() -> None:
    vectors = Vectors(np.ones((4, 1)), -np.arange(32, dtype=np.float64)[:, None])
    assert judged(vectors, _pairs([(2, 2), (3, 2)]), _pairs([(2, 3)])) == (1.0, 1.0)


def test_the_pairs_become_events_edges_and_interactions() -> None:
    pairs = _pairs([(2, 3), (2, 5), (4, 3)])
    dataset = dataset_of(pairs, num_users=5, num_items=6)
    events = dataset.events
    assert sorted(zip(events.user_index, events.item_index, strict=True)) == [(2, 3), (2, 5), (4, 3)]
    assert (np.diff(events.time[:2]) >= 0).all()
    assert (events.time < END).all()
    assert node_matrix(dataset, 0, 0)[2, 5 + 3] == pytest.approx(0.5)


def test_validation_pairs_are_a_tenth_and_nobody_elses() -> None:
    pairs = _pairs([(user, item) for user in range(2, 102) for item in range(2, 52)])
    kept, held = kept_and_held_back(pairs)
    num_held, num_all = (np.bincount(some.users) for some in (held, pairs))
    assert np.array_equal(num_held, np.where(num_all, np.maximum(1, num_all // 10), 0))
    both = {*zip(kept.users, kept.items, strict=True), *zip(held.users, held.items, strict=True)}
    assert len(both) == len(kept.users) + len(held.users) == 5000


def _pairs(rows: list[tuple[int, int]]) -> Pairs:
    users, items = np.array(rows, dtype=np.int64).T
    return Pairs(users, items)
