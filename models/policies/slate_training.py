"""Logged lists as what a policy's network is trained on: every filled place is one choice among what was left.

`PlacedLists` tells what the network makes of the places; what a place costs it is left to those who inherit from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from models.nn.network_fitting import compile_network, select_inputs
from models.policies.plackett_luce import policy_inputs, situations
from models.slates.slates import Choices, Slates

NOT_LEFT = -1e9


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


class ListBatches:
    """Lists as the inputs of `PlacedLists`.

    Attributes:
        further: inputs by name beside those that choices and slates make: a figure for each place, shape (num_slates,
            top_k), or for each list, shape (num_slates,).
    """

    def __init__(self, choices: Choices, slates: Slates, further: dict[str, np.ndarray]) -> None:
        self.choices, self.slates, self.further = choices, slates, further

    def of(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The inputs of some lists."""
        choices, place = self.choices.rows(rows), self.slates.place[rows]
        is_left, num_alike = situations(choices, place)
        there = place >= 0
        inputs = {
            **policy_inputs(choices),
            "is_left": is_left,
            "num_alike": num_alike,
            "taken": (np.arange(is_left.shape[2]) == place[..., None]).astype(np.float32),
            "is_there": there.astype(np.float32),
            "num_places_left": np.cumsum(there[:, ::-1], axis=1)[:, ::-1].astype(np.float32),
        }
        return inputs | {name: values[rows].astype(np.float32) for name, values in self.further.items()}

    def epoch(self, rows: np.ndarray, batch_size: int, rng: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        """All of the lists once, in any order."""
        for part in np.array_split(rng.permutation(rows), num_batches(rows, batch_size)):
            yield self.of(part)

    def in_order(self, rows: np.ndarray, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        """All of the lists once."""
        for part in np.array_split(rows, num_batches(rows, batch_size)):
            yield self.of(part)


def num_batches(rows: np.ndarray, batch_size: int) -> int:
    """How many batches an epoch over the rows has."""
    return max(1, -(-len(rows) // batch_size))


class PlacedLists(keras.Model):
    """What the places of lists are to the policy of `network`. Used in training only.

    The base reads a network of worth and tiring, and takes the mean of `place_costs`.
    """

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.network = network

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Logits of all candidates at every rank. Shape (batch, top_k, num_candidates)."""
        said = self.network(select_inputs(self.network, inputs), training=training)  # (batch, num_candidates, 2)
        return said[:, None, :, 0] - said[:, None, :, 1] * inputs["num_alike"]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The mean over places that are filled."""
        costs = self.place_costs(x, y_pred)
        return ops.sum(costs * x["is_there"]) / ops.maximum(ops.sum(x["is_there"]), 1.0)

    def place_costs(self, x: dict[str, Any], logits: Any) -> Any:
        """What is to be made small, of every place. Shape (batch, top_k)."""
        raise NotImplementedError


def log_shares(x: dict[str, Any], logits: Any) -> Any:
    """Log-probabilities among what is left. Shape (batch, top_k, num_candidates)."""
    return ops.log_softmax(ops.where(x["is_left"], logits, NOT_LEFT), axis=-1)


def of_taken(x: dict[str, Any], values: Any) -> Any:
    """Of every candidate's values, that of the one which was taken. Shape (batch, top_k)."""
    return ops.sum(values * x["taken"], axis=-1)


def compile_steps(trained: PlacedLists, config: StepsConfig, num_rows: int) -> None:
    """AdamW for as many steps as the config's epochs over the rows have."""
    compile_network(trained, None, config, num_batches(np.arange(num_rows), config.batch_size))


def trained_epoch(
    trained: PlacedLists, batches: ListBatches, rows: np.ndarray, config: StepsConfig, rng: np.random.Generator
) -> float:
    """Goes through the rows once. Returns the mean loss of a batch."""
    losses = [float(trained.train_on_batch(inputs)) for inputs in batches.epoch(rows, config.batch_size, rng)]
    return float(np.mean(losses))


def require_lists(choices: Choices, slates: Slates, earned: np.ndarray) -> None:
    """Refuses what no policy can learn from.

    Raises:
        ValueError: there are no lists, or not a finite figure for each place.
    """
    if not (slates.place >= 0).any():
        raise ValueError(
            "a policy learns from lists that were shown. Received: none. Publish lists for some days first"
        )
    if slates.place.shape != earned.shape or len(choices) != len(earned):
        raise ValueError(
            f"there must be a reward for each place of each list. Received: rewards of shape {earned.shape} for "
            f"{len(choices)} lists with places of shape {slates.place.shape}"
        )
    if not np.isfinite(earned[slates.place >= 0]).all():
        raise ValueError("rewards must be finite. Received: NaN or infinity. Leave out lists whose horizon lies ahead")
