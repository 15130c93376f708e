"""Scores and ranks of different lists on one scale: a score as standard deviations of its own list, a rank as its gain.

The scores of two models, or of two days, are no quantities of one kind. Lists come in two forms: as rows of a matrix
with a mask, and as runs of one long array. Sums over the two forms round differently, so each has its own function.
"""

from __future__ import annotations

import numpy as np

MOST_DEVIATIONS = 8.0
"""A standard score beyond this is cut down to it: an outlier must not rule a linear model."""
_TINY = 1e-9
"""Keeps a list whose scores are all equal from a division by zero."""


def standard_scores(score: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
    """Returns scores less the mean of the row's candidates, over their standard deviation; 0 where all are equal.

    Args:
        score: the higher the better; anything where `is_candidate` is False. Shape (num_lists, num_candidates), float.
        is_candidate: same shape, bool.

    Returns:
        Shape (num_lists, num_candidates), float64, within MOST_DEVIATIONS of 0; 0 where there is no candidate.
    """
    num = np.maximum(is_candidate.sum(axis=1, keepdims=True), 1)
    known = np.where(is_candidate, score, 0.0).astype(np.float64)
    apart = np.where(is_candidate, known - known.sum(axis=1, keepdims=True) / num, 0.0)
    deviation = np.sqrt((apart**2).sum(axis=1, keepdims=True) / num)
    return np.clip(apart / (deviation + _TINY), -MOST_DEVIATIONS, MOST_DEVIATIONS)


def standard_scores_of_runs(score: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the same as `standard_scores` for lists that follow each other in one array.

    Args:
        score: shape (num_rows,), float64.
        starts: where each list begins, ascending from 0. Shape (num_lists,), int64.
        lengths: of each list, at least 1. Same shape.

    Returns:
        Shape (num_rows,), float64.
    """
    means = np.add.reduceat(score, starts) / lengths
    apart = score - np.repeat(means, lengths)
    deviations = np.sqrt(np.add.reduceat(apart**2, starts) / lengths)
    return np.clip(apart / np.repeat(deviations + _TINY, lengths), -MOST_DEVIATIONS, MOST_DEVIATIONS)


def rank_gains(rank: np.ndarray) -> np.ndarray:
    """Returns the gain that a hit at each rank has in an NDCG.

    Args:
        rank: counted from 0, of any shape, int64.

    Returns:
        1 / log2(rank + 2). Same shape, float64.
    """
    return np.asarray(1 / np.log2(rank + 2))
