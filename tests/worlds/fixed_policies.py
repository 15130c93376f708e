"""Policies that need no learning, good and bad, and lists for them to choose from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.slates.slates import CandidateSets, Slates


@dataclass(frozen=True)
class Ordered:
    """Orders candidates by `sign` times the ranker's standard score; at 0 all logits are equal, and items decide."""

    sign: float

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        return as_slates(candidates, self.sign * candidates.features[..., 0], top_k)

    def propensity(self, candidates: CandidateSets, slates: Slates) -> np.ndarray:
        raise NotImplementedError("the night draws from the order, not from the policy")


@dataclass(frozen=True)
class AtRandom:
    """Any order."""

    seed: int = 1

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        return as_slates(candidates, np.random.default_rng(self.seed).random(candidates.item.shape), top_k)

    def propensity(self, candidates: CandidateSets, slates: Slates) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True)
class Knowing:
    """Puts what is wanted first, and then goes on as the ranker."""

    wanted: np.ndarray

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        return as_slates(
            candidates, candidates.features[..., 0] + 20 * self.wanted[candidates.user[:, None], candidates.item], top_k
        )

    def propensity(self, candidates: CandidateSets, slates: Slates) -> np.ndarray:
        raise NotImplementedError


RANKER, REVERSED, CONSTANT = Ordered(1.0), Ordered(-1.0), Ordered(0.0)


def as_slates(candidates: CandidateSets, utility: np.ndarray, top_k: int) -> Slates:
    """The candidates of highest worth, equal worth by item; -1 after the last."""
    order = np.lexsort((candidates.item, -utility, ~candidates.is_candidate), axis=1)[:, :top_k]
    slots = np.where(np.take_along_axis(candidates.is_candidate, order, axis=1), order, -1)
    return Slates(slots, np.ones(slots.shape))


def choices_by(score: np.ndarray, item: np.ndarray, user: np.ndarray | None = None) -> CandidateSets:
    """Candidates that are told by their score alone. Shape (num_lists, num_candidates)."""
    is_candidate = item >= 0
    known = np.ma.array(score, mask=~is_candidate)
    standard = (known - known.mean(axis=1, keepdims=True)) / known.std(axis=1, keepdims=True)
    user = np.arange(len(item)) if user is None else user
    features = standard.filled(0.0)[..., None].astype(np.float32)
    return CandidateSets(user, np.zeros(len(item)), item, np.full(item.shape, -1), is_candidate, features)
