"""What the models that tell the next event have in common: how they are trained, asked and kept.

An item tower makes each item's vector, the same for what is read and for what is predicted; an encoder reads the
vectors of what a user met, in order, and at every place says what follows. A family brings the item tower: see
`models.families.sequence` (an item's own embedding and its features) and `models.families.content` (what the catalogue
says alone).

Beside all that goes a plain memory: the titles of what was met last, as they are, say how much a candidate's title is
alike. A network learns slowly that things which are called nearly the same are wanted by the same people.

Every place of a sequence predicts the event after it, from the events up to it alone; events of one moment, such as a
basket's, are all predicted from what came before that moment, since in which order they stand says nothing. A sequence
begins with a start of its own, from which somebody without a history gets an answer. Padding stands at the end, where
no place before it looks.

Sources: Kang, McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (places predict what follows); Klenitskiy,
Vasilev, "Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?", RecSys 2023 (the softmax over all
items); Petrov, Macdonald, "gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative
Sampling", RecSys 2023 (gbce).
What differs: places count from the start of a sequence, not from its end, which would tell training how much is still
to come; only events that the shop wants are predicted, while all are read; baskets are predicted whole; time gaps and
event types are read too;
the popularity of an item may be left out of what is learnt (`popularity_discount`), so that an item nobody met yet is
asked for on equal terms.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import keras
import numpy as np
from keras import ops

from expectations.tables import FIRST_VALUE_INDEX
from models.batches.sequence_batches import NextItemBatches, latest_sequences
from models.data.dataset import Dataset
from models.data.mmap_arrays import disk_array
from models.data.snapshot import Snapshot
from models.data.tower_inputs import ITEM_CONTENT, item_arrays, item_inputs
from models.families.shared_softmax import SharedSoftmaxModel
from models.interface.config_checks import require_at_least, require_divisor, require_parts, require_shares
from models.interface.model import Vectors
from models.nn.layers import TitleVector
from models.nn.losses import GeneralizedBinaryCrossentropy, SoftmaxCrossentropy, calibrated_power
from models.nn.network_fitting import (
    predict_arrays,
    select_inputs,
    shared_logits,
)
from models.nn.sequence_encoder import Encoder, build_encoder
from models.nn.training_setup import Precision

Loss = Literal["softmax", "sampled_softmax", "bce", "gbce"]

USERS_AT_ONCE = 1024
ITEMS_AT_ONCE = 4096


@dataclass(frozen=True)
class NextItemConfig:
    """See models/configs/sequence.toml.

    Attributes: `max_length` places of a sequence are read, its start among them.
    """

    encoder: Encoder
    embedding_dim: int
    feature_dim: int
    title_dim: int
    num_blocks: int
    num_heads: int
    max_length: int
    dropout: float
    loss: Loss
    num_candidates: int
    calibration: float
    popularity_discount: float
    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    warm_epochs: int
    precision: Precision
    data_parallel: bool

    def __post_init__(self) -> None:
        require_at_least(1, self, "embedding_dim", "num_blocks", "num_heads", "num_candidates", "batch_size", "epochs")
        require_at_least(1, self, "warm_epochs")
        if self.max_length < 2:
            raise ValueError(f"`max_length` must be at least 2: a start and an event. Received: {self.max_length}")
        require_at_least(0, self, "title_dim")
        require_shares(self, "dropout")
        require_parts(self, "calibration", "popularity_discount")
        require_divisor(self)


C = TypeVar("C", bound=NextItemConfig)


class NextItemModel(SharedSoftmaxModel[C]):
    """See the module's docstring.

    Attributes:
        reads: what the item tower reads beside the item's own index; names of `models.data.tower_inputs.item_content`.
        item_dropout: share of items that a step knows by their features alone, as if they were new.
    """

    network_names = ("item_tower", "encoder")

    def __init__(self, config: C) -> None:
        super().__init__(config)
        self._asked: tuple[Dataset, np.ndarray] | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        return ITEM_CONTENT

    @property
    def item_dropout(self) -> float:
        return 0.0

    @abstractmethod
    def build_item_tower(self, sizes: dict[str, int]) -> keras.Model:
        """From what is known of an item, whatever the day, to its vector.

        Args:
            sizes: vocabulary field -> number of indices.
        """

    def build_batches(self, dataset: Dataset) -> NextItemBatches:
        config = self.config
        return NextItemBatches(
            dataset,
            self.reads,
            max_length=config.max_length,
            batch_size=config.batch_size,
            loss=config.loss,
            num_candidates=config.num_candidates,
            popularity_discount=config.popularity_discount,
            item_dropout=self.item_dropout,
        )

    def build_networks(self, dataset: Dataset) -> dict[str, keras.Model]:
        item_tower, title_dim = self._tower_with_titles(dataset)
        return {"item_tower": item_tower, "encoder": build_encoder(dataset.sizes, self.config, title_dim)}

    def build_training_network(self, dataset: Dataset) -> NextItem:
        return NextItem(self.network("item_tower"), self.network("encoder"))

    def loss(self, batches: NextItemBatches) -> keras.losses.Loss:
        return loss_of(self.config, len(batches.known_items))

    def no_examples(self, dataset: Dataset) -> str:
        return "no history holds an event that the shop wants"

    def _tower_with_titles(self, dataset: Dataset) -> tuple[keras.Model, int]:
        """The item tower, and how long the title's part of its vectors is: 0 where nothing has a title."""
        tower, num_pieces = self.build_item_tower(dataset.sizes), dataset.sizes.get("token", 0)
        dim = self.config.title_dim if "tokens" in self.reads and num_pieces > FIRST_VALUE_INDEX else 0
        if not dim:
            return tower, 0
        inputs = {x.name: x for x in tower.inputs}
        inputs.setdefault("tokens", item_inputs()["tokens"])
        title = TitleVector(num_pieces, dim, title_rarity(dataset, num_pieces))(inputs["tokens"])
        return keras.Model(inputs, keras.layers.Concatenate()([tower.output, title]), name="item_tower"), dim

    def retrieval(self, dataset: Dataset) -> Vectors:
        items = self.item_vectors(dataset)
        return Vectors(self._user_vectors(dataset, np.arange(dataset.num_users), items), items)

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        items = self.item_vectors(dataset)
        return self._user_vectors(dataset, user_indices, items) @ items.T

    def logits(
        self, dataset: Dataset, user_indices: np.ndarray, item_indices: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        """Dot products; see `models.families.attribution.Explainable`."""
        if self._asked is None or self._asked[0] is not dataset:
            self._asked = dataset, self.item_vectors(dataset)
        items = self._asked[1]
        users = self._user_vectors(dataset, user_indices, items, without)
        return np.einsum("ud,ukd->uk", users, items[item_indices])

    def item_vectors(self, dataset: Dataset) -> np.ndarray:
        """What is read and what is predicted, of every index. Shape (num_items, dim)."""
        tower, snapshot = self.network("item_tower"), Snapshot(dataset, dataset.end)
        items = np.arange(dataset.num_items)
        blocks = [items[start : start + ITEMS_AT_ONCE] for start in range(0, len(items), ITEMS_AT_ONCE)]
        return np.concatenate([predict_arrays(tower, item_arrays(snapshot, block, self.reads)) for block in blocks])

    def _user_vectors(
        self, dataset: Dataset, user_indices: np.ndarray, items: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        """What the encoder says at the end of each user's sequence. Shape (len(user_indices), as long as an item's)."""
        encoder, snapshot = self.network("encoder"), Snapshot(dataset, dataset.end)
        vectors = disk_array((len(user_indices), items.shape[1]), np.float32)
        for start in range(0, len(user_indices), USERS_AT_ONCE):
            part = slice(start, start + USERS_AT_ONCE)
            missing = None if without is None else without[part]
            inputs, lengths = latest_sequences(snapshot, user_indices[part], self.config.max_length, missing)
            hidden = predict_arrays(encoder, {"history": items[inputs["items"]], **inputs})
            vectors[part] = hidden[np.arange(len(lengths)), lengths]
        return vectors


class NextItem(keras.Model):
    """Logits of the asked places over the candidates of a batch, corrected by logQ. Used in training only."""

    def __init__(self, item_tower: keras.Model, encoder: keras.Model) -> None:
        # What the logits are corrected by is no quantity for 16 bits.
        super().__init__(autocast=False)
        self.item_tower, self.encoder = item_tower, encoder

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        vectors = self.item_tower(select_inputs(self.item_tower, inputs), training=training)
        history = ops.take(vectors, inputs["items"], axis=0)  # (batch, length, dim)
        hidden = self.encoder(select_inputs(self.encoder, {"history": history, **inputs}), training=training)
        asked = ops.take(ops.reshape(hidden, (-1, hidden.shape[-1])), inputs["places"], axis=0)  # (places, dim)
        candidates = vectors[: ops.shape(inputs["log_inclusion"])[0]]
        return shared_logits(asked, candidates, inputs["log_inclusion"])


def title_rarity(dataset: Dataset, num_pieces: int) -> np.ndarray:
    """The inverse document frequency of each piece in the titles of the catalogue. Shape (num_pieces,)."""
    tokens = np.sort(dataset.item_features["token_indices"], axis=1)
    is_first = np.diff(tokens, axis=1, prepend=-1) > 0
    num_titles = np.bincount(tokens[is_first], minlength=num_pieces)
    return np.log((1 + len(tokens)) / (1 + num_titles)).astype(np.float32)


def loss_of(config: NextItemConfig, num_items: int) -> keras.losses.Loss:
    """What a config trains by, over so many items."""
    if config.loss in ("softmax", "sampled_softmax"):
        return SoftmaxCrossentropy()
    num_negatives = min(config.num_candidates, num_items)
    calibration = config.calibration if config.loss == "gbce" else 0.0
    return GeneralizedBinaryCrossentropy(num_negatives, calibrated_power(num_negatives / num_items, calibration))
