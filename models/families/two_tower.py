"""Two towers: one network reads a user, another an item, and their vectors' dot product is the score.

Deep collaborative filtering for retrieval: item vectors are computed once for the whole catalogue. The user tower reads
the pooled embeddings of the history (all of it, and mostly the latest), so that a new purchase moves the vector without
a new fit; a user without history still gets a vector from the features. The training task (`objective`) is to predict
at past moments what each user wanted in the days that followed, or, where order says nothing, what a user wants of whom
half is hidden. The loss is a softmax over the batch's shared candidates, of dot products or of cosines.

Sources: Covington et al., "Deep Neural Networks for YouTube Recommendations", RecSys 2016 (pooled history, softmax);
Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", RecSys 2019, eq. 5 (logQ);
Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, eq. 2 (all items of a user at once, some
of them hidden from the input); Wu et al., "On the Effectiveness of Sampled Softmax Loss for Item Recommendation",
TOIS 2023 (cosines over a temperature).
What differs: an example is a user at a cut with all that was wanted in the window after it, not one event; an embedding
of a user or an item also reaches the vector past the hidden layer, which tells repeats from the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import keras
import numpy as np
from pydantic import Field

from expectations.shop.bounds import AtLeastOne, Bounded, NotNegative, ShareBelowOne
from models.batches.retrieval_batches import HiddenBatches, WindowBatches
from models.data.dataset import Dataset
from models.data.mmap_arrays import disk_array
from models.data.snapshot import Snapshot
from models.data.tower_inputs import NUM_PRICE_BUCKETS, item_arrays, item_inputs, mask_item, user_arrays, user_inputs
from models.families.shared_softmax import SharedSoftmaxModel
from models.interface.model import Vectors
from models.nn.layers import MeanEmbedding
from models.nn.network_fitting import (
    predict_arrays,
    select_inputs,
    shared_logits,
)
from models.nn.training_setup import Precision

USERS_AT_ONCE = 4096
"""Users whose vectors are computed together: bounds memory."""


@dataclass(frozen=True)
class TwoTowerConfig(Bounded):
    """See models/configs/two_tower.toml."""

    objective: Literal["next_window", "hidden_items"] = field(metadata={"old_names": ("asks",)})
    hidden_share: ShareBelowOne
    similarity: Literal["dot", "cosine"]
    temperature: Annotated[float, Field(ge=1e-3), "must be at least 0.001"]
    user_weight_exponent: NotNegative = field(metadata={"old_names": ("breadth_exponent",)})
    embedding_dim: AtLeastOne
    hidden_dim: int
    feature_dim: int
    max_length: AtLeastOne
    max_windows: AtLeastOne
    num_candidates: int
    dropout: ShareBelowOne
    learning_rate: float
    weight_decay: float
    batch_size: AtLeastOne
    epochs: AtLeastOne
    warm_epochs: AtLeastOne
    precision: Precision
    data_parallel: bool


class TwoTower(SharedSoftmaxModel[TwoTowerConfig]):
    """See the module's docstring."""

    name = "two_tower"
    config_class = TwoTowerConfig
    network_names = ("user_tower", "item_tower")

    def build_batches(self, dataset: Dataset) -> WindowBatches | HiddenBatches:
        """Returns the batches of the config's `objective`."""
        config = self.config
        size, candidates, length = config.batch_size, config.num_candidates, config.max_length
        if config.objective == "next_window":
            return WindowBatches(dataset, config.max_windows, size, candidates, length)
        return HiddenBatches(dataset, config.hidden_share, size, candidates, length, config.user_weight_exponent)

    def build_networks(self, dataset: Dataset) -> dict[str, keras.Model]:
        """Builds the user tower and the item tower."""
        return build_networks(dataset.sizes, self.config)

    def build_training_network(self, dataset: Dataset) -> SharedSoftmax:
        """Returns the network that computes the logits of a batch."""
        return SharedSoftmax(self.network("user_tower"), self.network("item_tower"))

    def no_examples(self, dataset: Dataset) -> str:
        """Says that no window holds a target."""
        return f"no user wanted a known item in the last windows of {dataset.horizon_days} days"

    def retrieval(self, dataset: Dataset) -> Vectors:
        """Vectors of all users and items, of `embedding_dim` places, float32.

        Raises:
            NightError: the model was never fitted.
        """
        items = np.arange(dataset.num_items)
        return Vectors(self._user_vectors(dataset, np.arange(dataset.num_users)), self._item_vectors(dataset, items))

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        """Dot products of these users with the whole catalogue. Shape (len(user_indices), num_items), float32."""
        return self._user_vectors(dataset, user_indices) @ self._item_vectors(dataset, np.arange(dataset.num_items)).T

    def logits(
        self, dataset: Dataset, user_indices: np.ndarray, item_indices: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        items, rows = np.unique(item_indices, return_inverse=True)
        item_vectors = self._item_vectors(dataset, items)[rows.reshape(item_indices.shape)]
        return np.einsum("ud,ukd->uk", self._user_vectors(dataset, user_indices, without), item_vectors)

    def _user_vectors(
        self, dataset: Dataset, user_indices: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        tower, snapshot = self.network("user_tower"), Snapshot(dataset, dataset.end)
        vectors = disk_array((len(user_indices), self.config.embedding_dim), np.float32)
        for start in range(0, len(user_indices), USERS_AT_ONCE):
            part = slice(start, start + USERS_AT_ONCE)
            visible = None if without is None else mask_item(without[part])
            arrays = user_arrays(snapshot, user_indices[part], self.config.max_length, visible)
            vectors[part] = predict_arrays(tower, arrays)
        return vectors

    def _item_vectors(self, dataset: Dataset, item_indices: np.ndarray) -> np.ndarray:
        tower = self.network("item_tower")
        return predict_arrays(tower, item_arrays(Snapshot(dataset, dataset.end), item_indices))


def build_networks(sizes: dict[str, int], config: TwoTowerConfig) -> dict[str, keras.Model]:
    """Builds the user tower and the item tower, which share the embedding of items.

    Args:
        sizes: vocabulary field -> number of indices.
        config: lengths of the vectors, and their similarity.
    """
    item_embedding = keras.layers.Embedding(sizes["item_id"], config.embedding_dim, name="item_embedding")
    return {
        "user_tower": _user_tower(sizes, config, item_embedding),
        "item_tower": _item_tower(sizes, config, item_embedding),
    }


def _user_tower(sizes: dict[str, int], config: TwoTowerConfig, item_embedding: keras.layers.Embedding) -> keras.Model:
    inputs = user_inputs(config.max_length)
    embed = _embedder(sizes, config.feature_dim)
    history = item_embedding(inputs["history"])  # (batch, length, dim)
    pooled = keras.layers.Dot(axes=1)([inputs["history_weights"], history])  # (batch, pools, dim)
    pooled = keras.layers.Flatten()(pooled)
    features = keras.layers.Concatenate()(
        [
            pooled,
            keras.layers.Dropout(0.5)(embed("user_id", inputs["user_index"])),
            embed("age_bucket", inputs["age_bucket"]),
            embed("gender", inputs["gender"]),
            embed("country", inputs["country"]),
            MeanEmbedding(sizes.get("interest", 2), config.feature_dim)(inputs["interests"]),
            inputs["user_state"],
        ]
    )
    hidden = keras.layers.Dense(config.hidden_dim, activation="relu")(keras.layers.Dropout(config.dropout)(features))
    hidden = keras.layers.Dropout(config.dropout)(hidden)
    vector = keras.layers.Dense(config.embedding_dim)(hidden) + keras.layers.Dense(config.embedding_dim)(pooled)
    return keras.Model(inputs, _compared(vector, config), name="user_tower")


def _item_tower(sizes: dict[str, int], config: TwoTowerConfig, item_embedding: keras.layers.Embedding) -> keras.Model:
    inputs = item_inputs()
    embed = _embedder(sizes, config.feature_dim)
    own = item_embedding(inputs["item_index"])  # (batch, dim)
    features = keras.layers.Concatenate()(
        [
            own,
            MeanEmbedding(sizes.get("category", 2), config.feature_dim)(inputs["categories"]),
            MeanEmbedding(sizes.get("token", 2), config.embedding_dim)(inputs["tokens"]),
            embed("brand", inputs["brand"]),
            embed("domain", inputs["domain"]),
            keras.layers.Embedding(NUM_PRICE_BUCKETS, config.feature_dim)(inputs["price_bucket"]),
            inputs["item_state"],
        ]
    )
    hidden = keras.layers.Dense(config.hidden_dim, activation="relu")(features)
    vector = keras.layers.Dense(config.embedding_dim)(hidden) + own
    return keras.Model(inputs, _compared(vector, config), name="item_tower")


def _compared(vector: Any, config: TwoTowerConfig) -> Any:
    """The vector of which the softmax reads dot products: as it is, or scaled to a unit vector over the temperature."""
    if config.similarity == "dot":
        return vector
    return keras.layers.Rescaling(config.temperature**-0.5)(keras.layers.UnitNormalization()(vector))


def _embedder(sizes: dict[str, int], dim: int) -> Any:
    """A function that embeds an index of a vocabulary field."""
    return lambda field, indices: keras.layers.Embedding(sizes.get(field, 2), dim)(indices)


class SharedSoftmax(keras.Model):
    """Logits of a batch of users over the candidates that they share, corrected by logQ. Used in training only."""

    def __init__(self, user_tower: keras.Model, item_tower: keras.Model) -> None:
        # What the logits are corrected by is no quantity for 16 bits.
        super().__init__(autocast=False)
        self.user_tower, self.item_tower = user_tower, item_tower

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Logits of the batch's users over its candidates, float32. Shape (batch, candidates)."""
        users = self.user_tower(select_inputs(self.user_tower, inputs), training=training)
        items = self.item_tower(select_inputs(self.item_tower, inputs), training=training)
        return shared_logits(users, items, inputs["log_inclusion"])
