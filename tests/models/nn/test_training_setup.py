"""What ends a fit early, and what is left of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.shop import Shop
from expectations.tables import FITTED_MODELS, USER_VECTORS, VOCABULARIES, NightError
from models import train
from models.families.two_tower import TwoTower
from models.interface.fitted_models import fitted_model
from models.interface.in_force import ModelsAsOf
from models.interface.registry import model_class
from models.interface.weights_store import fetched_folder
from models.nn.network_fitting import compile_with
from models.nn.training_setup import TrainingFailed, guarded_fit, is_out_of_memory, prepare_training
from models.nn.warm_start import grown, take_over
from tests.models.conftest import NO_SERVER
from tests.worlds.communities import DAY, community_events, vocabulary_rows, write_world

EPOCHS = 4


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """These nights have no MLflow server: nothing listens on that port."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


def small_network() -> keras.Model:
    prepare_training(seed=0)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    network.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", jit_compile=False)
    return network


def fit_watched(network: keras.Model, first_bad: int) -> None:
    """One batch an epoch, which holds infinities from epoch `first_bad` on, counted from 0."""
    features = np.ones((8, 3), dtype=np.float32)
    with guarded_fit("two_tower", network, EPOCHS, batch_size=8) as guard:
        for epoch in range(EPOCHS):
            read = np.full_like(features, np.inf) if epoch >= first_bad else features
            guard.on_epoch_begin(epoch)
            guard.on_epoch_end(epoch, {"loss": float(network.train_on_batch(read, features[:, :1]))})


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it is TensorFlow that traces")
def test_a_compiled_step_is_traced_once() -> None:
    class Counted(keras.layers.Dense):
        num_calls = 0

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            Counted.num_calls += 1
            return super().call(inputs)

    network = keras.Sequential([keras.Input((3,)), Counted(1)])
    compile_with(keras.optimizers.Adam(), network, keras.losses.MeanSquaredError())
    before = Counted.num_calls
    for _ in range(2):
        network.train_on_batch(np.ones((8, 3), dtype=np.float32), np.ones((8, 1), dtype=np.float32))
    assert Counted.num_calls - before == 1


def test_after_a_loss_that_runs_away_the_network_is_that_of_the_last_good_epoch() -> None:
    expected, network = small_network(), small_network()
    for _ in range(2):
        expected.train_on_batch(np.ones((8, 3), dtype=np.float32), np.ones((8, 1), dtype=np.float32))
    with pytest.raises(TrainingFailed, match=r"the loss must stay finite. Received: \w+ in epoch 3. Lower") as failed:
        fit_watched(network, first_bad=2)
    assert failed.value.good_epochs == 2
    for left, right in zip(network.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_without_a_good_epoch_none_is_claimed() -> None:
    with pytest.raises(TrainingFailed, match="in epoch 1") as failed:
        fit_watched(small_network(), first_bad=0)
    assert failed.value.good_epochs == 0


def test_a_memory_that_does_not_suffice_is_told_with_what_to_lower() -> None:
    network = small_network()
    with (
        pytest.raises(TrainingFailed, match=r"in epoch 1 with batch_size = 512. Lower `batch_size` in models/configs"),
        guarded_fit("graph", network, EPOCHS, batch_size=512),
    ):
        ops.ones((10**6, 10**9))  # four petabytes


def test_jax_says_that_memory_is_full_in_a_text() -> None:
    assert is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4000000000000000 bytes."))


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(KeyError), guarded_fit("graph", small_network(), EPOCHS, batch_size=8):
        raise KeyError("weight")


def test_a_fit_that_fails_puts_nothing_in_force_and_keeps_its_last_good_weights(night: Night, world_shop: Shop) -> None:
    # One batch an epoch: the first loss is that of the weights drawn, the second that of a step far too long.
    runs_away = {"learning_rate": 1e30, "batch_size": 4096, "max_windows": 1}
    shop = replace(world_shop, settings={"two_tower": runs_away})
    write_world(night.lake, community_events())
    with pytest.raises(
        NightError, match=r"must stay finite.*The weights after epoch 1, the last good one, are in "
    ) as e:
        train.train_models(replace(night, shop=shop, ds=DAY), DAY, ["two_tower"])
    assert night.lake.current(FITTED_MODELS, DAY, "two_tower") is None
    kept = Path(str(e.value).rpartition(" are in ")[2].rstrip("."))
    assert kept.is_relative_to(Path(Lake(night.lake.root).root) / "weights")
    assert model_class("two_tower").load(kept).name == "two_tower"


def test_known_rows_stay_and_new_ones_begin_as_the_unknown_value() -> None:
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_array_equal(grown("graph", "own", rows, (6, 2)), rows[[0, 1, 2, 3, 1, 1]])


@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (6, 3)])
def test_weights_of_another_config_or_of_a_later_day_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(NightError, match=r"graph: weights go on from .* own: shape \(4, 2\), expected"):
        grown("graph", "own", np.zeros((4, 2), dtype=np.float32), shape)


def test_a_network_of_other_layers_is_refused() -> None:
    deeper = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1), keras.layers.Dense(1)])
    with pytest.raises(NightError, match="Received for tower: 2 arrays, expected 4"):
        take_over("graph", {"tower": deeper}, {"tower": small_network()})


def night_of(root: str, shop: Shop, ds: str) -> Night:
    now = datetime(2024, 3, 13, 2, tzinfo=timezone.utc)
    return Night(Lake(root), "unused", shop, ds, run_id="test", now=now, tracking_server=NO_SERVER)


class TestWarmStart:
    """DAY is a Sunday; the models are asked for two days later."""

    LATER = "2024-03-12"

    def night_at(self, root: str, shop: Shop) -> Night:
        lake, events = Lake(root), community_events()
        for day in (DAY, self.LATER):
            write_world(lake, events, day)
            lake.write(VOCABULARIES, day, vocabulary_rows(day), f"vocabularies {day}", anchor=DAY)
        return night_of(root, replace(shop, warm_start=True), self.LATER)

    def test_deep_models_go_on_from_their_sunday_whether_it_was_fitted_before_or_not(
        self, tmp_path: Path, world_shop: Shop, caplog: pytest.LogCaptureFixture
    ) -> None:
        vectors = []
        for folder, first_days in (("alone", []), ("after", [DAY])):
            night = self.night_at(str(tmp_path / folder), world_shop)
            for day in first_days:
                train.train_models(night, day, ["two_tower"])
            with caplog.at_level("INFO"):
                train.train_models(night, self.LATER, ["two_tower", "item_item"])
            assert night.lake.models(FITTED_MODELS, DAY) == ["two_tower"], "a baseline learns everything anew"
            vectors.append(night.lake.read(USER_VECTORS, self.LATER, "two_tower"))
        assert vectors[0].equals(vectors[1])
        going_on = [r.getMessage() for r in caplog.records if r.getMessage().startswith("going on:")]
        assert len(going_on) == 2
        assert f"model=two_tower as_of={self.LATER} from=two_tower-{DAY}-" in going_on[0]

    def test_with_weekly_fits_a_day_answers_with_the_weights_of_its_sunday(
        self, tmp_path: Path, world_shop: Shop, caplog: pytest.LogCaptureFixture
    ) -> None:
        night = self.night_at(str(tmp_path), world_shop)
        weekly = replace(night, shop=replace(night.shop, warm_start=False, refit="weekly"))
        with caplog.at_level("INFO"):
            train.train_models(weekly, self.LATER, ["two_tower"])
        assert f"carrying over: model=two_tower as_of={self.LATER} from=two_tower-{DAY}-" in caplog.text
        sunday, carried = (night.lake.require(FITTED_MODELS, day, "two_tower") for day in (DAY, self.LATER))
        weights = []
        for fit in (sunday, carried):
            with fetched_folder(night.lake, str(fitted_model(fit)["weights_path"])) as folder:
                weights.append(TwoTower.load(folder).network("item_tower").get_weights())
        assert all(np.array_equal(*pair) for pair in zip(*weights, strict=True)), "nothing was trained"
        assert ModelsAsOf(night.lake, weekly.shop, self.LATER).fit("two_tower") == carried
        assert ModelsAsOf(night.lake, night.shop, self.LATER).fit("two_tower") is None, "a warm start is another fit"
        train.train_models(night, self.LATER, ["two_tower"])
        assert night.lake.require(FITTED_MODELS, self.LATER, "two_tower") != carried

    def test_the_nights_of_a_week_share_the_fit_of_a_past_day(self, tmp_path: Path, world_shop: Shop) -> None:
        night = self.night_at(str(tmp_path), world_shop)
        fits = []
        for ds in (self.LATER, "2024-03-13"):
            train.train_models(night_of(str(tmp_path), night.shop, ds), self.LATER, ["two_tower"])
            fits.append(night.lake.require(FITTED_MODELS, self.LATER, "two_tower").path)
        assert fits[0] == fits[1]

    def test_another_fit_of_the_sunday_is_another_fit(self, tmp_path: Path, world_shop: Shop) -> None:
        night = self.night_at(str(tmp_path), world_shop)
        train.train_models(night, self.LATER, ["two_tower"])
        before = night.lake.require(FITTED_MODELS, self.LATER, "two_tower").fingerprint
        night.lake.write(VOCABULARIES, DAY, vocabulary_rows(DAY), "another", anchor=DAY)
        train.train_models(night, self.LATER, ["two_tower"])
        assert night.lake.require(FITTED_MODELS, self.LATER, "two_tower").fingerprint != before
