"""Keras layers that several models share. Registered, so that a saved `.keras` file finds them by name."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("nightjar")
class MeanEmbedding(keras.layers.Layer):
    """The mean embedding of the indices in a list: words of a title, levels of a category, interests.

    Padding (0) counts nothing; a list of nothing but padding gives zeros.
    """

    def __init__(self, input_dim: int, output_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(input_dim, output_dim)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.embedding.build(input_shape)
        super().build(input_shape)

    def call(self, indices: Any) -> Any:
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
    """From the indices of a text's pieces to one vector, by filters over three of them or by attention.

    Padding (0) counts nothing; a text of nothing but padding gives zeros. Shapes (batch, length) and (batch, dim).
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
        is_word = ops.cast(ops.not_equal(indices, 0), self.compute_dtype)[..., None]  # (batch, length, 1)
        words = self.embedding(indices) * is_word
        if self.reads_by == "cnn":
            # No filter answers below 0, so that padding, which says 0, is never the strongest.
            return ops.max(self.filters(words) * is_word, axis=1)
        worth = (
            ops.exp(self.worth(self.views(words))) * is_word
        )  # of each word; tanh keeps it small while the weights are
        return ops.sum(words * worth, axis=1) / ops.maximum(ops.sum(worth, axis=1), 1e-6)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.output_dim)

    def get_config(self) -> dict[str, Any]:
        own = {"input_dim": self.input_dim, "output_dim": self.output_dim, "reads_by": self.reads_by}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("nightjar")
class PositionEmbedding(keras.layers.Layer):
    """Adds to each place of a sequence what is learnt of it, counted from the first. Shape (batch, length, dim)."""

    def __init__(self, max_length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_length = max_length

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.places = self.add_weight(
            shape=(self.max_length, input_shape[-1]), initializer=keras.initializers.RandomNormal(stddev=0.02)
        )

    def call(self, sequence: Any) -> Any:
        return sequence + self.places[: ops.shape(sequence)[1]]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_length": self.max_length}
