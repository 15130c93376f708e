"""The candidates of a block of users, as lists are chosen among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expectations.tables import PADDING_INDEX

_NO_VARIANCE = 1e-18
"""Relevances whose variance is no larger differ only by how floating point rounds."""


@dataclass(frozen=True)
class Pool:
    """The candidates of users, one row per user, best first: by relevance, then score, then item_index.

    Attributes:
        items: item indices, int; PADDING_INDEX where a user has no more. Shape (num_users, num_candidates).
        scores: the model's scores, float64. Same shape.
        relevance: the score between the user's best candidate (1) and last one (0), times the boost; float64. Same
            shape.
        users: whose candidates they are, int. Shape (num_users,).
    """

    items: np.ndarray
    scores: np.ndarray
    relevance: np.ndarray
    users: np.ndarray

    @classmethod
    def of(
        cls, items: np.ndarray, scores: np.ndarray, boost: np.ndarray | None = None, users: np.ndarray | None = None
    ) -> Pool:
        """Orders candidates that come in any order.

        Args:
            items: item indices, int; PADDING_INDEX where a user has no more. Shape (num_users, num_candidates).
            scores: float64. Same shape.
            boost: the factor of each item's relevance, by item_index, float64. Shape (num_items,).
            users: whose candidates they are, int; their numbers from 0 by default. Shape (num_users,).
        """
        is_item = items != PADDING_INDEX
        best = np.where(is_item, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
        worst = np.where(is_item, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
        width = np.where(best > worst, best - worst, 1.0)
        relevance = np.where(best > worst, (np.where(is_item, scores, 0.0) - worst) / width, 1.0)
        if boost is not None:
            relevance = relevance * boost[items]
        relevance = np.where(is_item, relevance, 0.0)
        order = np.lexsort((items, -scores, -relevance, ~is_item))
        users = np.arange(len(items)) if users is None else users
        items, scores, relevance = (np.take_along_axis(values, order, axis=1) for values in (items, scores, relevance))
        return cls(items, scores, relevance, users)

    @property
    def is_item(self) -> np.ndarray:
        """True where there is a candidate. Shape (num_users, num_candidates), bool."""
        return self.items != PADDING_INDEX

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of each user's relevances; 1 where all are equal. Shape (num_users,), float64."""
        num = np.maximum(self.is_item.sum(axis=1, keepdims=True), 1)
        mean = self.relevance.sum(axis=1, keepdims=True) / num
        variance = (np.where(self.is_item, self.relevance - mean, 0.0) ** 2).sum(axis=1) / num[:, 0]
        return np.where(variance > _NO_VARIANCE, np.sqrt(variance), 1.0)

    def rows(self, rows: np.ndarray) -> Pool:
        """Returns the pool of some of the users: the places `rows`, shape (num_rows,), int."""
        return Pool(self.items[rows], self.scores[rows], self.relevance[rows], self.users[rows])


@dataclass(frozen=True)
class ReservedSlots:
    """Slots of lists that are reserved for some items, whatever the value of others.

    Attributes:
        is_reserved: candidates that must come in, bool. Shape (num_users, num_candidates).
        others: indices of items that no model proposed and that come in after all candidates, int; PADDING_INDEX at
            the end. Shape (num_users, num_others).
    """

    is_reserved: np.ndarray
    others: np.ndarray
