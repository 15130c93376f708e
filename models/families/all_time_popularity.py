"""The plainest baseline: everybody gets what was bought most, ever.

An item's score is how often it was bought (in a shop without purchases, its number of target events).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.data.dataset import Dataset
from models.data.mmap_arrays import spans
from models.families.popularity_model import PopularityModel
from models.interface.model import TrainingHistory


@dataclass(frozen=True)
class AllTimePopularityConfig:
    """There is nothing to set."""


class AllTimePopularity(PopularityModel[AllTimePopularityConfig]):
    """See the module's docstring."""

    name = "all_time_popularity"
    config_class = AllTimePopularityConfig

    def fit(self, dataset: Dataset) -> TrainingHistory:
        """Adds up the demand of all interactions."""
        pairs, demand = dataset.interactions, np.zeros(dataset.num_items)
        for part in spans(len(pairs.item_index)):
            demand += np.bincount(pairs.item_index[part], pairs.demand[part], dataset.num_items)
        self.demand = demand.astype(np.float32)
        return TrainingHistory(facts={"purchases": float(self.demand.sum())})
