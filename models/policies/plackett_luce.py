"""A policy that fills a list slot by slot: each candidate that is left is drawn in proportion to exp(logit).

The logit of a candidate is its utility less its satiation penalty times the number of candidates of its kind that stand
above it. One small network computes both from the candidate's features; the ranker's standard score times
`inverse_temperature` is added to the utility. So before training the policy is the ranker: its best list is the
ranker's, and its draws stray from that list the less, the higher the inverse temperature is.

Source: Plackett, "The Analysis of Permutations", 1975 (draws without replacement in proportion to a utility).
What differs: the utility falls with what stands above, so that probabilities are those of a slot given the slots
above it, which are exact, and not those of a whole order from fixed utilities.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from models.nn.network_fitting import load_network, predict_arrays
from models.slates.slates import CandidateSets, Slates

LISTS_AT_ONCE = 2048
"""Lists whose probabilities are computed together: bounds memory."""
_FILE, _OUTPUTS = "policy", "outputs"


@keras.saving.register_keras_serializable("nightjar")
class RankerAnchor(keras.layers.Layer):
    """Adds the ranker's standard score, times `inverse_temperature`, to a candidate's utility.

    Called with utility and satiation penalty, shape (batch, num_candidates, 2), and the features, (batch,
    num_candidates, num_features).
    """

    def __init__(self, inverse_temperature: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inverse_temperature = inverse_temperature

    def call(self, outputs: Any, features: Any) -> Any:
        """Adds the anchor.

        Args:
            outputs: shape (batch, num_candidates, 2), float32.
            features: shape (batch, num_candidates, num_features), float32.

        Returns:
            Shape (batch, num_candidates, 2), float32.
        """
        anchor = self.inverse_temperature * features[..., :1]
        return outputs + ops.concatenate([anchor, ops.zeros_like(anchor)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "inverse_temperature": self.inverse_temperature}


def build_network(num_features: int, hidden_dim: int, inverse_temperature: float) -> keras.Model:
    """Returns a network from features to utility and satiation penalty, shape (batch, num_candidates, 2), float32.

    Before training the utility is the ranker's score times `inverse_temperature`, and the penalty is 0.
    """
    features = keras.Input((None, num_features), name="features")
    hidden = keras.layers.Dense(hidden_dim, activation="gelu")(features)
    outputs = keras.layers.Dense(2, kernel_initializer="zeros", name=_OUTPUTS)(
        keras.layers.Concatenate()([features, hidden])
    )
    return keras.Model({"features": features}, RankerAnchor(inverse_temperature)(outputs, features), name=_FILE)


def set_utility_weights(network: keras.Model, weights: np.ndarray, inverse_temperature: float) -> None:
    """Makes the utility the weighted sum of the features times `inverse_temperature`, in place of the ranker's score.

    Args:
        network: as `build_network` returns it; its weights change in place.
        weights: of the features. Shape (num_features,), float64.
    """
    outputs = network.get_layer(_OUTPUTS)
    kernel, bias = outputs.get_weights()
    kernel[: len(weights), 0] = inverse_temperature * weights
    kernel[0, 0] -= inverse_temperature  # `RankerAnchor` adds the ranker's score
    outputs.set_weights([kernel, bias])


class PlackettLucePolicy:
    """See the module's docstring. A `models.slates.slates.SlatePolicy`.

    Attributes:
        network: from some of `policy_inputs` to utility and satiation penalty. Shape (num_slates, num_candidates, 2).
    """

    def __init__(self, network: keras.Model) -> None:
        self.network = network

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        """Returns lists of this policy; see `SlatePolicy.draw`."""
        utility, satiation_penalty = policy_outputs(self.network, candidates)
        return drawn(candidates, utility, satiation_penalty, top_k, rng)

    def propensity(self, candidates: CandidateSets, slates: Slates) -> np.ndarray:
        """Returns the probability of each slot of lists; see `SlatePolicy.propensity`.

        Returns:
            Shape (num_slates, top_k), float64.
        """
        utility, satiation_penalty = policy_outputs(self.network, candidates)
        partial, probability = _PartialSlates(candidates, utility, satiation_penalty), np.ones(slates.slots.shape)
        for rank, chosen in enumerate(slates.slots.T):
            is_filled = chosen >= 0
            log_prob = np.take_along_axis(partial.log_probs(), np.maximum(chosen, 0)[:, None], axis=1)[:, 0]
            probability[is_filled, rank] = np.exp(log_prob[is_filled])
            partial.put(chosen)
        return probability

    def save(self, path: Path) -> None:
        """Writes the network into the folder `path`, without pickle."""
        path.mkdir(parents=True, exist_ok=True)
        self.network.save(path / f"{_FILE}.keras")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a policy that `save` wrote into the folder `path`."""
        return cls(load_network(path, _FILE))


def policy_inputs(candidates: CandidateSets) -> dict[str, np.ndarray]:
    """Returns what a policy's network may read, by the names of its inputs.

    Returns:
        `features`, shape (num_slates, num_candidates, num_features), float32; `kind`, shape (num_slates,
        num_candidates), int32, with 2 added as in `CandidateSets.history`; and `history`, shape (num_slates,
        num_events, 3), int32, where the candidates have one.
    """
    inputs = {"features": candidates.features, "kind": (candidates.kind + 2).astype(np.int32)}
    return inputs if candidates.history is None else {**inputs, "history": candidates.history}


def policy_outputs(network: keras.Model, candidates: CandidateSets) -> tuple[np.ndarray, np.ndarray]:
    """Returns utility and satiation penalty of every candidate. Both of shape (num_slates, num_candidates), float64."""
    starts = range(0, len(candidates), LISTS_AT_ONCE)
    blocks = [candidates.rows(np.arange(start, min(start + LISTS_AT_ONCE, len(candidates)))) for start in starts]
    parts = [predict_arrays(network, policy_inputs(block)) for block in blocks]
    outputs = np.concatenate([np.empty((0, candidates.item.shape[1], 2), np.float32), *parts]).astype(np.float64)
    return outputs[..., 0], outputs[..., 1]


def drawn(
    candidates: CandidateSets,
    utility: np.ndarray,
    satiation_penalty: np.ndarray,
    top_k: int,
    rng: np.random.Generator | None,
) -> Slates:
    """Returns lists that are filled slot by slot; see `models.slates.slates.SlatePolicy.draw`. Equal logits go by item.

    Args:
        utility, satiation_penalty: shape (num_slates, num_candidates), float64.
    """
    partial, slots = _PartialSlates(candidates, utility, satiation_penalty), np.full((len(candidates), top_k), -1)
    probability = np.ones(slots.shape)
    rows = np.arange(len(candidates))
    for rank in range(min(top_k, candidates.item.shape[1])):
        log_prob = partial.log_probs()
        best = log_prob if rng is None else log_prob + rng.gumbel(size=log_prob.shape)
        is_best = best == best.max(axis=1, keepdims=True)
        chosen = np.where(is_best, candidates.item, np.iinfo(np.int64).max).argmin(axis=1)
        slots[:, rank] = np.where(partial.is_left.any(axis=1), chosen, -1)
        if rng is not None:
            probability[:, rank] = np.where(slots[:, rank] >= 0, np.exp(log_prob[rows, chosen]), 1.0)
        partial.put(slots[:, rank])
    return Slates(slots, probability)


class _PartialSlates:
    """Lists while they are partial.

    Attributes:
        is_left: the candidates that may still be taken. Shape (num_slates, num_candidates).
        num_same_kind: how many of each one's kind have been taken. Same shape.
    """

    def __init__(self, candidates: CandidateSets, utility: np.ndarray, satiation_penalty: np.ndarray) -> None:
        self.kind, self.utility, self.satiation_penalty = candidates.kind, utility, satiation_penalty
        self.is_left = candidates.is_candidate.copy()
        self.num_same_kind = np.zeros(candidates.kind.shape)

    def log_probs(self) -> np.ndarray:
        """Log-probabilities of the next slot; -inf for what may not be taken, where anything may."""
        nothing = np.where(self.is_left.any(axis=1, keepdims=True), -np.inf, 0.0)
        logits = np.where(self.is_left, self.utility - self.satiation_penalty * self.num_same_kind, nothing)
        logits -= logits.max(axis=1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))

    def put(self, chosen: np.ndarray) -> None:
        """Takes a candidate of each list, none where -1."""
        rows = np.flatnonzero(chosen >= 0)
        self.is_left[rows, chosen[rows]] = False
        self.num_same_kind[rows] += is_same_kind(self.kind[rows], chosen[rows])


def is_same_kind(kind: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Returns which candidates are of the kind of the chosen one.

    Args:
        kind: shape (num_slates, num_candidates), int64.
        chosen: one candidate a list; -1 for none. Shape (num_slates,), int64.

    Returns:
        Shape (num_slates, num_candidates), bool.
    """
    own_kind = np.take_along_axis(kind, np.maximum(chosen, 0)[:, None], axis=1)
    return (kind == own_kind) & (kind >= 0) & (chosen >= 0)[:, None]


def slot_states(candidates: CandidateSets, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns what was left at each rank of lists, and how many of each candidate's kind stood above.

    Args:
        slots: as in `Slates`. Shape (num_slates, top_k), int64.

    Returns:
        Both of shape (num_slates, top_k, num_candidates), of bools and of float32.
    """
    is_left = np.repeat(candidates.is_candidate[:, None, :], slots.shape[1], axis=1)
    num_same_kind = np.zeros(is_left.shape, dtype=np.float32)
    for rank in range(1, slots.shape[1]):
        above = slots[:, rank - 1]
        is_taken = np.arange(candidates.item.shape[1]) == above[:, None]
        is_left[:, rank] = is_left[:, rank - 1] & ~is_taken
        num_same_kind[:, rank] = num_same_kind[:, rank - 1] + is_same_kind(candidates.kind, above)
    return is_left, num_same_kind
