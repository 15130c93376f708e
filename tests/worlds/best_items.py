"""The best items of a few users, straight from a model: what tests compare the night's lists with."""

from __future__ import annotations

import numpy as np

from expectations.tables import FIRST_VALUE_INDEX
from models.data.dataset import Dataset
from models.interface.model import NO_ITEM, Model


def recommend(
    model: Model, dataset: Dataset, user_indices: np.ndarray, k: int, exclude_seen: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The best `k` items of each user, equal scores in the order of item_index.

    For a handful of users: it scores the whole catalogue in memory. The night's lists come from the table `candidates`.

    Returns:
        Item indices, NO_ITEM where there are fewer than `k`, and their scores. Both of shape (len(user_indices), k).
    """
    scores = model.scores(dataset, user_indices).astype(np.float32, copy=True)
    scores[:, :FIRST_VALUE_INDEX] = -np.inf
    if exclude_seen:
        scores[dataset.seen_by(user_indices).nonzero()] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    items = np.where(np.isneginf(best), NO_ITEM, order)
    missing = ((0, 0), (0, k - items.shape[1]))
    return np.pad(items, missing, constant_values=NO_ITEM), np.pad(best, missing, constant_values=-np.inf)
