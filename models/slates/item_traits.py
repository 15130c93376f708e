"""What policies know of items themselves, whoever looks at them: their kind (a category) and their brand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.lake import Lake
from expectations.tables import FIRST_VALUE_INDEX, ITEM_FEATURES
from models.data.vocabulary import read_vocabulary

NONE = -1
"""The kind or brand of an item that has none."""
_COLUMNS = ["item_index", "category_indices", "brand_index"]


@dataclass(frozen=True)
class ItemTraits:
    """By item index. Arrays of shape (num_items,).

    Attributes:
        kind: the finest category that is known; NONE for none.
        wider_kind: the category above it, or `kind` where there is none above.
        brand: NONE for none.
    """

    kind: np.ndarray
    wider_kind: np.ndarray
    brand: np.ndarray

    @classmethod
    def of(cls, lake: Lake, ds: str) -> ItemTraits:
        """Reads `item_features` as of `ds`."""
        rows = lake.read(ITEM_FEATURES, ds, columns=_COLUMNS)
        indices = read_vocabulary(lake, ds, "item_id")["index"]
        num_items = int(pc.max(indices).as_py() or 0) + 1
        item = rows["item_index"].to_numpy()
        kind, wider_kind = _kinds(item, rows["category_indices"].combine_chunks(), num_items)
        brand, brand_index = np.full(num_items, NONE), rows["brand_index"].to_numpy()
        brand[item] = np.where(brand_index >= FIRST_VALUE_INDEX, brand_index, NONE)
        return cls(kind, wider_kind, brand)


def _kinds(item: np.ndarray, categories: pa.ListArray, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    """The finest known category of each item and the one above it. Both of shape (num_items,).

    Args:
        categories: of each item the levels of its path, broadest first.
    """
    owner = np.repeat(item, pc.list_value_length(categories).to_numpy())
    category = categories.flatten().to_numpy()
    is_known = category >= FIRST_VALUE_INDEX
    owner, category = owner[is_known], category[is_known]
    kind, wider_kind = np.full(num_items, NONE), np.full(num_items, NONE)
    kind[owner] = category  # of several the last one stays
    is_above = np.append(owner[:-1] == owner[1:], False)[: len(owner)]
    wider_kind[owner[is_above]] = category[is_above]
    return kind, np.where(wider_kind == NONE, kind, wider_kind)
