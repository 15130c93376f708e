"""The baseline that is hard to beat in a shop with seasons: everybody gets what sells these days.

An item's score is its number of target events in the last `window_days`, where an event counts half as much for every
`half_life_days` of its age.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.shop.bounds import AtLeastOne, Bounded, Positive
from models.data.dataset import Dataset
from models.data.mmap_arrays import spans
from models.families.popularity_model import PopularityModel
from models.interface.model import TrainingHistory


@dataclass(frozen=True)
class RecentDemandConfig(Bounded):
    """See models/configs/recent_demand.toml.

    Attributes:
        window_days: older events count nothing.
        half_life_days: if it is very large, every event of the window counts the same.
    """

    window_days: AtLeastOne
    half_life_days: Positive


class RecentDemand(PopularityModel[RecentDemandConfig]):
    """See the module's docstring."""

    name = "recent_demand"
    config_class = RecentDemandConfig

    def fit(self, dataset: Dataset) -> TrainingHistory:
        """Adds up the decayed target events of the window."""
        events, demand, num_counted = dataset.events, np.zeros(dataset.num_items), 0
        for part in spans(len(events.time)):
            age_days = (dataset.end - events.time[part]) / SECONDS_PER_DAY
            counts = events.is_target[part] & (age_days <= self.config.window_days)
            weight = np.where(counts, 0.5 ** (age_days / self.config.half_life_days), 0.0)
            demand += np.bincount(events.item_index[part], weight, dataset.num_items)
            num_counted += int(counts.sum())
        self.demand = demand.astype(np.float32)
        return TrainingHistory(facts={"events": float(num_counted)})
