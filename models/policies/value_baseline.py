"""The value baseline: what a list would return whatever stood in it, which advantages are measured from.

Who visits often earns much with any list, and the tenth slot is hardly looked at; a policy learns from neither. A ridge
regression for each rank, on the mean features of the list's candidates, takes both out, so that what is left of a
return is owed to the choice, or to chance.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge

from models.slates.slates import CandidateSets

REGULARIZATION = 1.0
"""Of the squared weights of inputs in standard deviations, in lists."""


def expected_returns(
    candidates: CandidateSets, slots: np.ndarray, returns: np.ndarray, is_training: np.ndarray
) -> np.ndarray:
    """Returns the expected return of each slot, whatever stands in it.

    Args:
        slots: as in `Slates`, -1 where a list has ended. Shape (num_slates, top_k), int64.
        returns: of each slot. Same shape, float64.
        is_training: which lists the baseline is fitted to. Shape (num_slates,), bool.

    Returns:
        Shape (num_slates, top_k), float64.
    """
    inputs = list_inputs(candidates)
    of_ranks = [
        ridge(inputs, is_training & (there := slots[:, rank] >= 0), returns[is_training & there, rank, None])
        for rank in range(slots.shape[1])
    ]
    return np.concatenate(of_ranks, axis=1)


def list_inputs(candidates: CandidateSets) -> np.ndarray:
    """Returns the mean features of each list's candidates; those of the user are the same for all.

    Returns:
        Shape (num_slates, num_features), float64.
    """
    num = np.maximum(candidates.is_candidate.sum(axis=1, keepdims=True), 1)
    return np.asarray(candidates.features.sum(axis=1) / num, dtype=np.float64)


def ridge(inputs: np.ndarray, is_training: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Returns what a ridge regression on the inputs predicts of the targets, for all rows.

    Args:
        inputs: shape (num_rows, num_inputs), float64.
        is_training: which rows the regression is fitted to. Shape (num_rows,), bool.
        targets: of the rows that it is fitted to. Shape (num_training_rows, num_targets), float64.

    Returns:
        Shape (num_rows, num_targets), float64; zeros where there is no row to fit to.
    """
    if not is_training.any():
        return np.zeros((len(inputs), targets.shape[1]))
    known = inputs[is_training]
    rows = (inputs - known.mean(axis=0)) / (known.std(axis=0) + 1e-6)
    fitted = Ridge(alpha=REGULARIZATION, solver="cholesky").fit(rows[is_training], targets)
    return np.asarray(fitted.predict(rows)).reshape(len(inputs), -1)
