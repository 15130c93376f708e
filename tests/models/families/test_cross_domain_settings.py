"""The demand that an item's bias starts from is smoothed as the config says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.families.cross_domain import log_demand_of


@pytest.mark.parametrize("smoothing", [0.3, 2.0])
def test_an_items_bias_starts_from_its_smoothed_demand(smoothing: float) -> None:
    pairs = SimpleNamespace(item_index=np.array([1, 1, 2, 3]), demand=np.array([1.0, 2.0, 1.0, 0.0]))
    dataset: Any = SimpleNamespace(interactions=pairs, num_items=4)
    assert log_demand_of(dataset, smoothing) == pytest.approx(np.log(np.array([0, 2, 1, 0]) + smoothing))
