"""What the models that predict the next event share: how they are trained and scored.

An item tower makes each item's vector, the same for what is read and for what is predicted; an encoder reads the
vectors of what a user met, in order, and at every position predicts what follows. A family brings the item tower: see
`models.families.sequence` (an item's own embedding and its features) and `models.families.content` (what the catalogue
says alone).

A plain memory of titles stands beside all that: the unchanged title vectors of what was met last say how similar a
candidate's title is. A network learns slowly that things with nearly the same name are wanted by the same people.

Every position of a sequence predicts the event after it, from the events up to it alone. Events of one moment, such as
those of a basket, are all predicted from what came before that moment, since their order says nothing. A sequence
begins with a start token, which predicts for a user without a history. Padding stands at the end, where no position
before it looks.

Sources: Kang, McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (positions predict what follows);
Klenitskiy, Vasilev, "Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?", RecSys 2023 (the softmax
over all items); Petrov, Macdonald, "gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative
Sampling", RecSys 2023 (gbce).
What differs: positions count from the start of a sequence, not from its end, which would show in training how much is
still to come; only events that the shop wants are predicted, while all are read; baskets are predicted whole; time gaps
and event types are read too; the popularity of an item can be kept out of the vectors (`popularity_discount`), so that
an item that nobody met yet is not scored lower for it.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import keras
import numpy as np
from keras import ops
from pydantic import Field

from expectations.shop.bounds import AtLeastOne, Bounded, NotNegativeInt, Share, ShareBelowOne
from expectations.tables import FIRST_VALUE_INDEX
from models.batches.sequence_batches import NextItemBatches, latest_sequences
from models.data.dataset import Dataset
from models.data.mmap_arrays import disk_array
from models.data.snapshot import Snapshot
from models.data.tower_inputs import ITEM_CONTENT, item_arrays, item_inputs
from models.families.shared_softmax import SharedSoftmaxModel
from models.interface.cross_field_rules import require_heads_divide
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
"""Histories that are encoded together when users are scored: bounds memory."""
ITEMS_AT_ONCE = 4096
"""Items whose vectors are computed together: bounds memory."""


@dataclass(frozen=True)
class NextItemConfig(Bounded):
    """See models/configs/sequence.toml.

    Attributes:
        max_length: positions of a sequence that are read, its start among them.
    """

    encoder: Encoder
    embedding_dim: AtLeastOne
    feature_dim: int
    title_dim: NotNegativeInt
    num_blocks: AtLeastOne
    num_heads: AtLeastOne
    max_length: Annotated[int, Field(ge=2), "must be at least 2: a start and an event"]
    dropout: ShareBelowOne
    loss: Loss
    num_candidates: AtLeastOne
    calibration: Share
    popularity_discount: Share
    learning_rate: float
    weight_decay: float
    batch_size: AtLeastOne
    epochs: AtLeastOne
    warm_epochs: AtLeastOne
    precision: Precision
    data_parallel: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        require_heads_divide(self)


C = TypeVar("C", bound=NextItemConfig)


class NextItemModel(SharedSoftmaxModel[C]):
    """See the module's docstring."""

    network_names = ("item_tower", "encoder")

    def __init__(self, config: C) -> None:
        super().__init__(config)
        self._asked: tuple[Dataset, np.ndarray] | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """What the item tower reads beside the item's own index: names of `models.data.tower_inputs.item_content`."""
        return ITEM_CONTENT

    @property
    def item_dropout(self) -> float:
        """The share of items that a step knows by their features alone, as if they were new."""
        return 0.0

    @abstractmethod
    def build_item_tower(self, sizes: dict[str, int]) -> keras.Model:
        """Builds the network from what is known of an item, whatever the day, to its vector.

        Args:
            sizes: vocabulary field -> number of indices.
        """

    def build_batches(self, dataset: Dataset) -> NextItemBatches:
        """Returns the batches that the config asks for."""
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
        """Builds the item tower and the encoder."""
        item_tower, title_dim = self._tower_with_titles(dataset)
        return {"item_tower": item_tower, "encoder": build_encoder(dataset.sizes, self.config, title_dim)}

    def build_training_network(self, dataset: Dataset) -> NextItem:
        """Returns the network that computes the logits of a batch."""
        return NextItem(self.network("item_tower"), self.network("encoder"))

    def loss(self, batches: NextItemBatches) -> keras.losses.Loss:
        """The loss that the config names."""
        return loss_of(self.config, len(batches.known_items))

    def no_examples(self, dataset: Dataset) -> str:
        """Says that there is no target event."""
        return "no history holds an event that the shop wants"

    def _tower_with_titles(self, dataset: Dataset) -> tuple[keras.Model, int]:
        """The item tower, and the length of the title's part of its vectors: 0 where no item has a title."""
        tower, num_pieces = self.build_item_tower(dataset.sizes), dataset.sizes.get("token", 0)
        dim = self.config.title_dim if "tokens" in self.reads and num_pieces > FIRST_VALUE_INDEX else 0
        if not dim:
            return tower, 0
        inputs = {x.name: x for x in tower.inputs}
        inputs.setdefault("tokens", item_inputs()["tokens"])
        title = TitleVector(num_pieces, dim, title_rarity(dataset, num_pieces))(inputs["tokens"])
        return keras.Model(inputs, keras.layers.Concatenate()([tower.output, title]), name="item_tower"), dim

    def retrieval(self, dataset: Dataset) -> Vectors:
        """Vectors of all users and items, float32; as long as `item_vectors` are.

        Raises:
            NightError: the model was never fitted.
        """
        items = self.item_vectors(dataset)
        return Vectors(self._user_vectors(dataset, np.arange(dataset.num_users), items), items)

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        """Dot products of these users with the whole catalogue. Shape (len(user_indices), num_items), float32."""
        items = self.item_vectors(dataset)
        return self._user_vectors(dataset, user_indices, items) @ items.T

    def logits(
        self, dataset: Dataset, user_indices: np.ndarray, item_indices: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        if self._asked is None or self._asked[0] is not dataset:
            self._asked = dataset, self.item_vectors(dataset)
        items = self._asked[1]
        users = self._user_vectors(dataset, user_indices, items, without)
        return np.einsum("ud,ukd->uk", users, items[item_indices])

    def item_vectors(self, dataset: Dataset) -> np.ndarray:
        """The vectors that are read and predicted, of every item index. Shape (num_items, dim), float32.

        Raises:
            NightError: the model was never fitted.
        """
        tower, snapshot = self.network("item_tower"), Snapshot(dataset, dataset.end)
        items = np.arange(dataset.num_items)
        blocks = [items[start : start + ITEMS_AT_ONCE] for start in range(0, len(items), ITEMS_AT_ONCE)]
        return np.concatenate([predict_arrays(tower, item_arrays(snapshot, block, self.reads)) for block in blocks])

    def _user_vectors(
        self, dataset: Dataset, user_indices: np.ndarray, items: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        """The encoder's output at the end of each user's sequence. Shape (len(user_indices), dim of the items)."""
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
    """Logits of the predicted positions over the candidates of a batch, corrected by logQ. Used in training only."""

    def __init__(self, item_tower: keras.Model, encoder: keras.Model) -> None:
        # What the logits are corrected by is no quantity for 16 bits.
        super().__init__(autocast=False)
        self.item_tower, self.encoder = item_tower, encoder

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Logits of the batch's positions over its candidates, float32. Shape (positions, candidates)."""
        vectors = self.item_tower(select_inputs(self.item_tower, inputs), training=training)
        history = ops.take(vectors, inputs["items"], axis=0)  # (batch, length, dim)
        hidden = self.encoder(select_inputs(self.encoder, {"history": history, **inputs}), training=training)
        asked = ops.take(ops.reshape(hidden, (-1, hidden.shape[-1])), inputs["places"], axis=0)  # (places, dim)
        candidates = vectors[: ops.shape(inputs["log_inclusion"])[0]]
        return shared_logits(asked, candidates, inputs["log_inclusion"])


def title_rarity(dataset: Dataset, num_pieces: int) -> np.ndarray:
    """The inverse document frequency of each piece in the titles of the catalogue. Shape (num_pieces,), float32."""
    tokens = np.sort(dataset.item_features["token_indices"], axis=1)
    is_first = np.diff(tokens, axis=1, prepend=-1) > 0
    num_titles = np.bincount(tokens[is_first], minlength=num_pieces)
    return np.log((1 + len(tokens)) / (1 + num_titles)).astype(np.float32)


def loss_of(config: NextItemConfig, num_items: int) -> keras.losses.Loss:
    """The loss that a config names, over `num_items` items."""
    if config.loss in ("softmax", "sampled_softmax"):
        return SoftmaxCrossentropy()
    num_negatives = min(config.num_candidates, num_items)
    calibration = config.calibration if config.loss == "gbce" else 0.0
    return GeneralizedBinaryCrossentropy(num_negatives, calibrated_power(num_negatives / num_items, calibration))
