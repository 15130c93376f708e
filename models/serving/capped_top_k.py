"""The best items of one list, by their scores: ties by index, and no more of a category, brand or group than may be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from expectations.semantics.list_caps import Cap, split_by_caps

_SEARCHED = 4
"""So many times a list's items are looked at first for what caps leave."""


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Indices of the best `k` scores that are not -inf, equal ones in the order of the index.

    Args:
        scores: float32. Shape (num_items,).

    Returns:
        int64, best first. Shape (at most k,).
    """
    last = np.partition(scores, -k)[-k] if k < len(scores) else -np.inf
    # All that tie with the last one stand here, so that the index decides and not the partition.
    near = np.flatnonzero((scores >= last) & (scores > -np.inf))
    return near[np.argsort(-scores[near], kind="stable")][:k]


def capped_top_k(scores: np.ndarray, k: int, caps: Sequence[Cap]) -> np.ndarray:
    """As `top_k`, under caps; where these leave fewer than `k`, the best of the others follow, as in the night.

    Args:
        scores: float32. Shape (num_items,).

    Returns:
        int64, best first. Shape (at most k,).
    """
    if not caps:
        return top_k(scores, k)
    num_searched = _SEARCHED * k
    while True:
        best = top_k(scores, num_searched)
        kept, passed = split_by_caps(best, k, caps)
        if len(kept) == k or len(best) < num_searched:
            return np.array([*kept, *passed[: k - len(kept)]], dtype=np.int64)
        num_searched *= _SEARCHED
