"""The metrics on figures that can be checked by hand, and against the obvious, slower way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.ranking_metrics import (
    METRICS,
    Relevant,
    hits,
    map_at_k,
    mrr_at_k,
    ndcg_at_k,
    recall_at_k,
    recommended_items,
    relevant_from_pairs,
)
from models.interface.model import NO_ITEM


def relevant_of(*items_by_user: set[int]) -> Relevant:
    pairs = [(row, item) for row, items in enumerate(items_by_user) for item in items]
    rows, items = np.array(pairs).T
    return relevant_from_pairs(rows, items, len(items_by_user))


def judged_slowly(metric: str, ranked: list[int], relevant: set[int], k: int) -> float:
    """One user, as the formulas read."""
    first = [item for item in ranked[:k] if item != NO_ITEM]
    hit_ranks = [rank for rank, item in enumerate(first, start=1) if item in relevant]
    best = min(k, len(relevant))
    if metric == "recall":
        return len(hit_ranks) / len(relevant)
    if metric == "ndcg":
        ideal = sum(1 / math.log2(rank + 1) for rank in range(1, best + 1))
        return sum(1 / math.log2(rank + 1) for rank in hit_ranks) / ideal
    if metric == "map":
        return sum((number / rank) for number, rank in enumerate(hit_ranks, start=1)) / best
    if metric == "mrr":
        return 1 / hit_ranks[0] if hit_ranks else 0.0
    return float(bool(hit_ranks))


@st.composite
def lists_and_truth(draw: st.DrawFn) -> tuple[list[list[int]], list[set[int]]]:
    num_users, depth = draw(st.integers(1, 5)), draw(st.integers(1, 8))
    items = st.integers(2, 12)
    ranked = []
    for _ in range(num_users):
        chosen = draw(st.lists(items, unique=True, max_size=depth))
        ranked.append(chosen + [NO_ITEM] * (depth - len(chosen)))
    return ranked, [draw(st.sets(items, min_size=1, max_size=12)) for _ in range(num_users)]


@settings(max_examples=150, deadline=None)
@given(lists_and_truth(), st.integers(1, 10), st.sampled_from(sorted(METRICS)))
def test_every_metric_equals_its_formula_user_by_user(
    world: tuple[list[list[int]], list[set[int]]], k: int, metric: str
) -> None:
    ranked, truth = world
    relevant = relevant_of(*truth)

    values = METRICS[metric](hits(np.array(ranked), relevant), relevant.counts, k)

    expected = [judged_slowly(metric, items, wanted, k) for items, wanted in zip(ranked, truth, strict=True)]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert ((values >= 0) & (values <= 1 + 1e-12)).all()


def test_a_perfect_list_reaches_one_even_when_more_is_relevant_than_fits() -> None:
    relevant = relevant_of({2, 3, 4, 5})
    is_hit = hits(np.array([[4, 2]]), relevant)
    assert ndcg_at_k(is_hit, relevant.counts, 2)[0] == pytest.approx(1.0)
    assert map_at_k(is_hit, relevant.counts, 2)[0] == pytest.approx(1.0)
    assert recall_at_k(is_hit, relevant.counts, 2)[0] == 0.5


def test_a_hit_further_down_counts_less() -> None:
    relevant = relevant_of({7}, {7})
    is_hit = hits(np.array([[7, 8, 9], [8, 9, 7]]), relevant)
    np.testing.assert_allclose(ndcg_at_k(is_hit, relevant.counts, 3), [1.0, 0.5])
    np.testing.assert_allclose(mrr_at_k(is_hit, relevant.counts, 3), [1.0, 1 / 3])


def test_the_truth_of_one_user_is_no_hit_for_another() -> None:
    assert hits(np.array([[5], [6]]), relevant_of({6}, {5})).tolist() == [[False], [False]]


def test_the_end_of_a_short_list_is_no_hit_for_the_largest_item_of_the_user_before() -> None:
    assert hits(np.array([[9, 2], [2, NO_ITEM]]), relevant_of({9}, {2})).tolist() == [[True, False], [True, False]]


def test_a_user_without_relevant_items_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs a relevant item.*\[1\]"):
        relevant_from_pairs(np.array([0, 2]), np.array([5, 5]), 3)


def test_a_cutoff_below_the_first_rank_is_refused() -> None:
    with pytest.raises(ValueError, match="k=0"):
        recall_at_k(np.ones((1, 1), dtype=bool), np.ones(1), 0)


def test_recommended_items_are_distinct_and_real() -> None:
    ranked = np.array([[3, 4, NO_ITEM], [4, 5, 6]])
    assert recommended_items(ranked, 2).tolist() == [3, 4, 5]
    assert recommended_items(ranked, 3).tolist() == [3, 4, 5, 6]
