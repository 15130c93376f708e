"""Users and items as one graph: vectors travel along who met what and which items go together.

Each node starts from its own embedding and its features; the graph of the day that is scored then mixes it with its
neighbours, so that a new purchase moves a vector without a new fit. A node without edges keeps what its features say:
in training some nodes go without their own embedding. All departments of a shop lie in one graph. The training task is
to predict which items each user met, in a softmax over the batch's shared candidates.

Sources: He et al., "LightGCN", SIGIR 2020 (`light`); Veličković et al., "Graph Attention Networks", ICLR 2018
(`attention`); Wu et al., "On the Effectiveness of Sampled Softmax Loss for Item Recommendation", TOIS 2023 (the loss).
What differs: edges between items and node features join the graph; all that a user wanted is predicted at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np
from keras import ops
from scipy import sparse

from expectations.shop.bounds import AtLeastOne, Bounded, NotNegative, NotNegativeInt, ShareBelowOne
from expectations.tables import UNKNOWN_INDEX
from models.batches.retrieval_batches import UserBatches
from models.data.dataset import Dataset
from models.data.tower_inputs import ITEM_CONTENT, item_content, user_content
from models.families.graph_adjacency import node_matrix
from models.families.shared_softmax import SharedSoftmaxModel
from models.interface.cross_field_rules import require_heads_divide
from models.interface.model import Vectors
from models.nn.graph_layers import GraphAttention, MeanOfLayers
from models.nn.item_tower import build_item_tower
from models.nn.network_fitting import (
    as_numpy,
    select_inputs,
    shared_logits,
)
from models.nn.training_setup import Precision
from models.nn.user_tower import build_user_tower


@dataclass(frozen=True)
class GraphConfig(Bounded):
    """See models/configs/graph.toml."""

    propagation: Literal["light", "attention"]
    embedding_dim: AtLeastOne
    feature_dim: NotNegativeInt
    num_layers: AtLeastOne
    num_heads: AtLeastOne
    edge_exponent: NotNegative
    item_item_weight: NotNegative
    user_weight_exponent: NotNegative = field(metadata={"old_names": ("breadth_exponent",)})
    num_candidates: AtLeastOne
    node_dropout: ShareBelowOne
    attention_dropout: ShareBelowOne
    learning_rate: float
    weight_decay: float
    batch_size: AtLeastOne
    min_steps: AtLeastOne
    epochs: AtLeastOne
    warm_epochs: AtLeastOne
    precision: Precision
    data_parallel: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        require_heads_divide(self)


class Graph(SharedSoftmaxModel[GraphConfig]):
    """See the module's docstring."""

    name = "graph"
    config_class = GraphConfig

    def __init__(self, config: GraphConfig) -> None:
        super().__init__(config)
        self._asked: tuple[Dataset, GraphNetwork, np.ndarray] | None = None

    @property
    def network_names(self) -> tuple[str, ...]:
        """The towers of the nodes; `light` has no other weights."""
        towers = ("user_tower", "item_tower")
        return towers if self.config.propagation == "light" else (*towers, "attention")

    def build_batches(self, dataset: Dataset) -> UserBatches:
        """Returns the batches that the config asks for."""
        config = self.config
        return UserBatches(
            dataset, config.batch_size, config.min_steps, config.num_candidates, config.user_weight_exponent
        )

    def build_networks(self, dataset: Dataset) -> dict[str, keras.Model]:
        """Builds the networks of `network_names`."""
        return build_networks(dataset.sizes, self.config)

    def build_training_network(self, dataset: Dataset) -> GraphNetwork:
        """Returns the networks on the dataset's graph, as one network.

        Raises:
            NightError: the model was never fitted.
        """
        return GraphNetwork({name: self.network(name) for name in self.network_names}, dataset, self.config)

    def no_examples(self, dataset: Dataset) -> str:
        """Says that there is no target event."""
        return "nobody did what the shop wants"

    def retrieval(self, dataset: Dataset) -> Vectors:
        """Vectors of all users and items, of `embedding_dim` places, float32.

        Raises:
            NightError: the model was never fitted.
        """
        nodes = as_numpy(self.build_training_network(dataset).nodes(training=False))
        return Vectors(nodes[: dataset.num_users], nodes[dataset.num_users :])

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        """Dot products of these users with the whole catalogue. Shape (len(user_indices), num_items), float32."""
        vectors = self.retrieval(dataset)
        return vectors.user[user_indices] @ vectors.item.T

    def logits(
        self, dataset: Dataset, user_indices: np.ndarray, item_indices: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        if self._asked is None or self._asked[0] is not dataset:
            network = self.build_training_network(dataset)
            self._asked = dataset, network, as_numpy(network.nodes(training=False))
        _, network, nodes = self._asked
        users = nodes[user_indices] if without is None else as_numpy(network.users_without(user_indices, without))
        return np.einsum("ud,ukd->uk", users, nodes[dataset.num_users + item_indices])


def build_networks(sizes: dict[str, int], config: GraphConfig) -> dict[str, keras.Model]:
    """Builds the networks that hold the weights of `Graph`.

    Args:
        sizes: vocabulary field -> number of indices.
        config: propagation and lengths of the vectors.
    """
    dim, feature_dim = config.embedding_dim, config.feature_dim
    networks = {
        "user_tower": build_user_tower(sizes, dim, feature_dim),
        "item_tower": build_item_tower(sizes, dim, feature_dim),
    }
    return networks if config.propagation == "light" else {**networks, "attention": build_attention(config)}


def build_attention(config: GraphConfig) -> keras.Model:
    """Builds a network from nodes and edges to nodes: the mean over the layers, the nodes' own vectors among them.

    Its inputs are `nodes`, of shape (num_nodes, embedding_dim), and `sources`, `targets` and `log_weights`, each of
    shape (num_edges,); its output has the shape of `nodes`.
    """
    nodes = keras.Input((config.embedding_dim,), name="nodes")
    sources, targets = keras.Input((), dtype="int32", name="sources"), keras.Input((), dtype="int32", name="targets")
    log_weights = keras.Input((), name="log_weights")
    layers = [nodes]
    for _ in range(config.num_layers):
        layer = GraphAttention(config.num_heads, config.attention_dropout)
        layers.append(layer(layers[-1], sources, targets, log_weights))
    inputs = {"nodes": nodes, "sources": sources, "targets": targets, "log_weights": log_weights}
    return keras.Model(inputs, keras.layers.Average()(layers), name="attention")


class GraphNetwork(keras.Model):
    """Logits of a batch of users over the candidates that they share, corrected by logQ.

    It holds the graph and the nodes' features of one day; the weights are the given networks'.
    """

    def __init__(self, networks: dict[str, keras.Model], dataset: Dataset, config: GraphConfig) -> None:
        # What the logits are corrected by is no quantity for 16 bits.
        super().__init__(autocast=False)
        self.user_tower, self.item_tower = networks["user_tower"], networks["item_tower"]
        self.attention = networks.get("attention")
        self.num_users, self.node_dropout = dataset.num_users, config.node_dropout
        self.random, self.num_layers = keras.random.SeedGenerator(dataset.seed), config.num_layers
        self.matrix = node_matrix(dataset, config.edge_exponent, config.item_item_weight)
        has_edges = np.diff(self.matrix.indptr) > 0
        users, items = np.arange(dataset.num_users), np.arange(dataset.num_items)
        self.user_inputs = _tensors(
            {"user_index": np.where(has_edges[: len(users)], users, np.minimum(users, UNKNOWN_INDEX))}
            | (user_content(dataset, users) if config.feature_dim else {})
        )
        self.item_inputs = _tensors(
            {"item_index": np.where(has_edges[len(users) :], items, np.minimum(items, UNKNOWN_INDEX))}
            | (item_content(dataset, items, ITEM_CONTENT) if config.feature_dim else {})
        )
        self.along_edges = self.travel(self.matrix)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Logits of the batch's users over its candidates, float32. Shape (batch, candidates)."""
        nodes = self.nodes(training)
        users = ops.take(nodes, inputs["users"], axis=0)
        candidates = ops.take(nodes, self.num_users + inputs["candidates"], axis=0)
        return shared_logits(users, candidates, inputs["log_inclusion"])

    def nodes(self, training: bool) -> Any:
        """The vectors of all users, then of all items. Shape (num_users + num_items, embedding_dim)."""
        return self.along_edges(self._own_vectors(training), training)

    def users_without(self, user_indices: np.ndarray, without: np.ndarray) -> Any:
        """The vectors of users who had never met one item each, while everybody and everything else stays as it is.

        For each row a node joins the graph that has the edges of its user, but not the one to that item, and that no
        other node sees.

        Args:
            user_indices: shape (num_rows,).
            without: item indices; 0 for none. Shape (num_rows,).

        Returns:
            Shape (num_rows, embedding_dim), float32.
        """
        num_rows, num_nodes = len(user_indices), self.matrix.shape[0]
        looks = self.matrix[user_indices]
        row_of_edge = np.repeat(np.arange(num_rows), np.diff(looks.indptr))
        looks.data = np.where(looks.indices == (self.num_users + without)[row_of_edge], 0, looks.data)
        looks.eliminate_zeros()
        whole = sparse.vstack([self.matrix, looks], format="csr")
        whole.resize(num_nodes + num_rows, num_nodes + num_rows)
        own = self._own_vectors(training=False)
        nodes = ops.concatenate([own, ops.take(own, user_indices, axis=0)], axis=0)
        return self.travel(whole)(nodes, False)[num_nodes:]

    def travel(self, matrix: sparse.csr_matrix) -> Callable[[Any, bool], Any]:
        """Returns the propagation along a graph: a function of all nodes' own vectors, and of whether it trains.

        Args:
            matrix: weights of the edges, float32. Shape (num_nodes, num_nodes). The vectors have the shape
                (num_nodes, embedding_dim), float32.
        """
        if self.attention is None:
            mean_of_layers = MeanOfLayers(matrix, self.num_layers)
            return lambda nodes, training: mean_of_layers(ops.cast(nodes, "float32"))
        edges, attention = _tensors(edge_arrays(matrix)), self.attention
        return lambda nodes, training: attention({"nodes": nodes, **edges}, training=training)

    def _own_vectors(self, training: bool) -> Any:
        users = self._towered(self.user_tower, self.user_inputs, "user_index", training)
        items = self._towered(self.item_tower, self.item_inputs, "item_index", training)
        return ops.concatenate([users, items], axis=0)

    def _towered(self, tower: keras.Model, inputs: dict[str, Any], own: str, training: bool) -> Any:
        if training and self.node_dropout:
            is_dropped = keras.random.uniform(inputs[own].shape, seed=self.random) < self.node_dropout
            inputs = {**inputs, own: ops.where(is_dropped, ops.minimum(inputs[own], UNKNOWN_INDEX), inputs[own])}
        return tower(select_inputs(tower, inputs), training=training)


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Tensors, so that the arrays are moved to the device once and not with every batch."""
    return {
        name: ops.convert_to_tensor(values, dtype="int32" if values.dtype.kind == "i" else "float32")
        for name, values in arrays.items()
    }


def edge_arrays(matrix: sparse.csr_matrix) -> dict[str, np.ndarray]:
    """The edges of the graph as the attention reads them, with an edge of each node to itself.

    Args:
        matrix: weights of the edges. Shape (num_nodes, num_nodes).

    Returns:
        `sources`, `targets` and `log_weights` (float32), each of shape (num_edges + num_nodes,).
    """
    edges = (matrix + sparse.eye(matrix.shape[0], format="csr", dtype=np.float32)).tocoo()
    return {"sources": edges.col, "targets": edges.row, "log_weights": np.log(edges.data).astype(np.float32)}
