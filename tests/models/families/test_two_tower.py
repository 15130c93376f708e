from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from expectations.tables import NightError
from models.batches.retrieval_batches import HiddenBatches, WindowBatches
from models.data.dataset import Dataset
from models.families.two_tower import TwoTower, TwoTowerConfig
from models.interface.model import Model, Vectors
from tests.models.contract import ModelContract
from tests.worlds.communities import DAY, SILENT_USER


class TestTwoTower(ModelContract):
    name = "two_tower"
    settings: ClassVar[dict] = {
        "embedding_dim": 8,
        "hidden_dim": 16,
        "feature_dim": 4,
        "max_length": 8,
        "learning_rate": 0.02,
        "batch_size": 8,
        "epochs": 15,
    }

    def test_every_index_gets_a_vector(self, fitted: Model, dataset: Dataset) -> None:
        vectors = fitted.retrieval(dataset)
        assert isinstance(vectors, Vectors)
        assert vectors.user.shape == (dataset.num_users, 8)
        assert vectors.item.shape == (dataset.num_items, 8)
        assert np.isfinite(vectors.user[SILENT_USER]).all()

    def test_vectors_multiply_to_the_scores(self, fitted: Model, dataset: Dataset) -> None:
        vectors = fitted.retrieval(dataset)
        assert isinstance(vectors, Vectors)
        product = (vectors.user @ vectors.item.T)[[4, 5]]
        np.testing.assert_allclose(product, fitted.scores(dataset, np.array([4, 5])), rtol=1e-4, atol=1e-5)

    def test_a_batch_asks_for_what_was_wanted_after_its_cut(self, dataset: Dataset) -> None:
        batches = WindowBatches(dataset, max_windows=1, batch_size=8, num_candidates=30, max_length=8)
        inputs, target = batches[0]
        window = batches.windows[0]
        wanted = {user: set(items.tolist()) for user, items in zip(window.users.tolist(), window.wanted, strict=True)}
        for user, row in zip(inputs["user_index"].tolist(), target, strict=True):
            assert set(inputs["item_index"][row > 0].tolist()) == wanted[user]
        np.testing.assert_allclose(target.sum(axis=1), 1.0, rtol=1e-6)

    def test_a_batch_hides_some_items_of_a_history_and_asks_for_all(self, dataset: Dataset) -> None:
        batches = HiddenBatches(
            dataset, hidden_share=0.5, batch_size=64, num_candidates=100, max_length=8, user_weight_exponent=0
        )
        inputs, target, _ = batches[0]
        num_shown = 0
        for user, row, items, weights in zip(
            inputs["user_index"], target, inputs["history"], inputs["history_weights"][..., 0], strict=True
        ):
            wanted = dataset.interactions.user_index == user
            wanted &= dataset.interactions.demand > 0
            assert set(inputs["item_index"][row > 0]) == set(dataset.interactions.item_index[wanted])
            shown = set(items[weights > 0])
            assert not shown & set(items[(weights == 0) & (items > 0)]), "one item, shown and hidden"
            assert weights.sum() == pytest.approx(1.0 if shown else 0.0)
            num_shown += len(shown)
        in_all = sum(len(set(items[items > 0])) for items in inputs["history"])
        assert 0.25 * in_all < num_shown < 0.75 * in_all

    def test_cosines_of_hidden_items_tell_the_communities_apart(self, dataset: Dataset) -> None:
        changes = {"objective": "hidden_items", "similarity": "cosine", "temperature": 0.2}
        model: Model = TwoTower(replace(self.new_model().config, **changes))  # type: ignore
        model.fit(dataset)
        vectors = model.retrieval(dataset)
        assert isinstance(vectors, Vectors)
        np.testing.assert_allclose(np.linalg.norm(vectors.item, axis=1), 0.2**-0.5, rtol=1e-3)
        self.test_the_two_communities_are_learnt(model, dataset)

    def test_a_world_in_which_nobody_wants_anything_is_refused(self, dataset: Dataset) -> None:
        events = replace(dataset.events, is_target=np.zeros_like(dataset.events.is_target))
        with pytest.raises(NightError, match="two_tower as of 2024-03-10: no user wanted a known item"):
            self.new_model().fit(replace(dataset, events=events))

    def test_a_loss_that_runs_away_stops_the_night(self, dataset: Dataset) -> None:
        config: TwoTowerConfig = self.new_model().config  # type: ignore[attr-defined]
        broken = {**dataset.item_features, "age_days": np.full(dataset.num_items, 70.0)}
        broken["age_days"][5] = np.inf
        with pytest.raises(NightError, match="two_tower: the loss must stay finite"):
            TwoTower(replace(config, epochs=1)).fit(replace(dataset, item_features=broken))

    def test_a_model_that_was_not_fitted_is_not_saved(self, tmp_path: Path) -> None:
        with pytest.raises(NightError, match="must be fitted"):
            self.new_model().save(tmp_path / DAY)

    def test_every_epoch_is_logged(self, dataset: Dataset, caplog: pytest.LogCaptureFixture) -> None:
        config: TwoTowerConfig = self.new_model().config  # type: ignore[attr-defined]
        with caplog.at_level("INFO"):
            TwoTower(replace(config, epochs=2)).fit(dataset)
        lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("epoch: ")]
        assert [line.partition(" loss=")[0] for line in lines] == [
            "epoch: model=two_tower epoch=1/2",
            "epoch: model=two_tower epoch=2/2",
        ]
