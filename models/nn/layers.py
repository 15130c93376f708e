"""Keras layers that several models share. They are registered, so that a saved `.keras` file finds them by name."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from expectations.tables import FIRST_VALUE_INDEX


@keras.saving.register_keras_serializable("nightjar")
class MeanEmbedding(keras.layers.Layer):
    """The mean embedding of the indices in a list: words of a title, levels of a category, interests.

    Padding (0) counts nothing; a list of nothing but padding gives zeros. Shapes (..., length) and (..., output_dim).
    """

    def __init__(self, input_dim: int, output_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(input_dim, output_dim)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.embedding.build(input_shape)
        super().build(input_shape)

    def call(self, indices: Any) -> Any:
        """From indices of shape (..., length), int32, to vectors (..., output_dim) in the layer's compute dtype."""
        is_value = ops.cast(ops.not_equal(indices, 0), self.compute_dtype)[..., None]  # (..., length, 1)
        total = ops.sum(self.embedding(indices) * is_value, axis=-2)  # (..., dim)
        return total / ops.maximum(ops.sum(is_value, axis=-2), 1.0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.embedding.output_dim)

    def get_config(self) -> dict[str, Any]:
        own = {"input_dim": self.embedding.input_dim, "output_dim": self.embedding.output_dim}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("nightjar")
class TextEncoder(keras.layers.Layer):
    """From the indices of a text's pieces to one vector, by convolution filters over three pieces or by attention.

    Padding (0) counts nothing; a text of nothing but padding gives zeros. Shapes (batch, length) and (batch,
    output_dim).

    Args:
        input_dim: number of indices.
        output_dim: length of the vectors.
        reads_by: "cnn": the maximum of each filter over the text; "attention": a learnt mean of the pieces.

    Sources: Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014; Yang et al., "Hierarchical
    Attention Networks for Document Classification", NAACL 2016, eq. 5 to 7.
    """

    def __init__(self, input_dim: int, output_dim: int, reads_by: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_dim, self.output_dim, self.reads_by = input_dim, output_dim, reads_by
        self.embedding = keras.layers.Embedding(input_dim, output_dim)
        if reads_by == "cnn":
            self.filters = keras.layers.Conv1D(output_dim, 3, padding="same", activation="relu")
        else:
            self.views = keras.layers.Dense(output_dim, activation="tanh")
            self.worth = keras.layers.Dense(1)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        words = (*input_shape, self.output_dim)
        self.embedding.build(input_shape)
        if self.reads_by == "cnn":
            self.filters.build(words)
        else:
            self.views.build(words)
            self.worth.build(words)
        super().build(input_shape)

    def call(self, indices: Any) -> Any:
        """From indices (batch, length), int32, to vectors (batch, output_dim) in the layer's compute dtype."""
        is_word = ops.cast(ops.not_equal(indices, 0), self.compute_dtype)[..., None]  # (batch, length, 1)
        words = self.embedding(indices) * is_word
        if self.reads_by == "cnn":
            # No filter answers below 0, so that padding, which says 0, is never the strongest.
            return ops.max(self.filters(words) * is_word, axis=1)
        # Padding is worth nothing; the number is one that 16 bits hold.
        worth = ops.softmax(ops.where(is_word > 0, self.worth(self.views(words)), -1e4), axis=1)
        return ops.sum(words * worth * is_word, axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.output_dim)

    def get_config(self) -> dict[str, Any]:
        own = {"input_dim": self.input_dim, "output_dim": self.output_dim, "reads_by": self.reads_by}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("nightjar")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learnt vector to each position of a sequence, counted from the first. Shape (batch, length, dim).

    Args:
        max_length: positions at most.

    Source: Kang, McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, eq. 1.
    """

    def __init__(self, max_length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_length = max_length

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.places = self.add_weight(
            shape=(self.max_length, input_shape[-1]), initializer=keras.initializers.RandomNormal(stddev=0.02)
        )

    def call(self, sequence: Any) -> Any:
        """Keeps the shape (batch, length, dim) and the dtype; `length` is at most `max_length`."""
        return sequence + self.places[: ops.shape(sequence)[1]]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_length": self.max_length}


@keras.saving.register_keras_serializable("nightjar")
class TitleVector(keras.layers.Layer):
    """The direction of the sum of a title's pieces, each as long as it is rare: similar titles have near vectors.

    It starts as a random projection of TF-IDF, which keeps cosines, and is learnt from there. Padding (0) and the
    unknown piece (1) count nothing; a text of nothing else gives zeros. Shapes (batch, length) and (batch, output_dim).

    Args:
        input_dim: number of indices.
        output_dim: length of the vectors.
        rarity: the initial weight of each piece, such as its inverse document frequency. Shape (input_dim,). None where
            the weights are about to be loaded.
    """

    def __init__(self, input_dim: int, output_dim: int, rarity: np.ndarray | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_dim, self.output_dim, self.rarity = input_dim, output_dim, rarity

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        normal = keras.initializers.RandomNormal(stddev=self.output_dim**-0.5)
        self.pieces = self.add_weight(shape=(self.input_dim, self.output_dim), initializer=normal, name="pieces")
        self.worth = self.add_weight(shape=(self.input_dim, 1), initializer=self._rarity, name="worth")

    def _rarity(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        values = np.ones(shape) if self.rarity is None else np.reshape(self.rarity, shape)
        return ops.convert_to_tensor(values, dtype=dtype)

    def call(self, indices: Any) -> Any:
        """From indices (batch, length), int32, to (batch, output_dim) of length 1 or 0, in its compute dtype."""
        is_piece = ops.cast(indices >= FIRST_VALUE_INDEX, self.compute_dtype)[..., None]  # (batch, length, 1)
        worth = ops.take(self.worth, indices, axis=0) * is_piece
        total = ops.sum(ops.take(self.pieces, indices, axis=0) * worth, axis=1)
        return total / ops.sqrt(ops.sum(total * total, axis=-1, keepdims=True) + 1e-6)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "input_dim": self.input_dim, "output_dim": self.output_dim}


@keras.saving.register_keras_serializable("nightjar")
class RecentSum(keras.layers.Layer):
    """At each position, the sum of the vectors there and before it; each step back weighs less, by a learnt factor.

    Shape (batch, length, dim).
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        # Near 0.8 a step, and loud enough for a softmax to hear it, before anything is learnt.
        self.keeps = self.add_weight(shape=(), initializer=keras.initializers.Constant(1.4), name="keeps")
        self.scale = self.add_weight(shape=(), initializer=keras.initializers.Constant(3.0), name="scale")

    def call(self, sequence: Any) -> Any:
        """Keeps the shape (batch, length, dim) and the dtype."""
        places = ops.cast(ops.arange(ops.shape(sequence)[1]), "float32")
        steps_back = places[:, None] - places[None, :]  # (length, length)
        log_factor = ops.log_sigmoid(ops.cast(self.keeps, "float32"))
        counts = ops.where(steps_back >= 0, ops.exp(log_factor * ops.maximum(steps_back, 0.0)), 0.0)
        counts = ops.cast(counts, self.compute_dtype)
        return self.scale * ops.einsum("tk,bkd->btd", counts, sequence)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape
