"""The network from a user's own embedding and what the shop knows of the person to a vector, whatever the day."""

from __future__ import annotations

import keras

from models.data.tower_inputs import user_content_inputs
from models.nn.layers import MeanEmbedding


def build_user_tower(sizes: dict[str, int], dim: int, feature_dim: int) -> keras.Model:
    """Builds the network from a user's index and `models.data.tower_inputs.user_content` to vectors (batch, dim).

    Args:
        sizes: vocabulary field -> number of indices.
        dim: length of the vectors.
        feature_dim: length of the embedding of a feature; 0: the vector is the user's own embedding alone.
    """
    inputs, initial = user_content_inputs(), keras.initializers.RandomNormal(stddev=0.02)
    own = keras.layers.Embedding(sizes["user_id"], dim, initial)(inputs["user_index"])
    if not feature_dim:
        return keras.Model({"user_index": inputs["user_index"]}, own, name="user_tower")
    one_of = ("age_bucket", "gender", "country")
    features = keras.layers.Concatenate()(
        [
            *(keras.layers.Embedding(sizes.get(name, 2), feature_dim)(inputs[name]) for name in one_of),
            MeanEmbedding(sizes.get("interest", 2), feature_dim)(inputs["interests"]),
        ]
    )
    return keras.Model(inputs, own + keras.layers.Dense(dim, use_bias=False)(features), name="user_tower")
