"""Deep collaborative filtering: a network reads a user and an item together, and predicts how likely the user wants it.

Embeddings of user and item features are concatenated and pass through Dense 256 and Dense 128 with dropout to one
logit; the loss is the binary cross-entropy against drawn negatives. The model ranks: it scores the candidates of the
retrieval models, not the whole catalogue. The number of epochs is found on the latest window, held out by time; then
the network is fitted on all windows.

Sources: He et al., "Neural Collaborative Filtering", WWW 2017, eq. 7 and 10 (MLP and element-wise product); Covington
et al., "Deep Neural Networks for YouTube Recommendations", RecSys 2016, section 4 (ranking on histories and time).
What differs: the loss is corrected for the rate at which pairs are drawn; the first layer is written as the sum of a
user half and an item half, which is the same function and reads a user once for all of a row's items; features of
the pair (repeats, their age, the fit with the history) join the item half; several networks answer together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import keras
import numpy as np
from pydantic import Field
from scipy.special import expit

from expectations.shop.bounds import AtLeastOne, Bounded, ShareBelowOne, one_of
from models.batches.ranking_batches import RankingBatches, SamplingConfig, WindowRows, ranking_arrays
from models.data.dataset import Dataset
from models.data.item_similarity import SimilarityConfig
from models.data.pair_features import PAIR_DIM, PairFeatures
from models.data.snapshot import Snapshot, training_windows
from models.data.tower_inputs import NUM_PRICE_BUCKETS, item_inputs, user_inputs
from models.interface.model import TrainingHistory, load_saved_config
from models.nn.layers import MeanEmbedding
from models.nn.network_fitting import (
    compile_with,
    load_network,
    predict_arrays,
    require_examples,
    require_fitted,
    save_networks,
)
from models.nn.training_setup import Precision, guarded_fit, prepare_training
from models.nn.warm_start import take_over

LOSSES = {"binary_crossentropy": keras.losses.BinaryCrossentropy, "squared_error": keras.losses.MeanSquaredError}


@dataclass(frozen=True)
class DeepCfConfig(Bounded):
    """See models/configs/deep_cf.toml.

    Attributes:
        num_members: networks that start from different weights, see the same batches, and answer together.
        epochs: epochs at most; fewer when `patience` epochs brought no gain on the held-out window.
    """

    num_members: AtLeastOne
    embedding_dim: AtLeastOne
    feature_dim: int
    hidden_units: Annotated[tuple[int, ...], Field(min_length=1), "must name at least one layer"]
    max_length: AtLeastOne
    max_windows: AtLeastOne
    dropout: ShareBelowOne
    loss: Annotated[str, one_of(*LOSSES), "must be one of binary_crossentropy, squared_error"]
    learning_rate: float
    batch_size: AtLeastOne
    epochs: AtLeastOne
    patience: AtLeastOne
    warm_epochs: AtLeastOne
    precision: Precision
    data_parallel: bool
    sampling: SamplingConfig
    neighbours: SimilarityConfig


class DeepCf:
    """See the module's docstring."""

    name = "deep_cf"
    kind = "deep"
    role = "ranking"

    def __init__(self, config: DeepCfConfig) -> None:
        self.config = config
        self.network: keras.Model | None = None
        self._asked: tuple[Dataset, PairFeatures] | None = None

    def fit(self, dataset: Dataset) -> TrainingHistory:
        """Finds the number of epochs on the latest window, then trains on all windows.

        Raises:
            NightError: there is nothing to learn from.
            TrainingFailed: a loss is not finite, or memory does not suffice.
        """
        windows = self._windows(dataset)
        curves, epochs = self._search_epochs(dataset, windows)
        curves["loss"] = self._train(dataset, windows, epochs)["loss"]
        return TrainingHistory(curves, {"examples": float(sum(len(window.users) for window in windows))})

    def refit(self, dataset: Dataset, before: Self) -> TrainingHistory:
        """Trains for `warm_epochs` from the weights of `before`; see `models.interface.model.WarmModel`.

        Raises:
            NightError: there is nothing to learn from, or `before` was never fitted or is of another config.
            TrainingFailed: a loss is not finite, or memory does not suffice.
        """
        windows, network = self._windows(dataset), require_fitted(self.name, before.network)
        curves = self._train(dataset, windows, self.config.warm_epochs, before=network)
        return TrainingHistory(curves, {"examples": float(sum(len(window.users) for window in windows))})

    def carry_over(self, dataset: Dataset, before: Self) -> None:
        """Takes the weights of `before` as they are; see `models.interface.model.WarmModel`.

        Raises:
            NightError: `before` was never fitted or is of another config.
        """
        self._new_network(dataset, require_fitted(self.name, before.network))

    def _new_network(self, dataset: Dataset, before: keras.Model | None) -> keras.Model:
        """Replaces the network by a new one, with the weights of `before` if there is one."""
        prepare_training(dataset.seed, self.config.precision, self.config.data_parallel)
        self.network = build_network(dataset.sizes, self.config)
        if before is not None:
            take_over(self.name, {"network": self.network}, {"network": before})
        return self.network

    def _windows(self, dataset: Dataset) -> list[WindowRows]:
        config = self.config
        windows = [
            WindowRows(dataset, window, config.sampling, config.neighbours)
            for window in training_windows(dataset, config.max_windows)
        ]
        num_examples = sum(len(window.users) for window in windows)
        reason = f"no user wanted a known item in the last windows of {dataset.horizon_days} days"
        require_examples(self.name, dataset.as_of, num_examples, reason)
        return windows

    def _search_epochs(self, dataset: Dataset, windows: list[WindowRows]) -> tuple[dict[str, list[float]], int]:
        """The loss curves and the best number of epochs on a window that was not trained on.

        Half of `epochs` where there is no such window.
        """
        held_out, earlier = windows[0], windows[1:]
        if not len(held_out.users) or not any(len(window.users) for window in earlier):
            return {}, max(1, self.config.epochs // 2)
        history = self._train(dataset, earlier, self.config.epochs, held_out=held_out)
        curves = {"earlier_windows_loss": history["loss"], "held_out_window_loss": history["val_loss"]}
        return curves, int(np.argmin(history["val_loss"])) + 1

    def _train(
        self,
        dataset: Dataset,
        windows: list[WindowRows],
        epochs: int,
        *,
        held_out: WindowRows | None = None,
        before: keras.Model | None = None,
    ) -> dict[str, list[float]]:
        """Trains a new network, which can go on from the weights of another. Returns the curves."""
        config = self.config
        training = _corrected_for_drawing(self._new_network(dataset, before))
        compile_with(keras.optimizers.Adam(config.learning_rate), training, LOSSES[config.loss]())
        shape = {"max_length": config.max_length, "num_members": config.num_members, "seed": dataset.seed}
        rows = RankingBatches(windows, config.batch_size, **shape, is_fixed=False)
        checks: dict[str, Any] = {"callbacks": []}
        if held_out is not None:
            checks["validation_data"] = RankingBatches([held_out], rows.batch_size, **shape, is_fixed=True)
            checks["callbacks"].append(keras.callbacks.EarlyStopping("val_loss", patience=config.patience))
        with guarded_fit(self.name, training, epochs, config.batch_size) as guard:
            checks["callbacks"].append(guard)
            history = training.fit(rows, epochs=epochs, shuffle=False, verbose=0, **checks).history
        return {name: [float(value) for value in values] for name, values in history.items()}

    def retrieval(self, dataset: Dataset) -> None:
        """Returns None: the model ranks what others retrieve."""

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        """The probabilities of `pair_scores` for the whole catalogue. Shape (len(user_indices), num_items), float32."""
        items = np.tile(np.arange(dataset.num_items), (len(user_indices), 1))
        return self.pair_scores(dataset, user_indices, items)

    def pair_scores(self, dataset: Dataset, user_indices: np.ndarray, item_indices: np.ndarray) -> np.ndarray:
        """How likely each user wants each item of their row in the next `horizon_days`, if the user comes at all.

        Args:
            user_indices: shape (num_rows,).
            item_indices: shape (num_rows, any length).

        Returns:
            Probabilities, of the members' mean log-odds. Shape of `item_indices`, float32.

        Raises:
            NightError: the model was never fitted.
        """
        return np.asarray(expit(self.logits(dataset, user_indices, item_indices)))

    def logits(
        self, dataset: Dataset, user_indices: np.ndarray, item_indices: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        """The members' mean log-odds; see `models.families.attribution.Explainable`.

        Args:
            user_indices: shape (num_rows,).
            item_indices: shape (num_rows, any length).
            without: an item for each row that its user is taken never to have met; 0 for none. Shape (num_rows,).

        Returns:
            Shape of `item_indices`, float32.

        Raises:
            NightError: the model was never fitted.
        """
        network = require_fitted(self.name, self.network)
        if self._asked is None or self._asked[0] is not dataset:
            self._asked = dataset, PairFeatures(Snapshot(dataset, dataset.end), self.config.neighbours)
        rows_at_once = max(1, 65_536 // item_indices.shape[1])
        logits = []
        for start in range(0, len(user_indices), rows_at_once):
            part = slice(start, start + rows_at_once)
            arrays = ranking_arrays(
                self._asked[1],
                user_indices[part],
                item_indices[part],
                self.config.max_length,
                None if without is None else without[part],
            )
            logits.append(predict_arrays(network, arrays).mean(axis=-1))
        return np.concatenate(logits)

    def save(self, path: Path) -> None:
        """Writes the config and the network into the folder `path`.

        Raises:
            NightError: the model was never fitted; nothing is written.
        """
        save_networks(path, self.name, self.config, {"network": self.network})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        model = cls(load_saved_config(DeepCfConfig, path))
        model.network = load_network(path, "network")
        return model


def build_network(sizes: dict[str, int], config: DeepCfConfig) -> keras.Model:
    """Builds a network from users (batch) and rows of items (batch, row) to logits, one a member.

    Its output has the shape (batch, row, num_members), float32.

    Args:
        sizes: vocabulary field -> number of indices.
        config: sizes of the layers.
    """
    inputs = {
        **user_inputs(config.max_length),
        **item_inputs((None,)),
        "pair": keras.Input((None, PAIR_DIM), name="pair"),
    }
    members = [_member(inputs, sizes, config) for _ in range(config.num_members)]
    logits = keras.layers.Concatenate(dtype="float32")(members) if len(members) > 1 else members[0]
    return keras.Model(inputs, logits, name="deep_cf")


def _member(inputs: dict[str, Any], sizes: dict[str, int], config: DeepCfConfig) -> Any:
    item_embedding = keras.layers.Embedding(sizes["item_id"], config.embedding_dim)
    history = item_embedding(inputs["history"])  # (batch, length, dim)
    pooled = keras.layers.Dot(axes=1)([inputs["history_weights"], history])  # (batch, pools, dim)
    user = _user_features(inputs, sizes, config, keras.layers.Flatten()(pooled))  # (batch, user features)
    own = item_embedding(inputs["item_index"])  # (batch, row, dim)
    taste = keras.layers.Dense(config.embedding_dim)(keras.layers.Flatten()(pooled))
    product = own * keras.layers.Reshape((1, config.embedding_dim))(taste)  # (batch, row, dim)
    item = _item_features(inputs, sizes, config, [own, product, inputs["pair"]])  # (batch, row, item features)
    first, *others = config.hidden_units
    user_half = keras.layers.Reshape((1, first))(keras.layers.Dense(first)(user))
    item_half = keras.layers.Dense(first, use_bias=False)(item)
    hidden = keras.layers.Activation("relu")(user_half + item_half)  # (batch, row, first)
    for units in others:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    return keras.layers.Dense(1, dtype="float32")(keras.layers.Dropout(config.dropout)(hidden))


def _user_features(inputs: dict[str, Any], sizes: dict[str, int], config: DeepCfConfig, pooled: Any) -> Any:
    def embed(field: str, name: str) -> Any:
        return keras.layers.Embedding(sizes.get(field, 2), config.feature_dim)(inputs[name])

    return keras.layers.Concatenate()(
        [
            pooled,
            # Half of the time the network must do without the id, as it has to for a new user.
            keras.layers.Dropout(0.5)(embed("user_id", "user_index")),
            embed("age_bucket", "age_bucket"),
            embed("gender", "gender"),
            embed("country", "country"),
            MeanEmbedding(sizes.get("interest", 2), config.feature_dim)(inputs["interests"]),
            inputs["user_state"],
        ]
    )


def _item_features(inputs: dict[str, Any], sizes: dict[str, int], config: DeepCfConfig, more: list[Any]) -> Any:
    def embed(size: int, name: str) -> Any:
        return keras.layers.Embedding(size, config.feature_dim)(inputs[name])

    return keras.layers.Concatenate()(
        [
            MeanEmbedding(sizes.get("category", 2), config.feature_dim)(inputs["categories"]),
            MeanEmbedding(sizes.get("token", 2), config.feature_dim)(inputs["tokens"]),
            embed(sizes.get("brand", 2), "brand"),
            embed(sizes.get("domain", 2), "domain"),
            embed(NUM_PRICE_BUCKETS, "price_bucket"),
            inputs["item_state"],
            *more,
        ]
    )


def _corrected_for_drawing(network: keras.Model) -> keras.Model:
    """The network as it is trained: its log-odds plus the log-rate of drawing, as a probability of the label."""
    log_rate = keras.Input((None,), name="log_rate")
    inputs = {x.name: x for x in network.inputs}
    logits = network(inputs) + keras.layers.Reshape((-1, 1), dtype="float32")(log_rate)
    return keras.Model({**inputs, "log_rate": log_rate}, keras.layers.Activation("sigmoid", dtype="float32")(logits))
