"""Across departments: what a buyer of one would like in another, learnt by hiding a whole department of a history.

A user's vector is the sum of what each met item adds to it, one step along the graph of users and items, and of what is
learnt of the time at which it was met. An item's vector ends in its bias, which starts from the item's demand. Both
read category, brand and price bucket beside the item's own embedding. The sum is linear, so that each item of a history
has its exact part in a score; see `Vectors.history`. The training task is to predict the department that was hidden
from a history, and items that were hidden at random.

Sources: Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, eq. 2 (all items of a user at
once, some hidden from the input); Wang et al., "Neural Graph Collaborative Filtering", SIGIR 2019, eq. 3 (1/sqrt of the
degree along an edge); Yi et al., RecSys 2019, eq. 5 (logQ).
What differs: a whole department is hidden; there is no hidden layer, which gained nothing here; items have features;
the times of a history are spread over the time buckets around them, since what sells changes slowly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from expectations.shop.bounds import (
    AtLeastOne,
    Bounded,
    NotNegative,
    NotNegativeInt,
    OneOrMore,
    PositiveAmount,
    Share,
    ShareBelowOne,
)
from models.batches.masked_domain_batches import CONTENT, DomainBatches, HistoryReading, history_matrices
from models.data.dataset import Dataset
from models.data.mmap_arrays import disk_array
from models.data.tower_inputs import NUM_PRICE_BUCKETS, item_content, item_content_inputs
from models.families.shared_softmax import SharedSoftmaxModel
from models.interface.model import Vectors
from models.nn.layers import MeanEmbedding
from models.nn.network_fitting import (
    predict_arrays,
    select_inputs,
    shared_logits,
)
from models.nn.training_setup import Precision

AT_ONCE = 4096
"""Users, or items, of which vectors are computed together."""


@dataclass(frozen=True)
class CrossDomainConfig(Bounded):
    """See models/configs/cross_domain.toml."""

    embedding_dim: AtLeastOne
    feature_dim: NotNegativeInt
    bucket_days: OneOrMore = field(metadata={"old_names": ("era_days",)})
    num_time_buckets: AtLeastOne = field(metadata={"old_names": ("num_eras",)})
    bucket_smoothing_days: NotNegative = field(metadata={"old_names": ("era_spread_days",)})
    max_length: AtLeastOne
    hidden_share: ShareBelowOne
    random_mask_share: Share = field(metadata={"old_names": ("chance_share",)})
    user_weight_exponent: NotNegative = field(metadata={"old_names": ("breadth_exponent",)})
    demand_smoothing: PositiveAmount
    num_candidates: AtLeastOne
    item_dropout: ShareBelowOne
    dropout: ShareBelowOne
    learning_rate: float
    final_rate: Share
    weight_decay: float
    batch_size: AtLeastOne
    min_steps: AtLeastOne
    epochs: AtLeastOne
    warm_epochs: AtLeastOne
    precision: Precision
    data_parallel: bool

    @property
    def reading(self) -> HistoryReading:
        """How a user's interactions become weights."""
        return HistoryReading(self.bucket_days, self.num_time_buckets, self.bucket_smoothing_days)


class CrossDomain(SharedSoftmaxModel[CrossDomainConfig]):
    """See the module's docstring."""

    name = "cross_domain"
    config_class = CrossDomainConfig
    network_names = ("history_tower", "time_tower", "item_tower")

    @property
    def final_rate(self) -> float:
        """See `SharedSoftmaxModel.final_rate`."""
        return self.config.final_rate

    def build_batches(self, dataset: Dataset) -> DomainBatches:
        """Returns the batches that the config asks for."""
        config = self.config
        return DomainBatches(
            dataset,
            config.reading,
            config.hidden_share,
            config.random_mask_share,
            config.batch_size,
            config.min_steps,
            config.num_candidates,
            config.max_length,
            config.user_weight_exponent,
        )

    def build_networks(self, dataset: Dataset) -> dict[str, keras.Model]:
        """Builds the networks of `network_names`."""
        return build_networks(dataset.sizes, self.config)

    def build_training_network(self, dataset: Dataset) -> HiddenDomain:
        """Returns the network that computes the logits of a batch."""
        return HiddenDomain(self.networks, dataset, self.config)

    def no_examples(self, dataset: Dataset) -> str:
        """Says that there is nothing to hide."""
        return "nobody met several items and wanted one of them"

    def retrieval(self, dataset: Dataset) -> Vectors:
        """Vectors of all users and items, and what each item adds to a user's. Float32, of embedding_dim + 1 places.

        Raises:
            NightError: the model was never fitted.
        """
        history = self._history_vectors(dataset)
        users = self._user_vectors(dataset, np.arange(dataset.num_users), history)
        return Vectors(users, self._item_vectors(dataset), history)

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        """Dot products of these users with the whole catalogue. Shape (len(user_indices), num_items), float32."""
        users = self._user_vectors(dataset, user_indices, self._history_vectors(dataset))
        return users @ self._item_vectors(dataset).T

    def _user_vectors(self, dataset: Dataset, user_indices: np.ndarray, history: np.ndarray) -> np.ndarray:
        """The users' vectors; a last 1 meets the items' biases. Shape (len(user_indices), embedding_dim + 1)."""
        one_bucket_each = np.eye(self.config.num_time_buckets, dtype=np.float32)
        by_bucket = predict_arrays(self.network("time_tower"), {"times": one_bucket_each})
        vectors = disk_array((len(user_indices), history.shape[1]), np.float32)
        for start in range(0, len(user_indices), AT_ONCE):
            block = slice(start, start + AT_ONCE)
            strengths, times = history_matrices(dataset, self.config.reading, user_indices[block])
            vectors[block] = strengths @ history
            vectors[block, :-1] += times @ by_bucket
        vectors[:, -1] = 1
        return vectors

    def _history_vectors(self, dataset: Dataset) -> np.ndarray:
        """What a met item adds to a user's vector, by its strength. Shape (num_items, embedding_dim + 1); ends in 0."""
        tower, vectors = self.network("history_tower"), []
        for block in _blocks(dataset.num_items):
            inputs = {"history": block, **_prefixed(item_content(dataset, block, CONTENT))}
            vectors.append(predict_arrays(tower, {name: values[None] for name, values in inputs.items()})[0])
        return np.pad(np.concatenate(vectors), ((0, 0), (0, 1)))

    def _item_vectors(self, dataset: Dataset) -> np.ndarray:
        tower, log_demand = self.network("item_tower"), log_demand_of(dataset, self.config.demand_smoothing)
        blocks = _blocks(dataset.num_items)
        return np.concatenate([predict_arrays(tower, _item_arrays(dataset, block, log_demand)) for block in blocks])


def build_networks(sizes: dict[str, int], config: CrossDomainConfig) -> dict[str, keras.Model]:
    """Builds the networks that hold the weights of `CrossDomain`.

    Args:
        sizes: vocabulary field -> number of indices.
        config: lengths of the vectors.
    """
    times = keras.Input((config.num_time_buckets,), name="times")
    of_times = keras.layers.Dense(config.embedding_dim, use_bias=False, kernel_initializer=_normal(0.05))(times)
    return {
        "history_tower": _history_tower(sizes, config),
        "time_tower": keras.Model({"times": times}, of_times, name="time_tower"),
        "item_tower": _item_tower(sizes, config),
    }


def _history_tower(sizes: dict[str, int], config: CrossDomainConfig) -> keras.Model:
    """From items to what each adds to the vector of who met it. Shapes (batch, length) and (batch, length, dim)."""
    own = keras.Input((None,), dtype="int32", name="history")
    shapes = {name: values.shape[1:] for name, values in item_content_inputs(CONTENT, (None,)).items()}
    content = {
        f"history_{name}": keras.Input(shape, dtype="int32", name=f"history_{name}") for name, shape in shapes.items()
    }
    inputs = {"history": own, **content}
    vector = keras.layers.Embedding(sizes["item_id"], config.embedding_dim, _normal(0.05))(own)
    vector = _with_features(vector, {name: inputs[f"history_{name}"] for name in CONTENT}, sizes, config)
    return keras.Model(inputs, vector, name="history_tower")


def _item_tower(sizes: dict[str, int], config: CrossDomainConfig) -> keras.Model:
    """From an item to its vector, its bias the last place. Shape (batch, embedding_dim + 1)."""
    own = keras.Input((), dtype="int32", name="candidates")
    log_demand = keras.Input((1,), name="log_demand")
    content = item_content_inputs(CONTENT)
    vector = keras.layers.Embedding(sizes["item_id"], config.embedding_dim, _normal(0.02))(own)
    vector = _with_features(vector, content, sizes, config)
    bias = keras.layers.Embedding(sizes["item_id"], 1, "zeros")(own) + log_demand
    inputs = {"candidates": own, "log_demand": log_demand, **content}
    return keras.Model(inputs, keras.layers.Concatenate()([vector, bias]), name="item_tower")


def _with_features(own: Any, content: Mapping[str, Any], sizes: dict[str, int], config: CrossDomainConfig) -> Any:
    dim = config.feature_dim
    if not dim:
        return own
    features = [
        MeanEmbedding(sizes.get("category", 2), dim)(content["categories"]),
        keras.layers.Embedding(sizes.get("brand", 2), dim)(content["brand"]),
        keras.layers.Embedding(sizes.get("domain", 2), dim)(content["domain"]),
        keras.layers.Embedding(NUM_PRICE_BUCKETS, dim)(content["price_bucket"]),
    ]
    return own + keras.layers.Dense(config.embedding_dim, use_bias=False)(keras.layers.Concatenate()(features))


class HiddenDomain(keras.Model):
    """Logits of a batch of users over the candidates that they share, corrected by logQ. Used in training only."""

    def __init__(self, networks: dict[str, keras.Model], dataset: Dataset, config: CrossDomainConfig) -> None:
        # What the logits are corrected by is no quantity for 16 bits.
        super().__init__(autocast=False)
        self.history_tower, self.time_tower = networks["history_tower"], networks["time_tower"]
        self.item_tower = networks["item_tower"]
        self.forgets_items = keras.layers.Dropout(config.item_dropout, noise_shape=(None, None, 1))
        self.forgets = keras.layers.Dropout(config.dropout)
        log_demand = log_demand_of(dataset, config.demand_smoothing)
        content = _item_arrays(dataset, np.arange(dataset.num_items), log_demand)
        self.content = {name: ops.convert_to_tensor(values) for name, values in content.items()}

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Logits of the batch's users over its candidates, float32. Shape (batch, candidates)."""
        items = self.history_tower(select_inputs(self.history_tower, inputs), training=training)  # (batch, length, dim)
        strengths = inputs["strengths"][:, None]  # (batch, 1, length)
        of_items = ops.matmul(strengths, self.forgets_items(items, training=training))[:, 0]  # (batch, dim)
        # Not with a plus: under 16 bits, what the strengths weigh is of 32.
        users = ops.add(of_items, self.time_tower({"times": inputs["times"]}))
        users = self.forgets(users, training=training)
        users = ops.concatenate([users, ops.ones_like(users[:, :1])], axis=1)
        asked = {name: ops.take(values, inputs["candidates"], axis=0) for name, values in self.content.items()}
        candidates = self.item_tower(select_inputs(self.item_tower, asked), training=training)
        return shared_logits(users, candidates, inputs["log_inclusion"])


def log_demand_of(dataset: Dataset, smoothing: float) -> np.ndarray:
    """The logarithm of the number of users who wanted each item. Shape (num_items,), float32."""
    pairs = dataset.interactions
    counts = np.bincount(pairs.item_index[pairs.demand > 0], minlength=dataset.num_items)
    return np.log(counts + smoothing).astype(np.float32)


def _item_arrays(dataset: Dataset, items: np.ndarray, log_demand: np.ndarray) -> dict[str, np.ndarray]:
    own = {"candidates": items.astype(np.int32), "log_demand": log_demand[items][:, None]}
    return {**own, **item_content(dataset, items, CONTENT)}


def _blocks(count: int) -> list[np.ndarray]:
    return np.split(np.arange(count), range(AT_ONCE, count, AT_ONCE))


def _prefixed(content: Mapping[str, Any]) -> dict[str, Any]:
    return {f"history_{name}": values for name, values in content.items()}


def _normal(stddev: float) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=stddev)
