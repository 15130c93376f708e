"""The order in which a shop's items fill lists that fall short: what sells, best first.

Demand is the item vector of a model that gives every user the same list (their vectors are one number), so that the
night needs no second definition of what sells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expectations.runtime.lake import Lake, Version, parquet_dataset
from expectations.semantics.models_in_force import ModelsInForce
from expectations.shop.reasons import CATALOGUE_ORDER, POPULARITY_MODELS
from expectations.tables import ITEM_VECTORS


@dataclass(frozen=True)
class PopularityOrder:
    """Available items by demand, equal demand by index.

    Attributes:
        source: the model whose demand it is, or CATALOGUE_ORDER.
        item_indices: Shape (num_available,), int.
        num_in_demand: how many items, from the first, have any demand.
    """

    source: str
    item_indices: np.ndarray
    num_in_demand: int


@dataclass(frozen=True)
class PopularityVectors:
    """The item vectors, one number long, of a model of demand."""

    model: str
    version: Version


def popularity_vectors(lake: Lake, in_force: ModelsInForce) -> PopularityVectors | None:
    """Returns the model that says what sells, and its item vectors; None when the gate named those of none."""
    for model in POPULARITY_MODELS:
        version = in_force.version(lake, ITEM_VECTORS, model)
        if version is not None:
            return PopularityVectors(model, version)
    return None


def popularity_order(available: np.ndarray, popularity: PopularityVectors | None) -> PopularityOrder:
    """Orders the available items.

    Args:
        available: their indices, in any order. Shape (num_available,), int.
        popularity: the demand for every item; None orders by index.
    """
    available = np.sort(available)
    if popularity is None:
        return PopularityOrder(CATALOGUE_ORDER, available, 0)
    vectors = parquet_dataset(popularity.version.path).to_table(columns=["item_index", "vector"])
    indices = vectors["item_index"].to_numpy()
    demand = np.zeros(max(indices.max(initial=0), available.max(initial=0)) + 1)
    demand[indices] = vectors["vector"].combine_chunks().flatten().to_numpy()
    order = np.lexsort((available, -demand[available]))
    return PopularityOrder(popularity.model, available[order], int((demand[available] > 0).sum()))
