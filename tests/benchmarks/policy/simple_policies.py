"""The plain policies that agents are held against. Each is a `models.slates.slates.SlatePolicy`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.policies.plackett_luce import drawn
from models.slates.slates import CandidateSets, Slates


@dataclass(frozen=True)
class RankerPolicy:
    """Draws by the ranker's standard score, the closer to its order the sharper; without drawing, its order itself."""

    inverse_temperature: float = 1.0

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        utility = self.inverse_temperature * candidates.features[..., 0].astype(np.float64)
        return drawn(candidates, utility, np.zeros_like(utility), top_k, rng)

    def propensity(self, candidates: CandidateSets, slates: Slates) -> np.ndarray:
        weight = np.where(candidates.is_candidate, np.exp(self.inverse_temperature * candidates.features[..., 0]), 0.0)
        return _shares(weight, slates.slots)


@dataclass(frozen=True)
class EpsilonGreedyPolicy:
    """Each slot goes to the best candidate that is left, but with `epsilon` to any of those left."""

    epsilon: float = 0.1

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        if rng is None:
            return RankerPolicy().draw(candidates, top_k, None)
        left, rows = candidates.is_candidate.copy(), np.arange(len(candidates))
        slots = np.full((len(candidates), top_k), -1)
        score = candidates.features[..., 0]
        for rank in range(min(top_k, left.shape[1])):
            strays = rng.random(len(candidates)) < self.epsilon
            keys = np.where(strays[:, None], rng.random(left.shape), score)
            chosen = np.where(left, keys, -np.inf).argmax(axis=1)
            slots[:, rank] = np.where(left.any(axis=1), chosen, -1)
            left[rows, chosen] = False
        slates = Slates(slots, np.ones(slots.shape))
        return Slates(slots, self.propensity(candidates, slates))

    def propensity(self, candidates: CandidateSets, slates: Slates) -> np.ndarray:
        left, rows = candidates.is_candidate.copy(), np.arange(len(candidates))
        probability = np.ones(slates.slots.shape)
        for rank, chosen in enumerate(slates.slots.T):
            is_filled = chosen >= 0
            best = np.where(left, candidates.features[..., 0], -np.inf).argmax(axis=1)
            share = self.epsilon / np.maximum(left.sum(axis=1), 1) + (1 - self.epsilon) * (best == chosen)
            probability[is_filled, rank] = share[is_filled]
            left[rows[is_filled], chosen[is_filled]] = False
        return probability


def _shares(weight: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The share of each slot's weight among those that are left. Shape of `slots`."""
    left, rows, probability = weight.copy(), np.arange(len(weight)), np.ones(places.shape)
    for rank, chosen in enumerate(places.T):
        is_filled = chosen >= 0
        share = left[rows, chosen] / np.maximum(left.sum(axis=1), 1e-300)
        probability[is_filled, rank] = share[is_filled]
        left[rows[is_filled], chosen[is_filled]] = 0
    return probability
