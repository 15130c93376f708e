"""Items that go together: a linear model whose weights say how much an item of a history raises another's score.

The weights are those of `models.data.item_similarity`: EASE's, or shrunk cosines in a large catalogue. Where shoppers
browse, items that are met within minutes of each other go together far more than those that are met within months: with
`session_weight`, sessions stand beside users as what items can have in common.

The score of an item is the plain sum of `weights[i, item]` over the items i that the user met, each once. A matrix
row also holds the item itself with `self_weight`, since shoppers buy again; lists that leave out seen items never use
it. A user without interactions gets no items at all; the tables fill such lists from recent demand.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. What differs, beside what
`models.data.item_similarity` says: the diagonal is `self_weight`, added after the fit, not 0; the rows of sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
from scipy import sparse

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.shop.bounds import NotNegative
from models.data.dataset import Dataset
from models.data.item_similarity import SimilarityConfig, decayed_matrix, neighbour_weights
from models.data.mmap_arrays import spans_of_users
from models.interface.model import Neighbours, TrainingHistory, load_saved_config, save_config


@dataclass(frozen=True)
class ItemItemConfig(SimilarityConfig):
    """See models/configs/item_item.toml.

    Attributes:
        self_weight: weight of an item for itself.
        session_weight: weight of a session beside that of a user; 0: sessions are not read.
        session_pause: seconds without an event after which a session has ended.
    """

    self_weight: NotNegative
    session_weight: NotNegative
    session_pause: NotNegative


class ItemItem:
    """See the module's docstring.

    Attributes:
        weights: [item met, item scored]. Shape (num_items, num_items), float32; empty before `fit`.
    """

    name = "item_item"
    kind = "baseline"
    role = "retrieval"

    def __init__(self, config: ItemItemConfig) -> None:
        self.config = config
        self.weights = sparse.csr_matrix((0, 0), dtype=np.float32)

    def fit(self, dataset: Dataset) -> TrainingHistory:
        """Computes the weights from the interactions and, with `session_weight`, the sessions."""
        sessions = self._sessions(dataset) if self.config.session_weight else ()
        weights = neighbour_weights(chain(self._users(dataset), sessions), dataset.num_items, self.config)
        self_weights = self.config.self_weight * sparse.identity(dataset.num_items, dtype=np.float32)
        self.weights = (weights + self_weights).tocsr()
        self.weights.eliminate_zeros()
        self.weights.sort_indices()
        num_pairs = len(dataset.interactions.item_index)
        return TrainingHistory(facts={"pairs": float(num_pairs), "neighbours": float(self.weights.nnz)})

    def _users(self, dataset: Dataset) -> Iterator[sparse.csr_matrix]:
        """Yields blocks of rows, a row for each user."""
        pairs = dataset.interactions
        for first, last in spans_of_users(pairs.offsets):
            part = slice(int(pairs.offsets[first]), int(pairs.offsets[last]))
            users, shape = pairs.user_index[part] - first, (last - first, dataset.num_items)
            yield decayed_matrix(users, pairs.item_index[part], pairs.age_days[part], self.config.half_life_days, shape)

    def _sessions(self, dataset: Dataset) -> Iterator[sparse.csr_matrix]:
        """Yields blocks of rows, a row for each session in which more than one item was met."""
        events, config = dataset.events, self.config
        for first, last in spans_of_users(events.offsets):
            part = slice(int(events.offsets[first]), int(events.offsets[last]))
            is_read = events.in_history(part)
            users, items, times = (
                values[part][is_read] for values in (events.user_index, events.item_index, events.time)
            )
            is_start = (np.diff(users, prepend=-1) != 0) | (np.diff(times, prepend=0) > config.session_pause)
            session = np.cumsum(is_start) - 1
            # Of an item's events in a session the last one counts.
            keys, places = np.unique((session * dataset.num_items + items)[::-1], return_index=True)
            age_days = (dataset.end - times[::-1][places]) / SECONDS_PER_DAY
            shape = (int(is_start.sum()), dataset.num_items)
            met = decayed_matrix(*np.divmod(keys, dataset.num_items), age_days, config.half_life_days, shape)
            yield config.session_weight * met[np.diff(met.indptr) > 1]

    def retrieval(self, dataset: Dataset) -> Neighbours:
        """Returns the weights, of shape (num_items, num_items)."""
        return Neighbours(self.weights)

    def logits(
        self, dataset: Dataset, user_indices: np.ndarray, item_indices: np.ndarray, without: np.ndarray | None = None
    ) -> np.ndarray:
        """Sums of weights; see `models.families.attribution.Explainable`.

        Args:
            user_indices: shape (num_rows,).
            item_indices: shape (num_rows, any length).
            without: an item for each row that its user is taken never to have met; 0 for none. Shape (num_rows,).

        Returns:
            Shape of `item_indices`, float32.
        """
        sums = (dataset.seen_by(user_indices) @ self.weights).toarray()
        logits = np.take_along_axis(sums, item_indices, axis=1)
        if without is None:
            return logits
        met = np.asarray(dataset.seen_by(user_indices)[np.arange(len(user_indices)), without]).ravel()
        return logits - met[:, None] * self.weights[without[:, None], item_indices].toarray()

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        """Sums of weights; -inf where no met item speaks for an item. Shape (len(user_indices), num_items), float32."""
        sums = (dataset.seen_by(user_indices) @ self.weights).toarray()
        return np.where(sums > 0, sums, -np.inf)

    def save(self, path: Path) -> None:
        """Writes the config and `weights.npz` into the folder `path`."""
        save_config(path, self.config)
        w = self.weights
        np.savez(path / "weights.npz", data=w.data, indices=w.indices, indptr=w.indptr)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        model = cls(load_saved_config(ItemItemConfig, path))
        saved = np.load(path / "weights.npz")
        size = len(saved["indptr"]) - 1
        model.weights = sparse.csr_matrix((saved["data"], saved["indices"], saved["indptr"]), shape=(size, size))
        return model
