"""The network from an item's own embedding and its features to its vector, whatever the day."""

from __future__ import annotations

import keras

from models.data.tower_inputs import NUM_PRICE_BUCKETS, item_inputs
from models.nn.layers import MeanEmbedding


def build_item_tower(sizes: dict[str, int], dim: int, feature_dim: int) -> keras.Model:
    """Builds the network from the inputs of `models.data.tower_inputs.item_arrays` to vectors of shape (batch, dim).

    Args:
        sizes: vocabulary field -> number of indices.
        dim: length of the vectors.
        feature_dim: length of the embedding of a category, brand, domain or price bucket; 0: the vector is the item's
            own embedding alone.
    """
    inputs = item_inputs()
    del inputs["item_state"]
    initial = keras.initializers.RandomNormal(stddev=0.02)
    own = keras.layers.Embedding(sizes["item_id"], dim, initial)(inputs["item_index"])
    if not feature_dim:
        return keras.Model({"item_index": inputs["item_index"]}, own, name="item_tower")
    features = keras.layers.Concatenate()(
        [
            MeanEmbedding(sizes.get("category", 2), feature_dim)(inputs["categories"]),
            MeanEmbedding(sizes.get("token", 2), dim)(inputs["tokens"]),
            keras.layers.Embedding(sizes.get("brand", 2), feature_dim)(inputs["brand"]),
            keras.layers.Embedding(sizes.get("domain", 2), feature_dim)(inputs["domain"]),
            keras.layers.Embedding(NUM_PRICE_BUCKETS, feature_dim)(inputs["price_bucket"]),
        ]
    )
    return keras.Model(inputs, own + keras.layers.Dense(dim, use_bias=False)(features), name="item_tower")
