"""Occlusion attribution: which item of a user's history a score depends on most.

A reason that names an item should be true: without that item the score would be lower. So the candidate causes, items
that the user met, are taken out of the history one at a time, with all their events, and the model is asked again. The
item whose absence lowers the score most is cited; none is where no absence lowers it.

Source: Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (occlusion). For a linear
item-item model the drop is the cited item's own summand. What differs: whole items are taken out of a history; what is
known of the items themselves, such as their demand, stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from scipy import sparse

from expectations.tables import FIRST_VALUE_INDEX, PADDING_INDEX
from models.data.dataset import Dataset
from models.data.snapshot import Snapshot

LATEST_EVENTS = 200
"""Only items of a user's so many latest events can be cited."""


@runtime_checkable
class Explainable(Protocol):
    """A model that can score a user as if the user had never met an item."""

    def logits(
        self, dataset: Dataset, user_indices: np.ndarray, item_indices: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        """Scores on a scale on which differences mean the same everywhere: log-odds, dot products, sums.

        Args:
            user_indices: shape (num_rows,).
            item_indices: shape (num_rows, any length).
            without: for each row the item that its user is taken never to have met; 0 takes nothing out. Shape
                (num_rows,).

        Returns:
            Shape of `item_indices`, float32 or float64.

        Raises:
            NightError: the model was never fitted.
        """


@dataclass(frozen=True)
class Attributions:
    """The item that each listed item's score depends on most.

    Attributes:
        cited_item: item indices; PADDING_INDEX where no absence lowers the score. Shape (num_users, num_listed), int32.
        score_drop: by how much the logit drops without the cited item; 0 where none is cited. Shape
            (num_users, num_listed), float32.
    """

    cited_item: np.ndarray
    score_drop: np.ndarray


def attributions(
    model: Explainable, dataset: Dataset, user_indices: np.ndarray, listed: np.ndarray, causes: np.ndarray
) -> Attributions:
    """Scores the listed items of each user once with the whole history, and once without each of the causes.

    Of causes with equal drops the first one is cited.

    Args:
        user_indices: shape (num_users,).
        listed: item indices, padded with PADDING_INDEX, int64. Shape (num_users, num_listed).
        causes: items of the users' histories, padded likewise; see `candidate_causes`. Shape (num_users, num_causes).
    """
    drops = np.zeros((*causes.shape, listed.shape[1]), dtype=np.float32)
    rows, columns = np.nonzero(causes != PADDING_INDEX)
    if len(rows):
        whole = model.logits(dataset, user_indices, listed)
        drops[rows, columns] = whole[rows] - model.logits(
            dataset, user_indices[rows], listed[rows], causes[rows, columns]
        )
    best = drops.argmax(axis=1)
    score_drop = np.take_along_axis(drops, best[:, None, :], axis=1)[:, 0]
    is_cited = (score_drop > 0) & (listed != PADDING_INDEX)
    cited_item = np.where(is_cited, np.take_along_axis(causes, best, axis=1), PADDING_INDEX)
    return Attributions(cited_item.astype(np.int32), np.where(is_cited, score_drop, 0).astype(np.float32))


def candidate_causes(
    dataset: Dataset,
    user_indices: np.ndarray,
    listed: np.ndarray,
    weights: sparse.csr_matrix | None,
    num_causes: int,
) -> np.ndarray:
    """The items of each user's latest events that most likely explain the listed ones, the likeliest first.

    An item that is listed itself comes first, then the items with the largest sum of neighbour weights to the listed
    ones. Of equal items, or without weights, the one that was met later comes first.

    Args:
        user_indices: shape (num_users,).
        listed: item indices. Shape (num_users, num_listed).
        weights: [item met, item listed], shape (num_items, num_items); see `models.interface.model.Neighbours`.
        num_causes: items at most for each user.

    Returns:
        Item indices, each once a user, padded with PADDING_INDEX. Shape (num_users, num_causes), int64.
    """
    history, *_ = Snapshot(dataset, dataset.end).histories(user_indices, LATEST_EVENTS)
    causes = np.full((len(user_indices), num_causes), PADDING_INDEX, dtype=np.int64)
    for row, (items, own_list) in enumerate(zip(history[:, ::-1], listed, strict=True)):
        # Latest first; each item where it was met last.
        _, firsts = np.unique(items, return_index=True)
        met = items[np.sort(firsts)]
        met = met[met >= FIRST_VALUE_INDEX]
        is_listed = np.isin(met, own_list)
        relatedness = np.zeros(len(met)) if weights is None else weights[met][:, own_list].sum(axis=1).A1
        order = np.lexsort((np.arange(len(met)), -relatedness, ~is_listed))[:num_causes]
        causes[row, : len(order)] = met[order]
    return causes
