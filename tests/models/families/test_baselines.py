from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from scipy import sparse

from models.data import item_similarity, mmap_arrays
from models.data.dataset import Dataset
from models.data.item_similarity import SimilarityConfig, ease_weights, neighbour_weights
from models.families.item_item import ItemItem
from models.interface.model import Model, Neighbours, Vectors
from models.interface.registry import build_model
from tests.models.contract import ModelContract
from tests.worlds.best_items import recommend
from tests.worlds.communities import ITEMS, UNSOLD_ITEM, USERS, community_events


class TestAllTimePopularity(ModelContract):
    name = "all_time_popularity"
    is_personal = False

    def test_the_score_is_the_number_of_purchases(self, fitted: Model, dataset: Dataset) -> None:
        bought = [item for _, item, _ in community_events()]
        assert fitted.scores(dataset, np.array([2]))[0, 2:].tolist() == [bought.count(i) for i in (*ITEMS, UNSOLD_ITEM)]


class TestRecentDemand(ModelContract):
    name = "recent_demand"
    settings: ClassVar[dict] = {"window_days": 14, "half_life_days": 1e9}
    is_personal = False

    def test_the_score_counts_the_window_alone(self, fitted: Model, dataset: Dataset) -> None:
        recent = [item for _, item, time in community_events() if time.isoformat() >= "2024-02-26"]
        scores = fitted.scores(dataset, np.array([2]))[0, 2:]
        np.testing.assert_allclose(scores, [recent.count(i) for i in (*ITEMS, UNSOLD_ITEM)], atol=1e-4)

    def test_vectors_multiply_to_the_scores(self, fitted: Model, dataset: Dataset) -> None:
        vectors = fitted.retrieval(dataset)
        assert isinstance(vectors, Vectors)
        assert np.array_equal((vectors.user @ vectors.item.T)[[5]], fitted.scores(dataset, np.array([5])))


class TestItemItem(ModelContract):
    name = "item_item"
    settings: ClassVar[dict] = {"shrinkage": 1.0}
    knows_unknown_users = False

    def test_neighbours_sum_to_the_scores(self, fitted: Model, dataset: Dataset) -> None:
        found = fitted.retrieval(dataset)
        assert isinstance(found, Neighbours)
        user = 2
        expected = sum(found.weights[item].toarray()[0] for item in dataset.seen_by(np.array([user])).indices)
        scores = fitted.scores(dataset, np.array([user]))[0]
        np.testing.assert_allclose(np.where(np.isneginf(scores), 0, scores), expected, rtol=1e-5)

    def test_a_bought_item_speaks_for_itself(self, fitted: Model) -> None:
        assert isinstance(fitted, ItemItem)
        assert fitted.weights.diagonal()[5] == pytest.approx(0.2)


class TestSparseItemItem(TestItemItem):
    """The form that a shop of more items and more users than `max_dense` gets."""

    settings: ClassVar[dict] = {"shrinkage": 1.0, "max_dense": 1}


class TestItemItemOfSessions(TestItemItem):
    settings: ClassVar[dict] = {"shrinkage": 1.0, "session_weight": 2.0, "session_pause": 86_400.0}


@pytest.mark.parametrize("entries_at_once", [2_000_000, 3])
def test_a_session_holds_what_was_met_without_a_pause(
    dataset: Dataset, entries_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mmap_arrays, "ENTRIES_AT_ONCE", entries_at_once)
    start = dataset.end - 86_400
    seen = [(2, 5, 0), (2, 6, 200), (2, 5, 400), (2, 7, 800), (3, 8, 800), (3, 9, 1_000), (4, 9, 1_001), (4, 9, 1_002)]
    users, items, seconds = (np.array(values) for values in zip(*seen, strict=True))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=dataset.num_users))])
    events = replace(
        dataset.events,
        offsets=offsets,
        history_starts=offsets[:-1],
        user_index=users,
        item_index=items,
        time=start + seconds,
    )
    settings = {"session_weight": 2.0, "session_pause": 300.0, "half_life_days": 1.0}
    model = build_model("item_item", settings)
    assert isinstance(model, ItemItem)
    rows = sparse.vstack(list(model._sessions(replace(dataset, events=events)))).toarray()
    # A pause of 400 seconds, another user, and a session of one item alone.
    assert [np.flatnonzero(row).tolist() for row in rows] == [[5, 6], [8, 9]]
    assert rows[0, 5] == pytest.approx(2 * 0.5 ** ((86_400 - 400) / 86_400 / 2))


def test_ease_is_the_ridge_regression_of_an_item_on_the_others() -> None:
    rng = np.random.default_rng(1)
    met = (rng.random((30, 4)) < 0.5).astype(np.float64)
    shrinkage, item, others = 2.0, 1, [0, 2, 3]
    design = met[:, others]
    slopes = np.linalg.solve(design.T @ design + shrinkage * np.eye(3), design.T @ met[:, item])
    weights = ease_weights(sparse.csr_matrix(met.T @ met), shrinkage)
    np.testing.assert_allclose(weights[others, item], slopes, rtol=1e-4)


def test_ease_is_the_same_through_users(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    met = sparse.csr_matrix((rng.random((6, 9)) < 0.4) * rng.random((6, 9)), dtype=np.float32)
    through_items = SimilarityConfig(3, half_life_days=1.0, shrinkage=2.0, max_dense=9)
    through_users = replace(through_items, max_dense=6)
    monkeypatch.setattr(item_similarity, "PRODUCTS_AT_ONCE", 18)  # two items at a time
    expected = neighbour_weights([met], 9, through_items).toarray()
    np.testing.assert_allclose(neighbour_weights([met[:2], met[2:]], 9, through_users).toarray(), expected, atol=1e-6)


def test_shrunk_cosine_keeps_the_largest_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    met = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=np.float32))
    config = SimilarityConfig(1, half_life_days=1.0, shrinkage=1.0, max_dense=0)
    monkeypatch.setattr(item_similarity, "PRODUCTS_AT_ONCE", 6)  # two items, then the third
    weights = neighbour_weights([met[:2], met[2:]], 3, config).toarray()
    expected = [[0, 3 / (np.sqrt(12) + 1), 0], [3 / (np.sqrt(12) + 1), 0, 0], [2 / (np.sqrt(8) + 1), 0, 0]]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 3, 7, 8])
def test_a_dense_matrix_keeps_what_a_sparse_one_does(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    # Few values, so that many are equal; some rows hold fewer positive ones than are kept.
    weights = np.random.default_rng(count).integers(-2, 4, (9, 8)).astype(np.float32)
    monkeypatch.setattr(item_similarity, "PRODUCTS_AT_ONCE", 32)  # four rows at a time
    kept, expected = (
        rows.toarray()
        for rows in (
            item_similarity._largest_of_dense(weights, count),
            item_similarity._largest_per_row(sparse.csr_matrix(weights), count),
        )
    )
    np.testing.assert_array_equal(kept, expected)
    assert (kept > 0).sum(axis=1).max() == min(count, (weights > 0).sum(axis=1).max())


def test_of_equal_neighbours_the_first_are_kept() -> None:
    config = SimilarityConfig(2, half_life_days=1.0, shrinkage=1.0, max_dense=0)
    weights = neighbour_weights([sparse.csr_matrix(np.ones((1, 5), dtype=np.float32))], 5, config)
    assert weights.indices.tolist() == [1, 2, 0, 2, 0, 1, 0, 1, 0, 1]


def test_equal_scores_come_in_the_order_of_the_index(dataset_of_equals: Dataset) -> None:
    model = TestAllTimePopularity().new_model()
    model.fit(dataset_of_equals)
    items, _ = recommend(model, dataset_of_equals, np.array([USERS[0]]), k=3, exclude_seen=False)
    assert items.tolist() == [[2, 3, 4]]
