"""The value of a policy, estimated on users who were held out, and the error of that estimate.

The value is a capped, self-normalized estimate (`models.policies.policy_gradient`), a ratio of sums. What each list
adds to it is computed to first order, so that the error of a difference between two policies is that of a sum over
users, whose lists depend on each other.

Source: Owen, "Monte Carlo theory, methods and examples", 2013, section 9.2 (self-normalized weights and their error).
What differs: users in place of draws, and the difference of two estimates from the same lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CAUTION = 2.0
"""Standard errors by which one policy has to be better than another before that counts."""


@dataclass(frozen=True)
class HoldoutEstimate:
    """What a slot would earn beyond the baseline, by weights that sum to 1, less the price of divergence.

    Attributes:
        lists: sums over each list's slots: weighted advantages, weights, divergences, slots. Shape (num_lists, 4).
        kl_weight: the price of divergence.
    """

    lists: np.ndarray
    kl_weight: float

    @property
    def value(self) -> float:
        """In standard deviations of what a slot earns beyond the baseline."""
        advantage, weight, divergence, num = self.lists.sum(axis=0)
        return float(advantage / weight - self.kl_weight * divergence / num)

    @property
    def by_list(self) -> np.ndarray:
        """What each list adds to the value, to first order; they sum to 0. Shape (num_lists,), float64."""
        advantage, weight, divergence, num = self.lists.T
        mean_advantage, mean_divergence = advantage.sum() / weight.sum(), divergence.sum() / num.sum()
        cost = self.kl_weight * (divergence - mean_divergence * num) / num.sum()
        return np.asarray((advantage - mean_advantage * weight) / weight.sum() - cost)

    def sure_gain(self, other: HoldoutEstimate, user: np.ndarray) -> float:
        """Returns by how much this is above another of the same lists, less CAUTION standard errors of the difference.

        Args:
            user: of each list; those of one user are not independent. Shape (num_lists,), int64.
        """
        _, nth_user = np.unique(user, return_inverse=True)
        error = np.sqrt((np.bincount(nth_user, self.by_list - other.by_list) ** 2).sum())
        return float(self.value - other.value - CAUTION * error)
