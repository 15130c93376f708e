"""What users are shown of a policy: its best order, from which places are drawn as the night draws them.

The published tables draw places from scores (`jobs.lists.softmax_sampling`), and re-ranked lists have the scores of the
lists from which they were made, in another order. So an item that a policy puts first is as likely to come first as the
ranker's first one was, and how much is left to chance stays the shop's decision (`policy.randomness`), not the agent's.

The rules of the shop, such as caps, are not asked here: what they forbid counts as what the policy would have shown.
"""

from __future__ import annotations

import numpy as np

from models.slates.slates import Choices, SlatePolicy, Slates


class DrawnOrder:
    """The order of a policy, drawn from. A `models.slates.slates.SlatePolicy`.

    Args of the constructor:
        depth: so many places are the policy's; below them the candidates stand as the ranker has them.
        randomness: as in `expectations.shop.policy_settings.Policy`; at 0 the order itself is shown.
    """

    def __init__(self, policy: SlatePolicy, depth: int, randomness: float) -> None:
        self.policy, self.depth, self.randomness = policy, depth, randomness

    def draw(self, choices: Choices, top_k: int, rng: np.random.Generator | None) -> Slates:
        """Lists of this policy; see `SlatePolicy`."""
        order = self.order(choices)
        if rng is None or not self.randomness:
            place = order[:, :top_k]
            return Slates(place, np.ones(place.shape))
        noisy = self._logits(choices, order) + rng.gumbel(size=choices.item.shape)
        place = np.argsort(-noisy, axis=1, kind="stable")[:, :top_k]
        place = np.where(np.take_along_axis(choices.is_candidate, place, axis=1), place, -1)
        slates = Slates(place, np.ones(place.shape))
        return Slates(place, self.propensity(choices, slates))

    def propensity(self, choices: Choices, slates: Slates) -> np.ndarray:
        """With which probability each rank would have been filled as it was; see `SlatePolicy`."""
        logits = self._logits(choices, self.order(choices))
        rows, probability = np.arange(len(choices)), np.ones(slates.place.shape)
        for rank, place in enumerate(slates.place.T):
            best = logits.max(axis=1, keepdims=True, initial=-1e300)
            weights = np.exp(logits - best)
            share = weights[rows, place] / np.maximum(weights.sum(axis=1), np.finfo(float).tiny)
            probability[:, rank] = np.where(place >= 0, share, 1.0)
            logits[rows[place >= 0], place[place >= 0]] = -np.inf
        return probability

    def order(self, choices: Choices) -> np.ndarray:
        """All candidates, best first; -1 after the last. Shape (num_slates, num_candidates)."""
        width = choices.item.shape[1]
        first = self.policy.draw(choices, min(self.depth, width), None).place
        rank = np.where(choices.is_candidate, width + _ranks(choices), 3 * width)
        rows, ranks = np.nonzero(first >= 0)
        rank[rows, first[rows, ranks]] = ranks
        order = np.argsort(rank, axis=1, kind="stable")
        return np.where(np.take_along_axis(choices.is_candidate, order, axis=1), order, -1)

    def _logits(self, choices: Choices, order: np.ndarray) -> np.ndarray:
        """Of each candidate; -inf where there is none. At randomness 0 each is beyond all that stand below it."""
        width = order.shape[1]
        if self.randomness:
            standard = np.where(choices.is_candidate, choices.features[..., 0].astype(np.float64), -np.inf)
            by_rank = -np.sort(-standard, axis=1) / self.randomness
        else:
            by_rank = np.broadcast_to(-1e6 * np.arange(width), order.shape)
        logits = np.full(order.shape, -np.inf)
        rows, ranks = np.nonzero(order >= 0)
        logits[rows, order[rows, ranks]] = by_rank[rows, ranks]
        return logits


def _ranks(choices: Choices) -> np.ndarray:
    """From 0, by the ranker's score, then by item. Shape (num_slates, num_candidates)."""
    score = np.where(choices.is_candidate, choices.features[..., 0], -np.inf)
    order = np.lexsort((choices.item, -score), axis=1)
    ranks = np.empty(order.shape, np.int64)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    return ranks
