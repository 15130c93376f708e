"""The best items of one list, by their scores: ties by index, and no more of a category or brand than a shop allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

Cap = tuple[int, np.ndarray]
"""At most so many of a group, and each item's group by its index: 0 is none."""
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
        kept, passed = _within(best, k, caps)
        if len(kept) == k or len(best) < num_searched:
            return np.array([*kept, *passed[: k - len(kept)]], dtype=np.int64)
        num_searched *= _SEARCHED


def _within(best_first: np.ndarray, k: int, caps: Sequence[Cap]) -> tuple[list[int], list[int]]:
    """What the caps let into a list of `k`, and what they passed over."""
    uses: list[Counter[int]] = [Counter() for _ in caps]
    kept: list[int] = []
    passed: list[int] = []
    for item in best_first.tolist():
        groups = [int(group[item]) for _, group in caps]
        if any(group and use[group] >= most for (most, _), use, group in zip(caps, uses, groups, strict=True)):
            passed.append(item)
            continue
        kept.append(item)
        if len(kept) == k:
            break
        for use, group in zip(uses, groups, strict=True):
            use[group] += 1
    return kept, passed
