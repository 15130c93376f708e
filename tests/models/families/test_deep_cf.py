from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from expectations.shop.toml_settings import SettingsError
from expectations.tables import NightError
from models.data.dataset import Dataset
from models.families.deep_cf import DeepCf
from models.interface.model import Model, TrainingHistory
from models.interface.registry import config_values
from tests.models.contract import ModelContract
from tests.worlds.communities import SILENT_USER


def _small() -> dict[str, Any]:
    values = config_values("deep_cf")
    return {
        "embedding_dim": 8,
        "feature_dim": 4,
        "hidden_units": [16, 8],
        "max_length": 8,
        "learning_rate": 0.02,
        "batch_size": 8,
        "epochs": 6,
        "sampling": {**values["sampling"], "num_positives": 2, "num_from_catalogue": 6, "num_from_history": 2},
        "neighbours": {**values["neighbours"], "shrinkage": 1.0},
    }


class TestDeepCf(ModelContract):
    name = "deep_cf"
    settings: ClassVar[dict[str, Any]] = _small()

    def test_it_proposes_nothing_itself(self, fitted: Model, dataset: Dataset) -> None:
        assert fitted.retrieval(dataset) is None

    def test_a_score_does_not_depend_on_the_other_items_of_the_row(self, fitted: Model, dataset: Dataset) -> None:
        assert isinstance(fitted, DeepCf)
        users, items = np.array([2, SILENT_USER]), np.array([[4, 7, 9], [5, 6, 8]])
        together = fitted.pair_scores(dataset, users, items)
        alone = np.stack([fitted.pair_scores(dataset, users, items[:, [n]])[:, 0] for n in range(3)], axis=1)
        np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)

    def test_a_loss_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="`loss` must be one of binary_crossentropy, squared_error"):
            self.config_from({**config_values(self.name), "loss": "hinge"})

    def test_epochs_are_chosen_on_the_latest_window(self, fit: tuple[Model, TrainingHistory]) -> None:
        history = fit[1]
        held_out = history.curves["held_out_window_loss"]
        assert len(history.curves["loss"]) == int(np.argmin(held_out)) + 1

    def test_a_world_in_which_nobody_wants_anything_is_refused(self, dataset: Dataset) -> None:
        events = replace(dataset.events, is_target=np.zeros_like(dataset.events.is_target))
        with pytest.raises(NightError, match="deep_cf as of 2024-03-10: no user wanted a known item"):
            self.new_model().fit(replace(dataset, events=events))
