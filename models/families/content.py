"""Predicts the next item of a sequence from what the catalogue says of items: words, pictures, category, brand, price.

A behaviour encoder reads what a user did, in order; every item that it reads or predicts is known by its content, never
by an embedding of its own. So an item that nobody met yet gets a vector as good as any other's, which is the point. How
the encoder is trained and scored stands in `models.families.next_item`.

Sources: Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014 (`cnn`: the maximum of each filter
over a text); Yang et al., "Hierarchical Attention Networks for Document Classification", NAACL 2016, eq. 5 to 7
(`attention`: a learnt mean of the words); Hou et al., "Towards Universal Sequence Representation Learning for
Recommender Systems", KDD 2022 (sequences of items known by their text).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import ops

from expectations.shop.bounds import AtLeastOne, ShareBelowOne
from models.data.tower_inputs import CONTENT_COLUMNS, NUM_PRICE_BUCKETS, PICTURE, item_content_inputs
from models.families.next_item import NextItemConfig, NextItemModel
from models.nn.layers import MeanEmbedding, TextEncoder

READABLE = (*CONTENT_COLUMNS, PICTURE)
PICTURE_SIZE = 64
"""Pixels that pictures are resized to within the network, so that its weights do not depend on `image_size`."""


@dataclass(frozen=True)
class ContentConfig(NextItemConfig):
    """See models/configs/content.toml.

    Attributes:
        reads: which parts of an item's content are read; names of READABLE.
        part_dropout: share of items for which a step goes without one of these, as where a shop has no picture.
    """

    feature_dim: AtLeastOne
    reads: tuple[str, ...]
    part_dropout: ShareBelowOne
    text_encoder: Literal["cnn", "attention"]
    text_dim: AtLeastOne
    max_description_tokens: AtLeastOne
    hidden_dim: AtLeastOne

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.reads if name not in READABLE]
        if unknown or not self.reads:
            raise ValueError(f"`reads` must name some of {', '.join(READABLE)}. Received: {', '.join(self.reads)!r}")


class Content(NextItemModel[ContentConfig]):
    """See the module's docstring."""

    name = "content"
    config_class = ContentConfig

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of an item's content that the config names."""
        return self.config.reads

    def build_item_tower(self, sizes: dict[str, int]) -> keras.Model:
        """Builds the tower from content alone; see `NextItemModel.build_item_tower`."""
        config, inputs = self.config, item_content_inputs(self.config.reads)
        readers = content_readers(inputs, sizes, config)
        vectors = [readers[name]() for name in config.reads]
        parts = [keras.layers.Dropout(config.part_dropout, noise_shape=(None, 1))(vector) for vector in vectors]
        content = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
        content = keras.layers.Dropout(config.dropout)(keras.layers.LayerNormalization(epsilon=1e-6)(content))
        hidden = keras.layers.Dense(config.hidden_dim, activation="gelu")(content)
        # Small at first: a softmax that is sure of what it has not learnt yet takes long to forget it.
        initial = keras.initializers.RandomNormal(stddev=0.02)
        deep, direct = (keras.layers.Dense(config.embedding_dim, kernel_initializer=initial) for _ in range(2))
        vector = deep(hidden) + direct(content)
        return keras.Model(inputs, vector, name="item_tower")


def content_readers(
    inputs: dict[str, Any], sizes: dict[str, int], config: ContentConfig
) -> dict[str, Callable[[], Any]]:
    """Name of READABLE -> a function that makes the vector of this part. Title and description share a `TextEncoder`.

    Args:
        inputs: the Keras inputs of the item tower, by name.
        sizes: vocabulary field -> number of indices.
        config: lengths of the vectors.
    """
    texts = TextEncoder(sizes.get("token", 2), config.text_dim, config.text_encoder)

    def one_of(name: str, size: int) -> Any:
        return keras.layers.Embedding(size, config.feature_dim)(inputs[name])

    return {
        "categories": lambda: MeanEmbedding(sizes.get("category", 2), config.feature_dim)(inputs["categories"]),
        "brand": lambda: one_of("brand", sizes.get("brand", 2)),
        "domain": lambda: one_of("domain", sizes.get("domain", 2)),
        "price_bucket": lambda: one_of("price_bucket", NUM_PRICE_BUCKETS),
        "tokens": lambda: texts(inputs["tokens"]),
        "description_tokens": lambda: texts(inputs["description_tokens"][:, : config.max_description_tokens]),
        PICTURE: lambda: _picture_vector(build_picture_reader(config.text_dim)(inputs[PICTURE]), inputs["picture_row"]),
    }


def _picture_vector(pictures: Any, rows: Any) -> Any:
    """The vector of each item's picture, or zeros. Shapes (num_pictures, dim), (batch,) and (batch, dim)."""
    has_picture = ops.cast(rows > 0, pictures.dtype)[:, None]
    return ops.take(pictures, rows, axis=0) * has_picture


def build_picture_reader(dim: int) -> keras.Model:
    """Builds a convolutional network of three steps that each halve the side of a picture.

    It takes pictures of any one size, shape (batch, height, width, 3), uint8, and returns vectors of shape (batch,
    dim). The features are kept in a grid of four by four, not pooled over the whole picture: where a shape lies tells a
    coat from a ring.
    """
    picture = keras.Input((None, None, 3), dtype="uint8", name=PICTURE)
    hidden = keras.layers.Rescaling(1 / 127.5, offset=-1)(keras.layers.Resizing(PICTURE_SIZE, PICTURE_SIZE)(picture))
    for filters in (16, 32, 64):
        hidden = keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(hidden)
    grid = keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(hidden))
    return keras.Model(picture, keras.layers.Dense(dim)(grid), name="picture_reader")
