"""Logged lists as training examples of a policy's network: every filled slot is one choice among what was left.

`SlateTrainer` computes the logits of slots; its subclasses define the loss of a slot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from models.nn.network_fitting import compile_network, select_inputs
from models.policies.plackett_luce import policy_inputs, slot_states
from models.slates.slates import CandidateSets, Slates

NOT_LEFT = -1e9
"""Logit of an item that stands in the list already: so low that its probability is 0, and finite."""


class StepsConfig(Protocol):
    """How a network is trained; see models/configs/policy_gradient.toml."""

    @property
    def learning_rate(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def epochs(self) -> int: ...


class SlateBatches:
    """Lists as the inputs of `SlateTrainer`.

    Attributes:
        further: inputs by name beside those that candidates and slates make: a figure for each slot, shape (num_slates,
            top_k), or for each list, shape (num_slates,).
    """

    def __init__(self, candidates: CandidateSets, slates: Slates, further: dict[str, np.ndarray]) -> None:
        self.candidates, self.slates, self.further = candidates, slates, further

    def of(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the inputs of some lists.

        Args:
            rows: shape (batch,), int64.

        Returns:
            `policy_inputs` of the candidates; `is_left` (bool) and `num_same_kind` and `is_chosen` (float32), shape
            (batch, top_k, num_candidates); `is_filled` and `num_slots_left`, shape (batch, top_k), float32; and
            `further`, float32.
        """
        candidates, slots = self.candidates.rows(rows), self.slates.slots[rows]
        is_left, num_same_kind = slot_states(candidates, slots)
        there = slots >= 0
        inputs = {
            **policy_inputs(candidates),
            "is_left": is_left,
            "num_same_kind": num_same_kind,
            "is_chosen": (np.arange(is_left.shape[2]) == slots[..., None]).astype(np.float32),
            "is_filled": there.astype(np.float32),
            "num_slots_left": np.cumsum(there[:, ::-1], axis=1)[:, ::-1].astype(np.float32),
        }
        return inputs | {name: values[rows].astype(np.float32) for name, values in self.further.items()}

    def epoch(self, rows: np.ndarray, batch_size: int, rng: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        """Yields all of the lists once, in any order.

        Args:
            rows: shape (num_rows,), int64.

        Returns:
            What `of` gives, (batch, ...) for each input.
        """
        for part in np.array_split(rng.permutation(rows), num_batches(rows, batch_size)):
            yield self.of(part)

    def in_order(self, rows: np.ndarray, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        """Yields all of the lists once, in their order.

        Args:
            rows: shape (num_rows,), int64.

        Returns:
            What `of` gives, (batch, ...) for each input.
        """
        for part in np.array_split(rows, num_batches(rows, batch_size)):
            yield self.of(part)


def num_batches(rows: np.ndarray, batch_size: int) -> int:
    """Returns how many batches an epoch over the rows has.

    Args:
        rows: shape (num_rows,), int64.
    """
    return max(1, -(-len(rows) // batch_size))


class SlateTrainer(keras.Model):
    """Trains a policy's network on the slots of lists. Used in training only.

    The base reads a network of utility and satiation penalty, and takes the mean of `slot_losses`.
    """

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.network = network

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Returns logits of all candidates at every rank. Shape (batch, top_k, num_candidates), float32."""
        outputs = self.network(select_inputs(self.network, inputs), training=training)  # (batch, num_candidates, 2)
        return outputs[:, None, :, 0] - outputs[:, None, :, 1] * inputs["num_same_kind"]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Returns the mean over slots that are filled."""
        costs = self.slot_losses(x, y_pred)
        return ops.sum(costs * x["is_filled"]) / ops.maximum(ops.sum(x["is_filled"]), 1.0)

    def slot_losses(self, x: dict[str, Any], logits: Any) -> Any:
        """Returns what is minimized, of every slot. Shape (batch, top_k), float32."""
        raise NotImplementedError


def slot_log_probs(x: dict[str, Any], logits: Any) -> Any:
    """Returns log-probabilities among the candidates that are left. Shape (batch, top_k, num_candidates), float32."""
    return ops.log_softmax(ops.where(x["is_left"], logits, NOT_LEFT), axis=-1)


def chosen_values(x: dict[str, Any], values: Any) -> Any:
    """Returns of every candidate's values that of the chosen one. Shape (batch, top_k), float32."""
    return ops.sum(values * x["is_chosen"], axis=-1)


def compile_steps(trained: SlateTrainer, config: StepsConfig, num_rows: int) -> None:
    """Compiles AdamW for as many steps as the config's epochs over the rows have."""
    compile_network(trained, None, config, num_batches(np.arange(num_rows), config.batch_size))


def train_epoch(
    trained: SlateTrainer, batches: SlateBatches, rows: np.ndarray, config: StepsConfig, rng: np.random.Generator
) -> float:
    """Goes through the rows once. Returns the mean loss of a batch.

    Args:
        rows: shape (num_rows,), int64.
    """
    losses = [float(trained.train_on_batch(inputs)) for inputs in batches.epoch(rows, config.batch_size, rng)]
    return float(np.mean(losses))


def require_slates(candidates: CandidateSets, slates: Slates, rewards: np.ndarray) -> None:
    """Refuses what no policy can learn from.

    Args:
        rewards: of each slot. Shape (num_slates, top_k), float64.

    Raises:
        ValueError: there are no lists, or not a finite figure for each slot.
    """
    if not (slates.slots >= 0).any():
        raise ValueError(
            "a policy learns from lists that were shown. Received: none. Publish lists for some days first"
        )
    if slates.slots.shape != rewards.shape or len(candidates) != len(rewards):
        raise ValueError(
            f"there must be a reward for each place of each list. Received: rewards of shape {rewards.shape} for "
            f"{len(candidates)} lists with places of shape {slates.slots.shape}"
        )
    if not np.isfinite(rewards[slates.slots >= 0]).all():
        raise ValueError("rewards must be finite. Received: NaN or infinity. Leave out lists whose horizon lies ahead")
