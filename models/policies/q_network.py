"""The Q-learner's network: it reads a user's recent events in order, and values each candidate against them.

The encoder of `models.families.sequence` reads the kinds of what the user met, with event types and time gaps; its
output at the last event is the state. It reads kinds, not items: a log of a few thousand lists says little of each
single item.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.nn.sequence_encoder import EncoderConfig, build_encoder

NUM_EVENT_TYPES = 5
"""And padding."""


@keras.saving.register_keras_serializable("nightjar")
class KindEmbedding(keras.layers.Layer):
    """The vectors of kinds, given as kind + 2. A kind that is newer than the network counts as none."""

    def __init__(self, num_kinds: int, output_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_kinds, self.output_dim = num_kinds, output_dim
        self.embedding = keras.layers.Embedding(num_kinds + 2, output_dim, keras.initializers.RandomNormal(stddev=0.02))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.embedding.build(input_shape)

    def call(self, kind: Any) -> Any:
        """Looks up the vectors.

        Args:
            kind: any shape, int32.

        Returns:
            Shape of `kind` and one axis more, (..., output_dim), float32.
        """
        return self.embedding(ops.where(kind < self.num_kinds + 2, kind, 1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_kinds": self.num_kinds, "output_dim": self.output_dim}


@keras.saving.register_keras_serializable("nightjar")
class LastWord(keras.layers.Layer):
    """The encoder's output at the last event; at the first position where there is none.

    Called with the sequence, shape (batch, length, dim), and a number for each position that is 0 after the last event.
    """

    def call(self, sequence: Any, events: Any) -> Any:
        """Takes the state at each list's last event.

        Args:
            sequence: shape (batch, length, dim), float32.
            events: 0 after the last event. Shape (batch, length), int32.

        Returns:
            Shape (batch, 1, dim), float32.
        """
        num_events = ops.sum(ops.cast(events > 0, "int32"), axis=1, keepdims=True)
        last = ops.maximum(num_events - 1, 0)[..., None]  # (batch, 1, 1)
        return ops.take_along_axis(sequence, ops.broadcast_to(last, (ops.shape(sequence)[0], 1, sequence.shape[-1])), 1)

    def compute_output_shape(self, sequence_shape: Any, events_shape: Any = None) -> Any:
        return (sequence_shape[0], 1, sequence_shape[2])


@keras.saving.register_keras_serializable("nightjar")
class Beside(keras.layers.Layer):
    """The state, shape (batch, 1, dim), beside each candidate, shape (batch, num_candidates, any)."""

    def call(self, state: Any, candidates: Any) -> Any:
        """Repeats the state for each candidate.

        Args:
            state: shape (batch, 1, dim), float32.
            candidates: read for their number. Shape (batch, num_candidates, any), float32.

        Returns:
            Shape (batch, num_candidates, dim), float32.
        """
        shape = ops.shape(candidates)
        return ops.broadcast_to(state, (shape[0], shape[1], state.shape[-1]))

    def compute_output_shape(self, state_shape: Any, candidates_shape: Any = None) -> Any:
        return (*candidates_shape[:2], state_shape[2])


@keras.saving.register_keras_serializable("nightjar")
class MixedWithRanker(keras.layers.Layer):
    """Mixes the network's parts, whose weight is 1, with the ranker's score, whose weight is `kl_weight`.

    Called with the outputs for candidates, shape (batch, num_candidates, 6), and the features. An infinite weight
    leaves the ranker.

    Args of the constructor: `weights` of the three parts, so that they come to standard deviations.
    """

    def __init__(self, weights: list[float], kl_weight: float, inverse_temperature: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weights_of_parts, self.kl_weight, self.inverse_temperature = list(weights), kl_weight, inverse_temperature

    def call(self, outputs: Any, features: Any) -> Any:
        """Mixes the parts.

        Args:
            outputs: shape (batch, num_candidates, 6), float32.
            features: shape (batch, num_candidates, num_features), float32.

        Returns:
            Utility and satiation penalty. Shape (batch, num_candidates, 2), float32.
        """
        own = 1 / (1 + self.kl_weight)
        values = sum(weight * outputs[..., 2 * n : 2 * n + 2] for n, weight in enumerate(self.weights_of_parts))
        ranker = ops.concatenate([features[..., :1], ops.zeros_like(features[..., :1])], axis=-1)
        return self.inverse_temperature * (own * values + (1 - own) * ranker)

    def get_config(self) -> dict[str, Any]:
        own = {
            "weights": self.weights_of_parts,
            "kl_weight": self.kl_weight,
            "inverse_temperature": self.inverse_temperature,
        }
        return {**super().get_config(), **own}


def build_q_network(num_features: int, num_kinds: int, config: EncoderConfig, hidden_dim: int) -> keras.Model:
    """Returns a network from `plackett_luce.policy_inputs` to the values of candidates and of the state.

    Of a candidate: utility and satiation penalty of what it earns on the day, of what it adds later, and of the actor.
    Of the state: what comes later whatever is shown. Shapes (batch, num_candidates, 6) and (batch, 1), float32.
    """
    features = keras.Input((None, num_features), name="features")
    kind = keras.Input((None,), dtype="int32", name="kind")
    history = keras.Input((None, 3), dtype="int32", name="history")
    embedding = KindEmbedding(num_kinds, config.embedding_dim)
    encoder = build_encoder({"event_type": NUM_EVENT_TYPES}, config, title_dim=0)
    read = {"history": embedding(history[:, :, 0]), "event_types": history[:, :, 1], "gaps": history[:, :, 2]}
    state = LastWord()(encoder(read), history[:, :, 1])  # (batch, 1, dim)
    of_kind = embedding(kind)
    around = Beside()(state, features)
    known = keras.layers.Concatenate()([features, of_kind, around, of_kind * around])
    hidden = keras.layers.Dense(hidden_dim, activation="gelu")(known)
    outputs = keras.layers.Dense(6, kernel_initializer="zeros")(keras.layers.Concatenate()([features, hidden]))
    of_user = keras.layers.GlobalAveragePooling1D()(features)
    future_reward = keras.layers.Dense(1, kernel_initializer="zeros")(
        keras.layers.Concatenate()([keras.layers.Reshape((config.embedding_dim,))(state), of_user])
    )
    inputs = {"features": features, "kind": kind, "history": history}
    return keras.Model(inputs, [outputs, future_reward], name="q_network")
