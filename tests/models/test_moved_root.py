"""A root that was moved, or restored elsewhere, works in full: nothing in it names the place where it lay."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from mlflow import MlflowClient

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.shop import Shop
from expectations.tables import FITTED_MODELS
from models import explain, train
from models.gate import challengers_of
from models.interface import tracking
from models.interface.fitted_models import fitted_model
from models.interface.in_force import ModelsAsOf
from models.interface.registry import model_class
from models.interface.shards import Shard
from models.interface.weights_store import fetched_folder
from tests.worlds.communities import DAY, USERS, community_events, write_world
from tests.worlds.judged_night import put_in_force, write_lists
from tests.worlds.named_by_gate import publish_model


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, world_shop: Shop) -> Night:
    """A night whose models were fitted and logged before its root was moved."""
    folder = tmp_path_factory.mktemp("moved")
    first, second = folder / "first", folder / "second"
    shop = replace(world_shop, models=("item_item", "recent_demand"))
    now = datetime(2024, 3, 11, 2, tzinfo=timezone.utc)
    night = Night(Lake(str(first)), "no drops", shop, DAY, "test", now)
    write_world(night.lake, community_events())
    train.train_models(night, DAY, shop.models)
    for model in shop.models:
        lists = [(user, item, 1.0 / item, False) for user in USERS for item in (2, 3, 4, 5)]
        write_lists(night.lake, DAY, model, lists)
    put_in_force(night.lake, shop, DAY)
    publish_model(night.lake, DAY, "item_item", similar_model="item_item")
    shutil.move(first, second)
    return replace(night, lake=Lake(str(second)))


def test_nothing_that_is_noted_names_the_place(moved: Night) -> None:
    notes = [path for path in Path(moved.lake.root).rglob("*.json") if "mlflow" not in path.parts]
    assert len(notes) > 10
    assert not [path for path in notes if "/first" in path.read_text()]


def test_fits_are_there_and_so_are_their_weights(moved: Night) -> None:
    models = ModelsAsOf(moved.lake, moved.shop, DAY)
    fit = models.fit("item_item")
    assert fit is not None and models.lists("item_item") is not None
    with fetched_folder(moved.lake, str(fitted_model(fit)["weights_path"])) as folder:
        assert model_class("item_item").load(folder).name == "item_item"
    assert [challenger.version is not None for challenger in challengers_of(moved)] == [True, True]
    assert explain.explain(moved, Shard()) is not None


def test_nothing_is_fitted_again(moved: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "load_dataset", lambda *_: pytest.fail("nothing had to be read"))
    train.train_models(moved, DAY, moved.shop.models)


def test_weights_that_an_older_release_noted_with_the_whole_path_are_found(moved: Night, tmp_path: Path) -> None:
    row = moved.lake.read(FITTED_MODELS, DAY, "recent_demand").to_pylist()[0]
    for root in ("/gone/root", moved.lake.root):
        with fetched_folder(moved.lake, f"{root}/{row['weights_path']}") as folder:
            assert (folder / "config.json").is_file()
    # Of a root that is still where it was, and whose fit this one lacks.
    elsewhere = tmp_path / "weights" / "recent_demand" / f"ds={DAY}" / "of-another-root"
    elsewhere.mkdir(parents=True)
    (elsewhere / "config.json").write_text("{}")
    with fetched_folder(moved.lake, str(elsewhere)) as folder:
        assert (folder / "config.json").read_text() == "{}"


def test_mlflow_finds_the_files_of_its_runs(moved: Night, tmp_path: Path) -> None:
    version = str(fitted_model(moved.lake.require(FITTED_MODELS, DAY, "item_item"))["version"])
    assert tracking.promote(moved.tracking, moved.shop.name, "item_item", version)
    client = MlflowClient(moved.tracking.uri)
    name = tracking.registered_name(moved.shop.name)
    champion = client.get_model_version_by_alias(name, tracking.CHAMPION)
    assert champion.source and champion.source.startswith(Path(moved.lake.root).as_uri())
    assert client.get_model_version_download_uri(name, champion.version).startswith(Path(moved.lake.root).as_uri())
    assert client.download_artifacts(str(champion.run_id), "model", str(tmp_path))
