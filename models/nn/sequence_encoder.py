"""Sequence encoders: a transformer, GRU or LSTM whose output at each position predicts what follows it.

Sources: Kang, McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (causal attention); Hidasi et al.,
"Session-based Recommendations with Recurrent Neural Networks", ICLR 2016 (the recurrent forms).
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import keras

from models.nn.layers import PositionEmbedding, RecentSum

Encoder = Literal["transformer", "gru", "lstm"]

NUM_GAP_BUCKETS = 32
"""Minutes of a gap up to 2^30, more than a thousand years."""


class EncoderConfig(Protocol):
    """The settings that an encoder is built by; see models/configs/sequence.toml."""

    @property
    def encoder(self) -> Encoder: ...

    @property
    def embedding_dim(self) -> int: ...

    @property
    def num_blocks(self) -> int: ...

    @property
    def num_heads(self) -> int: ...

    @property
    def max_length(self) -> int: ...

    @property
    def dropout(self) -> float: ...


def build_encoder(sizes: dict[str, int], config: EncoderConfig, title_dim: int) -> keras.Model:
    """Builds the network from the items that a user met, event types and time gaps to a prediction at each position.

    Its inputs are `history`, of shape (batch, length, embedding_dim + title_dim), and `event_types` and `gaps`, of
    shape (batch, length), int32; its output has the shape of `history`. The title's part of the vectors, the last
    `title_dim`, goes past the encoder.

    Args:
        sizes: vocabulary field -> number of indices.
        config: form and size of the encoder.
        title_dim: length of the title's part; 0: there is none.
    """
    dim = config.embedding_dim
    inputs = {
        "history": keras.Input((None, dim + title_dim), name="history"),
        "event_types": keras.Input((None,), dtype="int32", name="event_types"),
        "gaps": keras.Input((None,), dtype="int32", name="gaps"),
    }
    initial = keras.initializers.RandomNormal(stddev=0.02)
    history = inputs["history"][:, :, :dim] if title_dim else inputs["history"]
    read = history + keras.layers.Embedding(sizes.get("event_type", 2), dim, initial)(inputs["event_types"])
    read = read + keras.layers.Embedding(NUM_GAP_BUCKETS, dim, initial)(inputs["gaps"])
    hidden = PositionEmbedding(config.max_length)(read)
    hidden = keras.layers.Dropout(config.dropout)(keras.layers.LayerNormalization(epsilon=1e-6)(hidden))
    for _ in range(config.num_blocks):
        hidden = _transformer_block(hidden, config) if config.encoder == "transformer" else _cell(hidden, config)
    predictions = keras.layers.LayerNormalization(epsilon=1e-6)(hidden)
    if title_dim:
        predictions = keras.layers.Concatenate()([predictions, RecentSum()(inputs["history"][:, :, dim:])])
    return keras.Model(inputs, predictions, name="encoder")


def _transformer_block(hidden: Any, config: EncoderConfig) -> Any:
    dim = config.embedding_dim
    normal = keras.layers.LayerNormalization(epsilon=1e-6)(hidden)
    attention = keras.layers.MultiHeadAttention(config.num_heads, dim // config.num_heads, dropout=config.dropout)
    hidden = hidden + keras.layers.Dropout(config.dropout)(attention(normal, normal, use_causal_mask=True))
    wide = keras.layers.Dense(4 * dim, activation="gelu")(keras.layers.LayerNormalization(epsilon=1e-6)(hidden))
    return hidden + keras.layers.Dropout(config.dropout)(keras.layers.Dense(dim)(wide))


def _cell(hidden: Any, config: EncoderConfig) -> Any:
    cells = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
    read = cells[config.encoder](config.embedding_dim, return_sequences=True)(hidden)
    return hidden + keras.layers.Dropout(config.dropout)(read)
