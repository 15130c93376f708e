"""The graph model learns the communities, mixes neighbours rightly, and travels along new edges without a new fit."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from keras import ops
from scipy import sparse

from expectations.tables import NightError
from models.batches.retrieval_batches import UserBatches
from models.data.dataset import Dataset, Edges
from models.families.graph import Graph, GraphConfig, GraphNetwork
from models.families.graph_adjacency import node_matrix
from models.interface.model import Model, Vectors
from models.interface.registry import config_values
from models.nn.graph_layers import MeanOfLayers, segment_softmax
from tests.models.contract import ModelContract
from tests.worlds.communities import ITEMS, SILENT_USER, UNSOLD_ITEM, USERS

SETTINGS: dict = {
    "embedding_dim": 8,
    "feature_dim": 4,
    "num_layers": 2,
    "learning_rate": 0.02,
    "batch_size": 8,
    "epochs": 20,
}


class TestGraph(ModelContract):
    name = "graph"
    settings: ClassVar[dict] = SETTINGS

    def test_vectors_multiply_to_the_scores(self, fitted: Model, dataset: Dataset) -> None:
        vectors = fitted.retrieval(dataset)
        assert isinstance(vectors, Vectors)
        users = np.array([4, 5, SILENT_USER])
        np.testing.assert_allclose(
            vectors.user[users] @ vectors.item.T, fitted.scores(dataset, users), rtol=1e-5, atol=1e-6
        )

    def test_an_item_that_nobody_met_is_placed_by_its_features(self, fitted: Model, dataset: Dataset) -> None:
        scores = fitted.scores(dataset, np.array(USERS))[:, UNSOLD_ITEM]
        is_even = np.array(USERS) % 2 == 0
        assert scores[is_even].mean() > scores[~is_even].mean()

    def test_a_new_purchase_moves_the_vector_without_a_new_fit(self, fitted: Model, dataset: Dataset) -> None:
        odd, even = ([item for item in ITEMS if item % 2 == rest] for rest in (1, 0))
        before = fitted.scores(dataset, np.array([SILENT_USER]))[0]
        after = fitted.scores(_with_edges(dataset, SILENT_USER, odd[:4]), np.array([SILENT_USER]))[0]
        assert (after - before)[odd].mean() > max(0, (after - before)[even].mean())

    def test_without_an_item_a_user_looks_elsewhere_and_all_others_stay(self, fitted: Graph, dataset: Dataset) -> None:
        users, without = np.array([USERS[0], USERS[0], USERS[1]]), np.array([ITEMS[0], ITEMS[1], ITEMS[1]])
        network = GraphNetwork(fitted.networks, dataset, fitted.config)
        layers = [ops.convert_to_numpy(network._own_vectors(training=False))]
        for _ in range(fitted.config.num_layers):
            layers.append(network.matrix @ layers[-1])
        looks = network.matrix[users].toarray()
        looks[np.arange(3), dataset.num_users + without] = 0
        expected = np.mean([layers[0][users], *(looks @ layer for layer in layers[:-1])], axis=0)
        found = ops.convert_to_numpy(network.users_without(users, without))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        assert (looks != network.matrix[users].toarray()).any()

    def test_nobody_who_wants_anything_is_refused(self, dataset: Dataset) -> None:
        pairs = replace(dataset.interactions, demand=np.zeros_like(dataset.interactions.demand))
        with pytest.raises(NightError, match="graph as of 2024-03-10: nobody did what the shop wants"):
            self.new_model().fit(replace(dataset, interactions=pairs))

    def test_a_loss_that_runs_away_stops_the_night(self, dataset: Dataset) -> None:
        with pytest.raises(NightError, match="graph: the loss must stay finite"):
            Graph(replace(_config(), learning_rate=float("nan"), epochs=2)).fit(dataset)


class TestGraphAttention(TestGraph):
    settings: ClassVar[dict] = {**SETTINGS, "propagation": "attention", "num_layers": 1, "epochs": 30}

    def test_without_an_item_a_user_looks_elsewhere_and_all_others_stay(self, fitted: Graph, dataset: Dataset) -> None:
        users = np.array([USERS[0], USERS[1]])
        network = GraphNetwork(fitted.networks, dataset, fitted.config)
        as_they_are = ops.convert_to_numpy(network.nodes(training=False))[users]
        found = ops.convert_to_numpy(network.users_without(users, np.array([ITEMS[0], 0])))
        np.testing.assert_allclose(found[1], as_they_are[1], rtol=1e-5, atol=1e-6)
        assert np.abs(found[0] - as_they_are[0]).max() > 1e-4


@pytest.mark.parametrize(
    ("setting", "value"), [("num_layers", 0), ("edge_exponent", -1.0), ("node_dropout", 1.0), ("num_heads", 3)]
)
def test_a_config_that_cannot_work_is_refused(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{setting}` must"):
        replace(_config(), **{setting: value})  # type: ignore[arg-type]


def test_the_matrix_is_symmetric_and_never_makes_vectors_longer(dataset: Dataset) -> None:
    matrix = node_matrix(dataset, edge_exponent=0.5, item_item_weight=1.0)
    assert abs(matrix - matrix.T).max() == 0
    assert np.abs(np.linalg.eigvalsh(matrix.toarray())).max() <= 1 + 1e-6
    user, item = dataset.interactions.user_index[0], dataset.interactions.item_index[0]
    assert matrix[user, dataset.num_users + item] > 0
    assert matrix[: dataset.num_users, : dataset.num_users].nnz == 0


def test_without_item_edges_the_weights_are_those_of_light_gcn(dataset: Dataset) -> None:
    matrix = node_matrix(dataset, edge_exponent=0, item_item_weight=0)
    seen = dataset.seen_by(np.arange(dataset.num_users)).toarray()
    degrees = np.sqrt(np.maximum(seen.sum(axis=1), 1)[:, None] * np.maximum(seen.sum(axis=0), 1)[None, :])
    np.testing.assert_allclose(matrix[: dataset.num_users, dataset.num_users :].toarray(), seen / degrees, rtol=1e-6)


def test_the_mean_of_layers_counts_every_step_alike_and_its_gradient_is_the_same_map() -> None:
    import tensorflow as tf

    matrix, nodes = _symmetric(30), np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    variable = tf.Variable(nodes)
    with tf.GradientTape() as tape:
        made = MeanOfLayers(matrix, num_layers=2)(variable)
        loss = tf.reduce_sum(made * made)
    np.testing.assert_allclose(made.numpy(), _mean_of_two(matrix, nodes), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        tape.gradient(loss, variable).numpy(), 2 * _mean_of_two(matrix, made.numpy()), rtol=1e-4, atol=1e-4
    )


def test_other_backends_gather_along_the_edges_to_the_same_end() -> None:
    matrix, nodes = _symmetric(30), np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    mean_of_layers = MeanOfLayers(matrix, num_layers=2)
    mean_of_layers.has_kernel = False
    made = ops.convert_to_numpy(mean_of_layers(nodes))
    np.testing.assert_allclose(made, _mean_of_two(matrix, nodes), rtol=1e-5, atol=1e-5)


def _mean_of_two(matrix: sparse.csr_matrix, nodes: np.ndarray) -> np.ndarray:
    mean: np.ndarray = (nodes + matrix @ nodes + matrix @ (matrix @ nodes)) / 3
    return mean


def test_a_segment_softmax_sums_to_one_and_survives_large_logits() -> None:
    logits = np.array([[1000.0], [1000.0], [-1000.0], [3.0]], dtype=np.float32)
    shares = ops.convert_to_numpy(segment_softmax(logits, np.array([0, 0, 2, 2]), 3))
    np.testing.assert_allclose(shares[:, 0], [0.5, 0.5, 0, 1], atol=1e-6)


def test_an_epoch_asks_every_user_about_all_that_was_wanted(dataset: Dataset) -> None:
    batches = UserBatches(dataset, batch_size=7, min_steps=1, num_candidates=100, user_weight_exponent=1.0)
    asked, weights = {}, {}
    for n in range(len(batches)):
        inputs, target, weight = batches[n]
        for user, row, of_user in zip(inputs["users"], target, weight, strict=True):
            asked[int(user)] = set(inputs["candidates"][row > 0].tolist())
            weights[int(user)] = float(of_user)
    assert asked == {user: set(dataset.seen_by(np.array([user])).indices.tolist()) for user in USERS}
    pairs_each = sum(len(items) for items in asked.values()) / len(asked)
    assert weights == pytest.approx({user: len(items) / pairs_each for user, items in asked.items()})


@pytest.mark.parametrize(("batch_size", "min_steps", "steps"), [(1024, 1, 1), (1024, 2, 2), (1024, 1000, 2), (7, 1, 4)])
def test_a_shop_of_few_users_gets_smaller_batches(
    dataset: Dataset, batch_size: int, min_steps: int, steps: int
) -> None:
    batches = UserBatches(dataset, batch_size, min_steps, num_candidates=100, user_weight_exponent=1.0)
    assert (batches.num_examples, len(batches)) == (24, steps)


def _with_edges(dataset: Dataset, user: int, items: list[int]) -> Dataset:
    edges = dataset.edges
    more = Edges(
        kind=np.append(edges.kind, ["user_item"] * len(items)),
        source=np.append(edges.source, [user] * len(items)),
        target=np.append(edges.target, items),
        weight=np.append(edges.weight, np.ones(len(items), dtype=np.float32)),
    )
    changed = replace(dataset)
    changed.__dict__["edges"] = more
    return changed


def _symmetric(size: int) -> sparse.csr_matrix:
    some = sparse.random(size, size, density=0.2, random_state=1, format="csr", dtype=np.float32)
    return (some + some.T).tocsr().astype(np.float32)


def _config() -> GraphConfig:
    return GraphConfig(**{**config_values("graph"), **SETTINGS})
