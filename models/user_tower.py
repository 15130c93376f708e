"""A user's vector from its own embedding and what the shop knows of the person, whatever the day."""

from __future__ import annotations

import keras

from models.layers import MeanEmbedding


def build_user_tower(sizes: dict[str, int], dim: int, feature_dim: int) -> keras.Model:
    """From the inputs that `models.inputs.user_content` names, and the user's index, to a vector of `dim`.

    Args:
        sizes: vocabulary field -> number of indices.
        feature_dim: length of the embedding of a feature; 0: the vector is the user's own embedding alone.
    """
    index = keras.Input((), dtype="int32", name="user_index")
    own = keras.layers.Embedding(sizes["user_id"], dim, keras.initializers.RandomNormal(stddev=0.02))(index)
    if not feature_dim:
        return keras.Model({"user_index": index}, own, name="user_tower")
    one_of = {name: keras.Input((), dtype="int32", name=name) for name in ("age_bucket", "gender", "country")}
    interests = keras.Input((None,), dtype="int32", name="interests")
    features = keras.layers.Concatenate()(
        [
            *(keras.layers.Embedding(sizes.get(name, 2), feature_dim)(indices) for name, indices in one_of.items()),
            MeanEmbedding(sizes.get("interest", 2), feature_dim)(interests),
        ]
    )
    inputs = {"user_index": index, **one_of, "interests": interests}
    return keras.Model(inputs, own + keras.layers.Dense(dim, use_bias=False)(features), name="user_tower")
