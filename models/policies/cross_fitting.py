"""Two policies, each of which answers for the users that the other one learnt from.

So nobody's own clicks have a part in their list, what is checked on past days is the very policy that is published, and
nothing has to be fitted a third time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.slates.slates import CandidateSets, SlatePolicy, Slates

NUM_FOLDS = 2
"""Halves: each is judged by what was fitted to the other, at the price of two fits."""
_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)


def folds_of(user: np.ndarray) -> np.ndarray:
    """Returns the fold of each user, by a hash of the index, so that users who came together are in either fold.

    Args:
        user: user indices. Shape (num_slates,), int64.

    Returns:
        From 0 to NUM_FOLDS - 1. Shape (num_slates,), int64.
    """
    scrambled = (np.asarray(user).astype(np.uint64) + np.uint64(1)) * _SCRAMBLE
    folds: np.ndarray = (scrambled >> np.uint64(40)).astype(np.int64) % NUM_FOLDS
    return folds


@dataclass(frozen=True)
class CrossFitted:
    """A `models.slates.slates.SlatePolicy`; `policies[fold]` was learnt without the users of that fold."""

    policies: Sequence[SlatePolicy]

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        """Returns lists by the policy of each user's fold; see `SlatePolicy.draw`."""
        slates = Slates(np.full((len(candidates), top_k), -1), np.ones((len(candidates), top_k)))
        for fold, rows in self._parts(candidates):
            drawn = self.policies[fold].draw(candidates.rows(rows), top_k, rng)
            slates.slots[rows], slates.propensity[rows] = drawn.slots, drawn.propensity
        return slates

    def propensity(self, candidates: CandidateSets, slates: Slates) -> np.ndarray:
        """Returns the probabilities of lists under the policy of each user's fold; see `SlatePolicy.propensity`.

        Returns:
            Shape (num_slates, top_k), float64.
        """
        probability = np.ones(slates.slots.shape)
        for fold, rows in self._parts(candidates):
            own = Slates(slates.slots[rows], slates.propensity[rows])
            probability[rows] = self.policies[fold].propensity(candidates.rows(rows), own)
        return probability

    def _parts(self, candidates: CandidateSets) -> list[tuple[int, np.ndarray]]:
        fold = folds_of(candidates.user)
        parts = [(n, np.flatnonzero(fold == n)) for n in range(len(self.policies))]
        return [(n, rows) for n, rows in parts if len(rows)]
