"""The order in which a shop's items fill lists that fall short: what sells, best first.

Demand is the item vector of a model that gives every user the same list (their vectors are one number), so that the
night needs no second definition of what sells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expectations.runtime.lake import Lake, Version
from expectations.shop.reasons import CATALOGUE_ORDER, POPULARITY_MODELS
from expectations.tables import ITEM_VECTORS


@dataclass(frozen=True)
class PopularityOrder:
    """Available items by demand, equal demand by index.

    Attributes:
        source: the model whose demand it is, or CATALOGUE_ORDER.
        num_in_demand: how many items, from the first, have any demand.
    """

    source: str
    item_indices: np.ndarray
    num_in_demand: int


def popularity_vectors(lake: Lake, ds: str) -> tuple[str, Version] | None:
    """The model that says what sells, and its item vectors; None when neither was fitted as of `ds`."""
    for model in POPULARITY_MODELS:
        version = lake.current(ITEM_VECTORS, ds, model)
        if version is not None:
            return model, version
    return None


def popularity_order(lake: Lake, ds: str, available: np.ndarray) -> PopularityOrder:
    """Orders the available items.

    Args:
        available: their indices.
    """
    available = np.sort(available)
    found = popularity_vectors(lake, ds)
    if found is None:
        return PopularityOrder(CATALOGUE_ORDER, available, 0)
    source, _ = found
    vectors = lake.read(ITEM_VECTORS, ds, source, columns=["item_index", "vector"])
    indices = vectors["item_index"].to_numpy()
    demand = np.zeros(max(indices.max(initial=0), available.max(initial=0)) + 1)
    demand[indices] = vectors["vector"].combine_chunks().flatten().to_numpy()
    order = np.lexsort((available, -demand[available]))
    return PopularityOrder(source, available[order], int((demand[available] > 0).sum()))
