"""What the popularity baselines share: one demand for each item, the same for every user.

As vectors, every user is [1] and every item is [its demand]. A user without a history therefore gets the same list as
everybody else. A family says how demand is counted: see `models.families.all_time_popularity` and
`models.families.recent_demand`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np

from models.data.dataset import Dataset
from models.interface.model import TrainingHistory, Vectors, load_saved_config, save_config

C = TypeVar("C")


class PopularityModel(ABC, Generic[C]):
    """See the module's docstring.

    Attributes:
        demand: the score of each item. Shape (num_items,), float32; empty before `fit`.
    """

    name: str
    kind: Literal["baseline", "deep"] = "baseline"
    role: Literal["retrieval", "ranking"] = "retrieval"
    config_class: ClassVar[type[Any]]

    def __init__(self, config: C) -> None:
        self.config = config
        self.demand = np.zeros(0, dtype=np.float32)

    @abstractmethod
    def fit(self, dataset: Dataset) -> TrainingHistory:
        """Counts the demand."""

    def retrieval(self, dataset: Dataset) -> Vectors:
        """Returns vectors of one dimension, float32; see the module's docstring."""
        return Vectors(np.ones((dataset.num_users, 1), dtype=np.float32), self.demand[:, None])

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        """Returns the same demand for each user. Shape (len(user_indices), num_items), float32."""
        return np.tile(self.demand, (len(user_indices), 1))

    def save(self, path: Path) -> None:
        """Writes the config and `demand.npz` into the folder `path`."""
        save_config(path, self.config)
        np.savez(path / "demand.npz", demand=self.demand)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        model = cls(load_saved_config(cls.config_class, path))
        model.demand = np.load(path / "demand.npz")["demand"]
        return model
