"""Draws the slots of lists by a softmax over values, and gives the probability with which an item came to its slot.

A place goes to one of the candidates that may stand there, whatever rules forbid, with the probability

    exp(value(i) / t) / sum over all that may stand there of exp(value(j) / t),     t = temperature * spread

in which `spread` is the standard deviation of the relevance of the user's candidates: a temperature means the same for
every model and user. Whoever asks later what another order would have earned divides by that probability
(`models.off_policy.estimators`), which is why it is published as `propensity`.

The draw takes the best of value / t + Gumbel noise. Noise is a hash of seed, user, place and item and of nothing else:
neither who else is in the block nor the order of candidates has a part in it, and a night that runs again draws the
same. Each place has noise of its own, because the values of what is left change with what was chosen (diversity).

Sources: Plackett, "The analysis of permutations", 1975; Yellott, "The relationship between Luce's choice axiom,
Thurstone's theory of comparative judgment, and the double exponential distribution", 1977; Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expectations.runtime.lake import fingerprint_of

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class SlotSampler:
    """Draws the slots of lists; the same for every block.

    Attributes:
        temperature: above 0; the higher, the more is left to chance.
        seed: of all draws of one `ds`.
    """

    temperature: float
    seed: int

    @classmethod
    def for_night(cls, temperature: float, shop_seed: int, ds: str) -> SlotSampler | None:
        """Returns the sampler of one `ds`, or None at temperature 0, at which nothing is left to chance."""
        return cls(temperature, int(fingerprint_of(shop_seed, ds)[:16], 16)) if temperature else None

    def at(
        self, place: int, value: np.ndarray, users: np.ndarray, items: np.ndarray, spread: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws one slot of every user's list.

        Args:
            place: the slot, counted from 0.
            value: float64, -inf where a candidate may not stand there. Shape (num_users, num_candidates).
            users: user indices, int. Shape (num_users,).
            items: item indices of the candidates, int. Shape (num_users, num_candidates).
            spread: standard deviation of the relevance of each user's candidates, float64. Shape (num_users,).

        Returns:
            The column of what was drawn, int, and its probability, float64; both mean nothing where no candidate may
            stand there. Shape (num_users,) each.
        """
        scaled = (value - value.max(axis=1, keepdims=True, initial=-1e300)) / (self.temperature * spread[:, None])
        drawn = (scaled + gumbel_noise(self.seed, users[:, None], place, items)).argmax(axis=1)
        weights = np.exp(scaled)
        chance = weights[np.arange(len(drawn)), drawn] / np.maximum(weights.sum(axis=1), np.finfo(float).tiny)
        return drawn, chance


def gumbel_noise(seed: int, users: np.ndarray, place: int, items: np.ndarray) -> np.ndarray:
    """Returns standard Gumbel noise of each user, slot and item, float64.

    Args:
        users: user indices, int. Shape (num_users, 1).
        place: the slot, counted from 0.
        items: item indices, int. Shape (num_users, num_candidates).

    Returns:
        Shape (num_users, num_candidates).
    """
    state = np.full(1, seed, np.uint64)
    for number in (users, np.full(1, place), items):
        state = _mixed(state + _GAMMA * (number.astype(np.uint64) + np.uint64(1)))
    uniform = ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # neither 0 nor 1
    noise: np.ndarray = -np.log(-np.log(uniform))
    return noise


def _mixed(state: np.ndarray) -> np.ndarray:
    """Applies the finalizer of SplitMix64: every bit of the state has a part in every bit of the result."""
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    mixed: np.ndarray = state ^ (state >> np.uint64(31))
    return mixed
