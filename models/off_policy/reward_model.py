"""What an action earns, learnt from a log: the model behind `dm`, `dr` and `switch_dr` in `estimators`.

Ridge regression on features of context and action. It is linear, so that its mean under a policy is its answer for the
policy's mean features, and no array has an axis of actions. It is *cross-fitted*: rows are predicted by fits
on other units, since a model that has seen a row's reward explains it too well, and `dr` would then correct too little
(Chernozhukov et al. 2018, section 3). The ridge and the folds are written here, and not taken from scikit-learn: the
products of all folds but one come from a single pass over a log of millions of rows, where `Ridge` would read it anew
for each fold, and `GroupKFold` assigns other folds than those of published figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from expectations.shop.bounds import Bounded


@dataclass(frozen=True)
class RewardModelConfig(Bounded):
    """How to fit.

    Attributes:
        num_folds: parts of the units; each is predicted by a fit on the others.
        penalty: strength of the ridge. With one 0/1 feature for each action, as many rows of the mean reward are added
            to each action's own.
        seed: of the folds.
    """

    num_folds: Annotated[int, Field(ge=2), "must be at least 2: one to learn, one to ask"] = 5
    penalty: Annotated[float, Field(gt=0), "must be above 0, or rare features have no answer"] = 100.0
    seed: int = 1


def cross_fitted_rewards(
    features: np.ndarray, target_features: np.ndarray, reward: np.ndarray, unit: np.ndarray, config: RewardModelConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Predicts rewards of the logged actions and of the target's, by fits on other units.

    Args:
        features: of context and logged action. Shape (num_rows, num_features), float64.
        target_features: their mean over actions, by the target's probabilities in the row's context. Same shape.
        reward: shape (num_rows,), float64.
        unit: whose row it is; all rows of one unit are in one fold. Shape (num_rows,), any dtype.

    Returns:
        `predicted` and `predicted_target` of `models.off_policy.estimators.evaluate`, each of shape (num_rows,),
        float64.

    Raises:
        ValueError: shapes differ, or there are fewer units than folds.
    """
    if features.shape != target_features.shape or len(features) != len(reward) or len(unit) != len(reward):
        raise ValueError(
            "Features, rewards and units must be of the same rows. Received: "
            f"{features.shape}, {target_features.shape}, {reward.shape}, {unit.shape}"
        )
    fold = _folds(unit, config)
    sums = np.stack([_sums(features[fold == f], reward[fold == f]) for f in range(config.num_folds)])
    predicted, predicted_target = np.empty(len(reward)), np.empty(len(reward))
    for f, of_others in enumerate(sums.sum(axis=0) - sums):
        mean_features, mean_reward, weights = _ridge(of_others, config.penalty)
        rows = fold == f
        predicted[rows] = mean_reward + (features[rows] - mean_features) @ weights
        predicted_target[rows] = mean_reward + (target_features[rows] - mean_features) @ weights
    return predicted, predicted_target


def _folds(unit: np.ndarray, config: RewardModelConfig) -> np.ndarray:
    """Which fold each row is in; folds differ by one unit at most."""
    units, of_row = np.unique(unit, return_inverse=True)
    if len(units) < config.num_folds:
        raise ValueError(f"Each of {config.num_folds} folds needs a unit of its own. Received: {len(units)} units")
    shuffled = np.random.default_rng(config.seed).permutation(len(units))
    folds: np.ndarray = shuffled[of_row] % config.num_folds
    return folds


def _sums(features: np.ndarray, reward: np.ndarray) -> np.ndarray:
    """All that ridge regression asks of rows: products of (1, features, reward). Shape (features + 2, features + 2)."""
    rows = np.column_stack([np.ones(len(reward)), features, reward]).astype(np.float64)
    products: np.ndarray = rows.T @ rows
    return products


def _ridge(sums: np.ndarray, penalty: float) -> tuple[np.ndarray, float, np.ndarray]:
    """Means of the features and of the reward, and the weights of deviations from them."""
    num_rows, totals = sums[0, 0], sums[0, 1:]
    means = totals / num_rows
    products = sums[1:, 1:] - num_rows * np.outer(means, means)  # of deviations from the means
    gram = products[:-1, :-1] + penalty * np.eye(len(means) - 1)
    return means[:-1], float(means[-1]), np.linalg.solve(gram, products[:-1, -1])
