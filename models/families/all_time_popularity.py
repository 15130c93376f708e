"""The plainest baseline: everybody gets what was bought most, ever.

An item's score is how often it was bought (how many target events it had, in a shop without purchases). As vectors:
every user is [1], every item is [its count]. An unknown user gets the same list as everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from models.data.dataset import Dataset
from models.data.mmap_arrays import spans
from models.interface.model import TrainingHistory, Vectors, load_saved_config, save_config


@dataclass(frozen=True)
class AllTimePopularityConfig:
    """It has nothing to set."""


class AllTimePopularity:
    """See the module's docstring."""

    name = "all_time_popularity"
    kind = "baseline"
    role = "retrieval"

    def __init__(self, config: AllTimePopularityConfig) -> None:
        self.config = config
        self.demand = np.zeros(0, dtype=np.float32)

    def fit(self, dataset: Dataset) -> TrainingHistory:
        pairs, demand = dataset.interactions, np.zeros(dataset.num_items)
        for part in spans(len(pairs.item_index)):
            demand += np.bincount(pairs.item_index[part], pairs.demand[part], dataset.num_items)
        self.demand = demand.astype(np.float32)
        return TrainingHistory(facts={"purchases": float(self.demand.sum())})

    def retrieval(self, dataset: Dataset) -> Vectors:
        return Vectors(np.ones((dataset.num_users, 1), dtype=np.float32), self.demand[:, None])

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        return np.tile(self.demand, (len(user_indices), 1))

    def save(self, path: Path) -> None:
        save_config(path, self.config)
        np.savez(path / "demand.npz", demand=self.demand)

    @classmethod
    def load(cls, path: Path) -> Self:
        model = cls(load_saved_config(AllTimePopularityConfig, path))
        model.demand = np.load(path / "demand.npz")["demand"]
        return model
