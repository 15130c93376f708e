"""Ranking metrics over many users at once, with binary relevance.

Everything is said about one matrix, `is_hit` (num_users, depth): whether the item at a rank is relevant to the user.
With `rel_r` for the hit at rank r, counted from 1, and R for the number of the user's relevant items:

    recall@k    sum_{r<=k} rel_r / R
    dcg@k       sum_{r<=k} rel_r / log2(r + 1)
    ndcg@k      dcg@k / sum_{r<=min(k, R)} 1 / log2(r + 1)
    map@k       sum_{r<=k} rel_r * (sum_{s<=r} rel_s / r) / min(k, R)
    mrr@k       1 / (first r <= k with rel_r), or 0 without one
    hit_rate@k  1 if any rel_r with r <= k, else 0

Each function returns one value a user, so that means, intervals and slices are taken of the same figures.

Source: Järvelin and Kekäläinen 2002 (DCG).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.interface.model import NO_ITEM


@dataclass(frozen=True)
class Relevant:
    """The relevant items of users, as pairs sorted by (user_row, item_index), each pair once.

    Attributes:
        user_rows: position of the user among `num_users`; not the user's index in the vocabulary.
    """

    user_rows: np.ndarray
    item_indices: np.ndarray
    num_users: int

    @property
    def counts(self) -> np.ndarray:
        """How many relevant items each user has. int64, shape (num_users,)."""
        return np.bincount(self.user_rows, minlength=self.num_users)


def relevant_from_pairs(user_rows: np.ndarray, item_indices: np.ndarray, num_users: int) -> Relevant:
    """Sorts pairs and drops repetitions.

    Args:
        user_rows, item_indices: integers, a pair in each place. Shape (num_pairs,).

    Raises:
        ValueError: a user has no relevant item: recall is undefined there, and a silent 0 would drag the mean down.
    """
    pairs = np.unique(np.stack([user_rows, item_indices], axis=1).astype(np.int64), axis=0)
    relevant = Relevant(pairs[:, 0], pairs[:, 1], num_users)
    without = np.flatnonzero(relevant.counts == 0)
    if len(without):
        raise ValueError(f"Every judged user needs a relevant item. Rows without one: {without[:5].tolist()}")
    return relevant


def hits(ranked_items: np.ndarray, relevant: Relevant) -> np.ndarray:
    """Which ranks hold a relevant item.

    Args:
        ranked_items: item indices, best first, no item twice in a row; NO_ITEM where a list has ended.
            Integers of shape (num_users, depth).

    Returns:
        bool, the same shape.

    Raises:
        ValueError: lists and truth are about different numbers of users.
    """
    num_users, depth = ranked_items.shape
    if num_users != relevant.num_users:
        raise ValueError(
            f"Lists and truth must be about the same users. Received: {num_users} and {relevant.num_users}"
        )
    if ranked_items.size == 0:
        return np.zeros(ranked_items.shape, dtype=bool)
    # One integer a pair, shifted by one so that NO_ITEM of one user is no item of the user before.
    width = int(max(ranked_items.max(), relevant.item_indices.max())) + 2
    wanted = relevant.user_rows * width + relevant.item_indices + 1  # sorted
    offered = np.arange(num_users, dtype=np.int64)[:, None] * width + ranked_items + 1  # (num_users, depth)
    places = np.minimum(np.searchsorted(wanted, offered.ravel()), len(wanted) - 1)
    return (wanted[places] == offered.ravel()).reshape(num_users, depth)


def recall_at_k(is_hit: np.ndarray, num_relevant: np.ndarray, k: int) -> np.ndarray:
    """Share of a user's relevant items that stand in the first `k` ranks.

    Source: Manning, Raghavan, Schütze, "Introduction to Information Retrieval", 2008, section 8.4.

    Args:
        is_hit: what `hits` returns, booleans. Shape (num_users, depth).
        num_relevant: integers of at least 1. Shape (num_users,).
        k: cut-off rank, counted from 1.

    Returns:
        float64 in [0, 1], shape (num_users,).

    Raises:
        ValueError: `k` < 1.
    """
    return _first(is_hit, k).sum(axis=1) / num_relevant


def ndcg_at_k(is_hit: np.ndarray, num_relevant: np.ndarray, k: int) -> np.ndarray:
    """Discounted gain over that of a perfect list, which holds min(k, num_relevant) relevant items first.

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.

    Args:
        is_hit: what `hits` returns, booleans. Shape (num_users, depth).
        num_relevant: integers of at least 1. Shape (num_users,).
        k: cut-off rank, counted from 1.

    Returns:
        float64 in [0, 1], shape (num_users,).

    Raises:
        ValueError: `k` < 1.
    """
    discounts = 1.0 / np.log2(np.arange(2, k + 2))  # (k,)
    gain = _first(is_hit, k) @ discounts[: is_hit.shape[1]]
    return gain / np.cumsum(discounts)[np.minimum(num_relevant, k) - 1]


def map_at_k(is_hit: np.ndarray, num_relevant: np.ndarray, k: int) -> np.ndarray:
    """Mean of the precisions at each hit, over min(k, num_relevant).

    Source: Manning, Raghavan, Schütze, "Introduction to Information Retrieval", 2008, section 8.4.

    Args:
        is_hit: what `hits` returns, booleans. Shape (num_users, depth).
        num_relevant: integers of at least 1. Shape (num_users,).
        k: cut-off rank, counted from 1.

    Returns:
        float64 in [0, 1], shape (num_users,).

    Raises:
        ValueError: `k` < 1.
    """
    first = _first(is_hit, k)
    precisions = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)  # (num_users, k)
    total: np.ndarray = (precisions * first).sum(axis=1)
    return total / np.minimum(num_relevant, k)


def mrr_at_k(is_hit: np.ndarray, num_relevant: np.ndarray, k: int) -> np.ndarray:
    """One over the rank of the first hit, 0 without one.

    Source: Voorhees, "The TREC-8 Question Answering Track Report", 1999.

    Args:
        is_hit: what `hits` returns, booleans. Shape (num_users, depth).
        num_relevant: integers of at least 1. Shape (num_users,).
        k: cut-off rank, counted from 1.

    Returns:
        float64 in [0, 1], shape (num_users,).

    Raises:
        ValueError: `k` < 1.
    """
    first = _first(is_hit, k)
    if first.shape[1] == 0:
        return np.zeros(len(first))
    ranks = first.argmax(axis=1) + 1  # of the first hit, if there is one
    return first.any(axis=1) / ranks


def hit_rate_at_k(is_hit: np.ndarray, num_relevant: np.ndarray, k: int) -> np.ndarray:
    """Whether there is any hit: 1.0 or 0.0.

    Args:
        is_hit: what `hits` returns, booleans. Shape (num_users, depth).
        num_relevant: integers of at least 1. Shape (num_users,).
        k: cut-off rank, counted from 1.

    Returns:
        float64 in [0, 1], shape (num_users,).

    Raises:
        ValueError: `k` < 1.
    """
    return np.asarray(_first(is_hit, k).any(axis=1), dtype=np.float64)


METRICS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "recall": recall_at_k,
    "ndcg": ndcg_at_k,
    "map": map_at_k,
    "mrr": mrr_at_k,
    "hit_rate": hit_rate_at_k,
}
"""By the names of the columns of `backtests`."""


def recommended_items(ranked_items: np.ndarray, k: int) -> np.ndarray:
    """The distinct items in the first `k` ranks of all lists; what coverage counts.

    Args:
        ranked_items: as `hits` takes them. Shape (num_users, depth).

    Returns:
        int64, ascending. Shape (num_items_listed,).
    """
    items = np.unique(ranked_items[:, :k])
    return items[items != NO_ITEM]


def _first(is_hit: np.ndarray, k: int) -> np.ndarray:
    if k < 1:
        raise ValueError(f"`k` counts ranks from 1. Received: k={k}")
    return is_hit[:, :k]
