"""The baseline that is hard to beat in a shop with seasons: everybody gets what sells these days.

An item's score is its number of target events in the last `window_days`, each counting half as much for every
`half_life_days` that it is old. As vectors: every user is [1], every item is [its demand]. An unknown user gets the
same list as everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from expectations.runtime.days import SECONDS_PER_DAY
from models.data.dataset import Dataset
from models.data.mmap_arrays import spans
from models.interface.model import TrainingHistory, Vectors, load_saved_config, save_config


@dataclass(frozen=True)
class RecentDemandConfig:
    """`half_life_days` may be as large as you like: then every event of the window counts the same."""

    window_days: int
    half_life_days: float

    def __post_init__(self) -> None:
        for name in ("window_days", "half_life_days"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` must be more than 0. Received: {getattr(self, name)}")


class RecentDemand:
    """See the module's docstring."""

    name = "recent_demand"
    kind = "baseline"
    role = "retrieval"

    def __init__(self, config: RecentDemandConfig) -> None:
        self.config = config
        self.demand = np.zeros(0, dtype=np.float32)

    def fit(self, dataset: Dataset) -> TrainingHistory:
        events, demand, num_counted = dataset.events, np.zeros(dataset.num_items), 0
        for part in spans(len(events.time)):
            age_days = (dataset.end - events.time[part]) / SECONDS_PER_DAY
            counts = events.is_target[part] & (age_days <= self.config.window_days)
            weight = np.where(counts, 0.5 ** (age_days / self.config.half_life_days), 0.0)
            demand += np.bincount(events.item_index[part], weight, dataset.num_items)
            num_counted += int(counts.sum())
        self.demand = demand.astype(np.float32)
        return TrainingHistory(facts={"events": float(num_counted)})

    def retrieval(self, dataset: Dataset) -> Vectors:
        return Vectors(np.ones((dataset.num_users, 1), dtype=np.float32), self.demand[:, None])

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        return np.tile(self.demand, (len(user_indices), 1))

    def save(self, path: Path) -> None:
        save_config(path, self.config)
        np.savez(path / "demand.npz", demand=self.demand)

    @classmethod
    def load(cls, path: Path) -> Self:
        model = cls(load_saved_config(RecentDemandConfig, path))
        model.demand = np.load(path / "demand.npz")["demand"]
        return model
