"""Top-N of a block against the obvious slow answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from jobs.lists.exact_top_k import exact_top_k

OUT = -np.inf


def as_rows(scores: list[list[float]], seen: list[list[int]], n: int) -> list[tuple[int, int, float, bool]]:
    matrix = np.array(scores, np.float32)
    lists = exact_top_k(matrix, csr_matrix(np.array(seen, np.float32).reshape(matrix.shape)), n)
    columns = (lists.rows, lists.item_indices, lists.scores, lists.is_seen)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def brute_force(scores: np.ndarray, seen: np.ndarray, n: int) -> list[tuple[int, int, float, bool]]:
    """Sorts every row whole, twice."""
    rows = []
    for user, row in enumerate(scores.tolist()):
        order = sorted((item for item, score in enumerate(row) if score > OUT), key=lambda item: (-row[item], item))
        kept = set(order[:n]) | set([item for item in order if not seen[user, item]][:n])
        rows += [(user, item, row[item], bool(seen[user, item])) for item in order if item in kept]
    return rows


def test_a_list_holds_the_best_overall_and_the_best_unseen() -> None:
    rows = as_rows([[0.9, 0.8, 0.7, 0.6, 0.5]], [[1, 1, 0, 1, 0]], 2)
    # 0 and 1 are the best two; 2 and 4 the best two that are new; 3 is neither.
    assert [(item, is_seen) for _, item, _, is_seen in rows] == [(0, True), (1, True), (2, False), (4, False)]


def test_equal_scores_at_the_edge_go_to_the_smaller_index() -> None:
    rows = as_rows([[1.0, 2.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]], [[0, 0, 0, 0], [1, 0, 0, 0]], 2)
    assert [(user, item) for user, item, _, _ in rows] == [(0, 1), (0, 0), (1, 0), (1, 1), (1, 2)]


def test_items_without_a_score_are_no_candidates() -> None:
    assert as_rows([[OUT, 0.1, OUT], [OUT, OUT, OUT]], [[1, 0, 0], [0, 1, 0]], 3) == [(0, 1, pytest.approx(0.1), False)]


def test_a_catalogue_smaller_than_n_is_listed_whole() -> None:
    assert [row[1] for row in as_rows([[0.1, 0.2]], [[0, 1]], 10)] == [1, 0]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 12), st.integers(1, 15), st.integers(1, 4))
def test_lists_equal_brute_force(seed: int, num_users: int, num_items: int, n: int, num_levels: int) -> None:
    rng = np.random.default_rng(seed)
    # Few levels of score: nearly everything is a tie.
    scores = rng.integers(0, num_levels, (num_users, num_items)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = OUT
    seen = rng.random(scores.shape) < 0.4
    assert as_rows(scores.tolist(), seen.tolist(), n) == brute_force(scores, seen, n)
