"""The plain policies that agents are held against. Each is a `models.slates.slates.SlatePolicy`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.policies.plackett_luce import drawn
from models.slates.slates import Choices, Slates


@dataclass(frozen=True)
class RankerPolicy:
    """Draws by the ranker's standard score, the closer to its order the sharper; without drawing, its order itself."""

    sharpness: float = 1.0

    def draw(self, choices: Choices, top_k: int, rng: np.random.Generator | None) -> Slates:
        worth = self.sharpness * choices.features[..., 0].astype(np.float64)
        return drawn(choices, worth, np.zeros_like(worth), top_k, rng)

    def propensity(self, choices: Choices, slates: Slates) -> np.ndarray:
        weight = np.where(choices.is_candidate, np.exp(self.sharpness * choices.features[..., 0]), 0.0)
        return _shares(weight, slates.place)


@dataclass(frozen=True)
class EpsilonGreedyPolicy:
    """Each place goes to the best candidate that is left, but with `epsilon` to any of those left."""

    epsilon: float = 0.1

    def draw(self, choices: Choices, top_k: int, rng: np.random.Generator | None) -> Slates:
        if rng is None:
            return RankerPolicy().draw(choices, top_k, None)
        left, rows = choices.is_candidate.copy(), np.arange(len(choices))
        place = np.full((len(choices), top_k), -1)
        score = choices.features[..., 0]
        for rank in range(min(top_k, left.shape[1])):
            strays = rng.random(len(choices)) < self.epsilon
            keys = np.where(strays[:, None], rng.random(left.shape), score)
            chosen = np.where(left, keys, -np.inf).argmax(axis=1)
            place[:, rank] = np.where(left.any(axis=1), chosen, -1)
            left[rows, chosen] = False
        slates = Slates(place, np.ones(place.shape))
        return Slates(place, self.propensity(choices, slates))

    def propensity(self, choices: Choices, slates: Slates) -> np.ndarray:
        left, rows = choices.is_candidate.copy(), np.arange(len(choices))
        probability = np.ones(slates.place.shape)
        for rank, place in enumerate(slates.place.T):
            is_there = place >= 0
            best = np.where(left, choices.features[..., 0], -np.inf).argmax(axis=1)
            share = self.epsilon / np.maximum(left.sum(axis=1), 1) + (1 - self.epsilon) * (best == place)
            probability[is_there, rank] = share[is_there]
            left[rows[is_there], place[is_there]] = False
        return probability


def _shares(weight: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The share of each place's weight among those that are left. Shape of `places`."""
    left, rows, probability = weight.copy(), np.arange(len(weight)), np.ones(places.shape)
    for rank, place in enumerate(places.T):
        is_there = place >= 0
        share = left[rows, place] / np.maximum(left.sum(axis=1), 1e-300)
        probability[is_there, rank] = share[is_there]
        left[rows[is_there], place[is_there]] = 0
    return probability
