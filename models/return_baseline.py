"""What a list would earn whatever stood in it: the baseline that returns are held against.

Who visits often earns much with any list, and what stands at the tenth place is hardly looked at; a policy learns from
neither. A ridge regression for each rank, on what is known of the user and of their candidates on the whole, takes
both out, so that what is left of a return is owed to the choice, or to chance.
"""

from __future__ import annotations

import numpy as np

from models.slates import Choices

REGULARIZATION = 1.0
"""Of the squared weights of inputs in standard deviations, in lists."""


class Baseline:
    """What `fitted_baseline` makes.

    Attributes:
        mean, deviation: of the inputs. Shape (num_inputs,).
        weights: the last are the constants. Shape (num_inputs + 1, top_k).
    """

    def __init__(self, mean: np.ndarray, deviation: np.ndarray, weights: np.ndarray) -> None:
        self.mean, self.deviation, self.weights = mean, deviation, weights

    def values(self, choices: Choices) -> np.ndarray:
        """Shape (num_slates, top_k)."""
        return np.asarray(_with_constant((_inputs(choices) - self.mean) / self.deviation) @ self.weights)


def fitted_baseline(choices: Choices, place: np.ndarray, returns: np.ndarray) -> Baseline:
    """Args: `place` as in `Slates`, -1 where a list has ended; `returns` of each place. Both (num_slates, top_k)."""
    inputs = _inputs(choices)
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
    rows = _with_constant((inputs - mean) / deviation)
    penalty = REGULARIZATION * np.eye(rows.shape[1])
    weights = []
    for rank in range(place.shape[1]):
        is_there = place[:, rank] >= 0
        known = rows[is_there]
        weights.append(np.linalg.solve(known.T @ known + penalty, known.T @ returns[is_there, rank]))
    return Baseline(mean, deviation, np.stack(weights, axis=1))


def _inputs(choices: Choices) -> np.ndarray:
    """The mean features of each list's candidates. Those of the user are the same for all of them."""
    num = np.maximum(choices.is_candidate.sum(axis=1, keepdims=True), 1)
    return np.asarray(choices.features.sum(axis=1) / num, dtype=np.float64)


def _with_constant(inputs: np.ndarray) -> np.ndarray:
    return np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
