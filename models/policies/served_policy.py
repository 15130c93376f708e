"""A policy as it is served: its best order, from which slots are sampled as the published tables sample them.

The published tables sample slots from scores (`jobs.lists.softmax_sampling`), and re-ranked lists have the scores of
the lists from which they were made, in another order. So an item that a policy puts first is as likely to come first as
the ranker's first one was, and how much is left to chance stays the shop's decision (`policy.temperature`), not the
agent's.

The rules of the shop, such as caps, are not applied here: what they forbid counts as what the policy would have shown.
"""

from __future__ import annotations

import numpy as np

from models.slates.slates import CandidateSets, SlatePolicy, Slates


class ServedPolicy:
    """The order of a policy, drawn from. A `models.slates.slates.SlatePolicy`.

    Args of the constructor:
        depth: so many slots are the policy's; below them the candidates stand as the ranker has them.
        temperature: as in `expectations.shop.policy_settings.Policy`; at 0 the order itself is shown.
    """

    def __init__(self, policy: SlatePolicy, depth: int, temperature: float) -> None:
        self.policy, self.depth, self.temperature = policy, depth, temperature

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        """Returns lists of this policy; see `SlatePolicy.draw`."""
        order = self.order(candidates)
        if rng is None or not self.temperature:
            slots = order[:, :top_k]
            return Slates(slots, np.ones(slots.shape))
        noisy = self._logits(candidates, order) + rng.gumbel(size=candidates.item.shape)
        slots = np.argsort(-noisy, axis=1, kind="stable")[:, :top_k]
        slots = np.where(np.take_along_axis(candidates.is_candidate, slots, axis=1), slots, -1)
        slates = Slates(slots, np.ones(slots.shape))
        return Slates(slots, self.propensity(candidates, slates))

    def propensity(self, candidates: CandidateSets, slates: Slates) -> np.ndarray:
        """Returns the probability of each slot of lists; see `SlatePolicy.propensity`.

        Returns:
            Shape (num_slates, top_k), float64.
        """
        logits = self._logits(candidates, self.order(candidates))
        rows, probability = np.arange(len(candidates)), np.ones(slates.slots.shape)
        for rank, chosen in enumerate(slates.slots.T):
            best = logits.max(axis=1, keepdims=True, initial=-1e300)
            weights = np.exp(logits - best)
            share = weights[rows, chosen] / np.maximum(weights.sum(axis=1), np.finfo(float).tiny)
            probability[:, rank] = np.where(chosen >= 0, share, 1.0)
            logits[rows[chosen >= 0], chosen[chosen >= 0]] = -np.inf
        return probability

    def order(self, candidates: CandidateSets) -> np.ndarray:
        """Returns all candidates of each list, best first; -1 after the last.

        Returns:
            Shape (num_slates, num_candidates), int64.
        """
        width = candidates.item.shape[1]
        first = self.policy.draw(candidates, min(self.depth, width), None).slots
        rank = np.where(candidates.is_candidate, width + _ranks(candidates), 3 * width)
        rows, ranks = np.nonzero(first >= 0)
        rank[rows, first[rows, ranks]] = ranks
        order = np.argsort(rank, axis=1, kind="stable")
        return np.where(np.take_along_axis(candidates.is_candidate, order, axis=1), order, -1)

    def _logits(self, candidates: CandidateSets, order: np.ndarray) -> np.ndarray:
        """Of each candidate; -inf where there is none. At randomness 0 each is beyond all that stand below it."""
        width = order.shape[1]
        if self.temperature:
            standard = np.where(candidates.is_candidate, candidates.features[..., 0].astype(np.float64), -np.inf)
            by_rank = -np.sort(-standard, axis=1) / self.temperature
        else:
            by_rank = np.broadcast_to(-1e6 * np.arange(width), order.shape)
        logits = np.full(order.shape, -np.inf)
        rows, ranks = np.nonzero(order >= 0)
        logits[rows, order[rows, ranks]] = by_rank[rows, ranks]
        return logits


def _ranks(candidates: CandidateSets) -> np.ndarray:
    """From 0, by the ranker's score, then by item. Shape (num_slates, num_candidates)."""
    score = np.where(candidates.is_candidate, candidates.features[..., 0], -np.inf)
    order = np.lexsort((candidates.item, -score), axis=1)
    ranks = np.empty(order.shape, np.int64)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    return ranks
