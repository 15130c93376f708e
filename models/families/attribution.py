"""Which item of a user's history a score depends on most, told by taking each one out and asking the model again.

A reason that names an item should be true: without that item the score would be lower. So of the items that a user met,
those that may speak for the listed ones are taken out one at a time, all events with them, and the item is cited whose
absence costs the score most. Nothing is cited where no absence costs anything.

Source: Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (occlusion); for a linear
item-item model the fall is the very summand. What differs: whole items are taken out of a history; what is known of the
items themselves, such as demand, stays as it is.
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
"""Whose items may be cited."""


@runtime_checkable
class Explainable(Protocol):
    """A model that can be asked as if a user had never met an item."""

    def logits(
        self, dataset: Dataset, user_indices: np.ndarray, item_indices: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        """Scores on a scale on which differences mean the same everywhere: log-odds, dot products, sums.

        Args:
            item_indices: shape (num_rows, any length).
            without: an item for each row, which its user is taken never to have met; 0 takes nothing out.

        Returns:
            Shape of `item_indices`.
        """


@dataclass(frozen=True)
class Attributions:
    """The item that each listed item owes most to.

    Attributes:
        because: item indices; PADDING_INDEX where no absence lowers the score. Shape (num_users, num_listed).
        fall: by how much the logit falls without it. Same shape; 0 where nothing is cited.
    """

    because: np.ndarray
    fall: np.ndarray


def attributions(
    model: Explainable, dataset: Dataset, user_indices: np.ndarray, listed: np.ndarray, speakers: np.ndarray
) -> Attributions:
    """Asks the model for each user once as it is, and once without each of the speakers.

    Args:
        listed: item indices, padded with PADDING_INDEX. Shape (num_users, num_listed).
        speakers: items of the users' histories, padded likewise; see `speakers_for`. Shape (num_users, num_speakers).
    """
    falls = np.zeros((*speakers.shape, listed.shape[1]), dtype=np.float32)
    rows, places = np.nonzero(speakers != PADDING_INDEX)
    if len(rows):
        whole = model.logits(dataset, user_indices, listed)
        falls[rows, places] = whole[rows] - model.logits(
            dataset, user_indices[rows], listed[rows], speakers[rows, places]
        )
    best = falls.argmax(axis=1)  # of equal falls the first speaker's
    fall = np.take_along_axis(falls, best[:, None, :], axis=1)[:, 0]
    is_cited = (fall > 0) & (listed != PADDING_INDEX)
    because = np.where(is_cited, np.take_along_axis(speakers, best, axis=1), PADDING_INDEX)
    return Attributions(because.astype(np.int32), np.where(is_cited, fall, 0).astype(np.float32))


def speakers_for(
    dataset: Dataset,
    user_indices: np.ndarray,
    listed: np.ndarray,
    weights: sparse.csr_matrix | None,
    num_speakers: int,
) -> np.ndarray:
    """The items of each user's latest events that may speak for the listed ones, the likeliest first.

    Likely is what has the largest neighbour weights to the listed items together, or is listed itself; between equals,
    or without weights, what was met later.

    Args:
        weights: [item met, item listed]; see `models.interface.model.Neighbours`.

    Returns:
        Item indices, each once a user, padded with PADDING_INDEX. Shape (num_users, num_speakers).
    """
    history, *_ = Snapshot(dataset, dataset.end).histories(user_indices, LATEST_EVENTS)
    speakers = np.full((len(user_indices), num_speakers), PADDING_INDEX, dtype=np.int64)
    for row, (items, own_list) in enumerate(zip(history[:, ::-1], listed, strict=True)):
        # Latest first; each item where it was met last.
        _, firsts = np.unique(items, return_index=True)
        met = items[np.sort(firsts)]
        met = met[met >= FIRST_VALUE_INDEX]
        is_listed = np.isin(met, own_list)
        told = np.zeros(len(met)) if weights is None else weights[met][:, own_list].sum(axis=1).A1
        order = np.lexsort((np.arange(len(met)), -told, ~is_listed))[:num_speakers]
        speakers[row, : len(order)] = met[order]
    return speakers
