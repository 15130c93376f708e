"""What is known of a user and an item together as of a moment: repeats, their timing, and how well the item goes with
what the user met before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from models.data.item_similarity import SimilarityConfig, decayed_matrix, neighbour_weights
from models.data.mmap_arrays import spans_of_users
from models.data.snapshot import Snapshot

PAIR_DIM = 7
"""Columns of the features of a pair."""
_SMALLEST_FIT = 0.01
"""Added before the logarithm of a fit: below it, differences are noise."""


@dataclass(frozen=True)
class PairFeatures:
    """Features of pairs as of one snapshot."""

    snapshot: Snapshot
    neighbours: SimilarityConfig

    @cached_property
    def _weights(self) -> sparse.csr_matrix:
        """How much an item speaks for another, from the events before the cut alone."""
        return neighbour_weights(self._decayed_parts(), self.snapshot.dataset.num_items, self.neighbours)

    def _decayed_parts(self) -> Iterator[sparse.csr_matrix]:
        num_items = self.snapshot.dataset.num_items
        for first, last in spans_of_users(self.snapshot.dataset.events.offsets):
            pairs = self.snapshot.pairs_of(np.arange(first, last))
            rows, items = pairs.rows_items()
            yield decayed_matrix(
                rows, items, pairs.last_days, self.neighbours.half_life_days, (last - first, num_items)
            )

    def of(self, user_indices: np.ndarray, item_indices: np.ndarray, without: np.ndarray | None = None) -> np.ndarray:
        """Features of each user with each item of their row.

        Args:
            user_indices: integers. Shape (num_users,).
            item_indices: integers. Shape (num_users, num_candidates).
            without: an item for each row that its user is taken never to have met; 0 takes nothing out.
                Shape (num_users,).

        Returns:
            float32, shape (num_users, num_candidates, PAIR_DIM).
        """
        pairs, num_items = self.snapshot.pairs_of(user_indices), self.snapshot.dataset.num_items
        if without is not None:
            pairs = pairs.without(without)
        ones = np.ones(len(pairs.keys), dtype=np.float32)
        met = sparse.csr_matrix((ones, pairs.rows_items()), shape=(len(user_indices), num_items))
        fit = np.take_along_axis((met @ self._weights).toarray(), item_indices, axis=1).ravel()[:, None]
        log_fit = np.log((np.maximum(fit, 0) + _SMALLEST_FIT) / _SMALLEST_FIT)
        rows = np.repeat(np.arange(len(user_indices)), item_indices.shape[1])
        columns = [pairs.features(rows, item_indices.ravel()), log_fit]
        return np.concatenate(columns, axis=1).reshape(*item_indices.shape, PAIR_DIM).astype(np.float32)
