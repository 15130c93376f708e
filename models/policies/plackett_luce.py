"""A policy that fills a list place by place: each candidate that is left is drawn in proportion to exp(logit).

The logit of a candidate is its worth less its tiring times the number of candidates of its kind that stand above it.
Worth and tiring are what one small network says of the candidate's features; to the worth is added the ranker's
standard score times `sharpness`. So before anything is learnt, the policy is the ranker: its best list is the ranker's,
and its draws stray from it the less the sharper it is.

Sources: Plackett, "The Analysis of Permutations", 1975 (draws without replacement in proportion to a worth).
What differs: the worth falls with what stands above, so that probabilities are those of a place given the places
before it, which are exact, and not those of a whole order from fixed worths.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from models.nn.network_fitting import load_network, predict_arrays
from models.slates.slates import Choices, Slates

LISTS_AT_ONCE = 2048
_FILE, _SAID = "policy", "said"


@keras.saving.register_keras_serializable("nightjar")
class RankerAnchor(keras.layers.Layer):
    """Adds the ranker's standard score, times `sharpness`, to the worth: the first of what is said of a candidate.

    Called with what is said, shape (batch, num_candidates, 2), and the features.
    """

    def __init__(self, sharpness: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sharpness = sharpness

    def call(self, said: Any, features: Any) -> Any:
        anchor = self.sharpness * features[..., :1]
        return said + ops.concatenate([anchor, ops.zeros_like(anchor)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sharpness": self.sharpness}


def build_network(num_features: int, hidden_dim: int, sharpness: float) -> keras.Model:
    """From features to worth and tiring, (batch, num_candidates, 2); they start as the ranker's word, and at 0."""
    features = keras.Input((None, num_features), name="features")
    hidden = keras.layers.Dense(hidden_dim, activation="gelu")(features)
    said = keras.layers.Dense(2, kernel_initializer="zeros", name=_SAID)(keras.layers.Concatenate()([features, hidden]))
    return keras.Model({"features": features}, RankerAnchor(sharpness)(said, features), name=_FILE)


def lead_by(network: keras.Model, weights: np.ndarray, sharpness: float) -> None:
    """Makes worth the weighted sum of the features times `sharpness`, in place of the ranker's word.

    Args:
        network: as it was built.
        weights: shape (num_features,).
    """
    said = network.get_layer(_SAID)
    kernel, bias = said.get_weights()
    kernel[: len(weights), 0] = sharpness * weights
    kernel[0, 0] -= sharpness  # the ranker's word is added to what is said
    said.set_weights([kernel, bias])


class PlackettLucePolicy:
    """See the module's docstring. A `models.slates.slates.SlatePolicy`.

    Attributes:
        network: from some of `policy_inputs` to worth and tiring. Shape (num_slates, num_candidates, 2).
    """

    def __init__(self, network: keras.Model) -> None:
        self.network = network

    def draw(self, choices: Choices, top_k: int, rng: np.random.Generator | None) -> Slates:
        worth, tiring = said_of(self.network, choices)
        return drawn(choices, worth, tiring, top_k, rng)

    def propensity(self, choices: Choices, slates: Slates) -> np.ndarray:
        worth, tiring = said_of(self.network, choices)
        filled, probability = _Filled(choices, worth, tiring), np.ones(slates.place.shape)
        for rank, place in enumerate(slates.place.T):
            is_there = place >= 0
            log_share = np.take_along_axis(filled.log_shares(), np.maximum(place, 0)[:, None], axis=1)[:, 0]
            probability[is_there, rank] = np.exp(log_share[is_there])
            filled.put(place)
        return probability

    def save(self, path: Path) -> None:
        """Writes the network into the folder `path`, without pickle."""
        path.mkdir(parents=True, exist_ok=True)
        self.network.save(path / f"{_FILE}.keras")

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(load_network(path, _FILE))


def policy_inputs(choices: Choices) -> dict[str, np.ndarray]:
    """What a policy's network may read; a kind is told as in `Choices.history`, which has to be there if it is read."""
    inputs = {"features": choices.features, "kind": (choices.kind + 2).astype(np.int32)}
    return inputs if choices.history is None else {**inputs, "history": choices.history}


def said_of(network: keras.Model, choices: Choices) -> tuple[np.ndarray, np.ndarray]:
    """Worth and tiring of every candidate. Both of shape (num_slates, num_candidates)."""
    starts = range(0, len(choices), LISTS_AT_ONCE)
    blocks = [choices.rows(np.arange(start, min(start + LISTS_AT_ONCE, len(choices)))) for start in starts]
    parts = [predict_arrays(network, policy_inputs(block)) for block in blocks]
    said = np.concatenate([np.empty((0, choices.item.shape[1], 2), np.float32), *parts]).astype(np.float64)
    return said[..., 0], said[..., 1]


def drawn(
    choices: Choices, worth: np.ndarray, tiring: np.ndarray, top_k: int, rng: np.random.Generator | None
) -> Slates:
    """Lists filled place by place; see `models.slates.slates.SlatePolicy.draw`. Equal logits go by item.

    Args:
        worth, tiring: shape (num_slates, num_candidates).
    """
    filled, place = _Filled(choices, worth, tiring), np.full((len(choices), top_k), -1)
    probability = np.ones(place.shape)
    rows = np.arange(len(choices))
    for rank in range(min(top_k, choices.item.shape[1])):
        log_share = filled.log_shares()
        best = log_share if rng is None else log_share + rng.gumbel(size=log_share.shape)
        is_best = best == best.max(axis=1, keepdims=True)
        chosen = np.where(is_best, choices.item, np.iinfo(np.int64).max).argmin(axis=1)
        place[:, rank] = np.where(filled.is_left.any(axis=1), chosen, -1)
        if rng is not None:
            probability[:, rank] = np.where(place[:, rank] >= 0, np.exp(log_share[rows, chosen]), 1.0)
        filled.put(place[:, rank])
    return Slates(place, probability)


class _Filled:
    """Lists while they are filled.

    Attributes:
        is_left: the candidates that may still be taken. Shape (num_slates, num_candidates).
        num_alike: how many of each one's kind have been taken. Same shape.
    """

    def __init__(self, choices: Choices, worth: np.ndarray, tiring: np.ndarray) -> None:
        self.kind, self.worth, self.tiring = choices.kind, worth, tiring
        self.is_left = choices.is_candidate.copy()
        self.num_alike = np.zeros(choices.kind.shape)

    def log_shares(self) -> np.ndarray:
        """Log-probabilities of the next place; -inf for what may not be taken, where anything may."""
        nothing = np.where(self.is_left.any(axis=1, keepdims=True), -np.inf, 0.0)
        logits = np.where(self.is_left, self.worth - self.tiring * self.num_alike, nothing)
        logits -= logits.max(axis=1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))

    def put(self, place: np.ndarray) -> None:
        """Takes a candidate of each list, none where -1."""
        rows = np.flatnonzero(place >= 0)
        self.is_left[rows, place[rows]] = False
        self.num_alike[rows] += is_alike(self.kind[rows], place[rows])


def is_alike(kind: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Which candidates are of the kind of the one at `place`. Shapes (num_slates, num_candidates), (num_slates,)."""
    taken = np.take_along_axis(kind, np.maximum(place, 0)[:, None], axis=1)
    return (kind == taken) & (kind >= 0) & (place >= 0)[:, None]


def situations(choices: Choices, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What was left at each rank of lists, and how many of each candidate's kind stood above.

    Args:
        place: as in `Slates`. Shape (num_slates, top_k).

    Returns:
        Both of shape (num_slates, top_k, num_candidates), of bools and of float32.
    """
    is_left = np.repeat(choices.is_candidate[:, None, :], place.shape[1], axis=1)
    num_alike = np.zeros(is_left.shape, dtype=np.float32)
    for rank in range(1, place.shape[1]):
        above = place[:, rank - 1]
        taken = np.arange(choices.item.shape[1]) == above[:, None]
        is_left[:, rank] = is_left[:, rank - 1] & ~taken
        num_alike[:, rank] = num_alike[:, rank - 1] + is_alike(choices.kind, above)
    return is_left, num_alike
