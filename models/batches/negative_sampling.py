"""Which negative items stand beside the wanted ones in training, and with which probability each was drawn.

Everything is deterministic given the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NegativeSampler:
    """Draws items in proportion to popularity^exponent, mixed with a share of uniform draws.

    Attributes:
        items: the items that can be drawn. Shape (num_drawable,).
        cumulative: running sum of the draw probabilities of `items`; ends in 1. Shape (num_drawable,), float64.
    """

    items: np.ndarray
    cumulative: np.ndarray

    @classmethod
    def from_demand(
        cls, items: np.ndarray, demand: np.ndarray, exponent: float, uniform_share: float
    ) -> NegativeSampler:
        """Builds the sampler from how much each item is in demand.

        Args:
            items: indices of the items that can be drawn, int64. Shape (num_drawable,).
            demand: by item index; items without demand are drawn by the uniform share alone. Shape (num_items,).
            exponent: power of the demand.
            uniform_share: share of the draws that are uniform over `items`, in [0, 1].
        """
        popularity = np.maximum(demand[items], 0).astype(np.float64) ** exponent * (demand[items] > 0)
        if popularity.sum() == 0:
            popularity = np.ones(len(items))
        probability = (1 - uniform_share) * popularity / popularity.sum() + uniform_share / len(items)
        cumulative = np.cumsum(probability)
        return cls(items, cumulative / cumulative[-1])

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Draws items with replacement. Returns item indices of the shape `shape`, int64."""
        return self.items[np.searchsorted(self.cumulative, rng.random(shape), side="right")]


@dataclass(frozen=True)
class SharedCandidates:
    """The items that all users of a batch are scored against.

    Attributes:
        items: ascending, each once; padded with 0 at the end where the catalogue is smaller than the wanted size. Shape
            (size,).
        log_inclusion: log of the probability that an item is among them: 0 where all items are, NEVER at padding. Shape
            (size,), float32.
    """

    items: np.ndarray
    log_inclusion: np.ndarray


NEVER = np.float32(1e9)
"""A log-inclusion that takes padding out of a softmax."""


def shared_candidates(
    positives: np.ndarray, frequency: np.ndarray, known_items: np.ndarray, size: int, rng: np.random.Generator
) -> SharedCandidates:
    """Returns the positives of a batch, and so many uniform draws beside them that there are `size` items.

    A sampled softmax subtracts the logarithm of the inclusion probabilities (logQ): without this it would punish
    popular items for standing in most batches.

    Args:
        positives: items wanted by the batch's users, with repetitions, int64. Shape (num_positives,).
        frequency: share of each item among all positives of the window. Shape (num_items,).
        known_items: the catalogue; all of it is taken when it is not larger than `size`. Shape (num_known,).
        size: number of candidates.
        rng: draws the negatives.

    Source: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", RecSys 2019, eq.
        5.
    """
    if len(known_items) <= size:
        padding = size - len(known_items)
        zeros = np.zeros(len(known_items), dtype=np.float32)
        return SharedCandidates(np.pad(known_items, (0, padding)), np.pad(zeros, (0, padding), constant_values=NEVER))
    drawn = np.unique(positives)
    if len(drawn) > size:
        drawn = np.sort(rng.choice(drawn, size, replace=False))
    others = np.setdiff1d(known_items, drawn, assume_unique=True)
    fill = rng.choice(others, size - len(drawn), replace=False)
    items = np.sort(np.concatenate([drawn, fill]))
    as_positive = 1 - (1 - frequency[items]) ** len(positives)
    inclusion = as_positive + (1 - as_positive) * len(fill) / len(others)
    return SharedCandidates(items, np.log(inclusion).astype(np.float32))


def target_shares(wanted: Sequence[np.ndarray], candidates: np.ndarray, num_items: int) -> np.ndarray:
    """The distribution over the candidates that a softmax is fitted to: an equal share of 1 for every wanted item.

    Args:
        wanted: for each user the indices of the wanted items.
        candidates: item indices. Shape (num_candidates,).
        num_items: number of item indices.

    Returns:
        Shape (len(wanted), num_candidates), float32. A row sums to 1, or to 0 where no wanted item is a candidate.
    """
    place = np.full(num_items, -1)
    place[candidates] = np.arange(len(candidates))
    shares = np.zeros((len(wanted), len(candidates)), dtype=np.float32)
    for row, items in enumerate(wanted):
        places = place[items]
        shares[row, places[places >= 0]] = 1
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1)
