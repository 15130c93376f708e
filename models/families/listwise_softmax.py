"""Weights under which what users wanted stands first in their lists: a linear listwise softmax, solved to its optimum.

For a user with rows x_i of which some are wanted (y_i = 1), the loss is -sum y_i log softmax(x w)_i / sqrt(sum y_i): a
user who wanted much counts more, but not in proportion. The mean over users plus a penalty is convex in w.

Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach", ICML 2007 (the top-one softmax).
What differs: several wanted items share one softmax. It is written here, and not taken from statsmodels, whose
`ConditionalLogit` loops over the lists in Python.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize


def listwise_weights(
    features: np.ndarray, is_wanted: np.ndarray, list_of_row: np.ndarray, regularization: float
) -> np.ndarray:
    """Solves for the weights of the features.

    Args:
        features: shape (num_rows, num_features).
        is_wanted: lists in which nothing is wanted are left out. Shape (num_rows,), bool.
        list_of_row: the number of each row's list, ascending. Shape (num_rows,).
        regularization: of the squared weights of features in standard deviations.

    Returns:
        Shape (num_features,), float64; zeros where no list holds anything wanted.
    """
    _, list_of_row = np.unique(list_of_row, return_inverse=True)
    is_kept = np.bincount(list_of_row, is_wanted)[list_of_row] > 0
    if not is_kept.any():
        return np.zeros(features.shape[1])
    deviations = features[is_kept].std(axis=0) + 1e-9
    rows = (features[is_kept] - features[is_kept].mean(axis=0)) / deviations
    starts = np.flatnonzero(np.diff(list_of_row[is_kept], prepend=-1))
    found = minimize(
        _loss_and_gradient,
        np.zeros(rows.shape[1]),
        (rows, is_wanted[is_kept].astype(np.float64), starts, regularization),
        method="L-BFGS-B",
        jac=True,
    )
    return np.asarray(found.x / deviations)


def _loss_and_gradient(
    weights: np.ndarray, rows: np.ndarray, wanted: np.ndarray, starts: np.ndarray, regularization: float
) -> tuple[float, np.ndarray]:
    """The loss of all lists, and its gradient by the weights.

    Args:
        weights: shape (num_features,).
        rows: features in standard deviations. Shape (num_rows, num_features).
        wanted: 1 or 0; every list holds a 1. Shape (num_rows,).
        starts: the first row of each list. Shape (num_lists,).
        regularization: of the squared weights.
    """
    lengths = np.diff(starts, append=len(rows))
    shares = wanted / np.repeat(np.sqrt(np.add.reduceat(wanted, starts)), lengths)
    totals = np.add.reduceat(shares, starts)
    scores = rows @ weights
    highest = np.maximum.reduceat(scores, starts)
    exponentials = np.exp(scores - np.repeat(highest, lengths))
    sums = np.add.reduceat(exponentials, starts)
    loss = (totals * (np.log(sums) + highest)).sum() - shares @ scores
    error = exponentials * np.repeat(totals / sums, lengths) - shares
    penalty = regularization * weights @ weights
    return loss / len(starts) + penalty, rows.T @ error / len(starts) + 2 * regularization * weights
