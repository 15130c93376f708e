"""Batches that are shuffled anew for each epoch, such that a batch follows from the seed, the epoch and its number."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

import keras
import numpy as np

T = TypeVar("T")


class ReshuffledBatches(keras.utils.PyDataset, Generic[T]):
    """Counts the epochs, and seeds what is random in each.

    Attributes:
        epoch: counted from 0.
        order: what each batch of the epoch is made of; set by the constructor of a subclass.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.epoch = seed, 0
        self.order: list[T] = []

    def rng(self, *numbers: int) -> np.random.Generator:
        """Returns a generator that is seeded by the seed, the epoch and, for one batch, its number."""
        return np.random.default_rng([self.seed, self.epoch, *numbers])

    @abstractmethod
    def shuffled(self) -> list[T]:
        """Returns the order of this epoch."""

    def on_epoch_end(self) -> None:
        """Shuffles for the next epoch."""
        self.epoch += 1
        self.order = self.shuffled()
