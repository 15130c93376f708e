"""One integer for a pair of user and item, so that pairs can be sorted, searched and compared as numbers."""

from __future__ import annotations

import numpy as np


def pair_keys(user_indices: np.ndarray, item_indices: np.ndarray) -> np.ndarray:
    """int64, in the order of users and then of items; both indices have 32 bits. Shape of the arguments."""
    keys: np.ndarray = (user_indices.astype(np.int64) << 32) | item_indices
    return keys


def users_of(keys: np.ndarray) -> np.ndarray:
    """The user_index of each key. int32, in the shape of `keys`."""
    return (keys >> 32).astype(np.int32)


def items_of(keys: np.ndarray) -> np.ndarray:
    """The item_index of each key. int32, in the shape of `keys`."""
    return (keys & 0xFFFFFFFF).astype(np.int32)
