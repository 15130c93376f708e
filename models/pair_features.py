"""What is known of a user and an item together as of a moment: repeats, their timing, and how well the item goes with
what the user met before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from models.item_item import ItemItemConfig, decayed_matrix, neighbour_weights
from models.snapshot import Snapshot

PAIR_DIM = 7
_SMALLEST_FIT = 0.01
"""Added before the logarithm of a fit: below it, differences are noise."""


@dataclass(frozen=True)
class PairFeatures:
    """Features of pairs as of one snapshot."""

    snapshot: Snapshot
    neighbours: ItemItemConfig

    @cached_property
    def _met(self) -> sparse.csr_matrix:
        users, items = self.snapshot.pairs.users_items()
        ones = np.ones(len(users), dtype=np.float32)
        return sparse.csr_matrix((ones, (users, items)), shape=self._shape)

    @cached_property
    def _weights(self) -> sparse.csr_matrix:
        """How much an item speaks for another, from the events before the cut alone."""
        pairs = self.snapshot.pairs
        users, items = pairs.users_items()
        met = decayed_matrix(users, items, pairs.last_days, self.neighbours.half_life_days, self._shape)
        return neighbour_weights(met, self.neighbours)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.snapshot.dataset.num_users, self.snapshot.dataset.num_items

    def of(self, user_indices: np.ndarray, item_indices: np.ndarray) -> np.ndarray:
        """Features of each user with each item of their row.

        Args:
            user_indices: shape (num_users,).
            item_indices: shape (num_users, num_candidates).

        Returns:
            Shape (num_users, num_candidates, PAIR_DIM).
        """
        users = np.repeat(user_indices, item_indices.shape[1])
        items = item_indices.ravel()
        fit = (self._met[user_indices] @ self._weights).toarray()  # (num_users, num_items)
        fit = np.take_along_axis(fit, item_indices, axis=1).ravel()[:, None]
        log_fit = np.log((np.maximum(fit, 0) + _SMALLEST_FIT) / _SMALLEST_FIT)
        columns = [
            self.snapshot.pairs.features(users, items),
            self.snapshot.target_pairs.features(users, items),
            log_fit,
        ]
        return np.concatenate(columns, axis=1).reshape(*item_indices.shape, PAIR_DIM).astype(np.float32)
