"""A bundle refuses parts that do not belong together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.reasons import CATALOGUE_ORDER
from expectations.tables import FITTED_MODELS, ITEM_NEIGHBOURS, ITEM_VECTORS
from models import register_session_model
from models.interface.published_lists import PublishedNights
from models.serving.bundle import BundleError, SessionBundle
from tests.worlds.communities import DAY
from tests.worlds.named_by_gate import all_that_is_there, publish_model
from tests.worlds.session_requests import build_bundle


def test_a_part_of_another_vocabulary_is_refused(night: Night, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    build_bundle(night, folder)
    with np.load(folder / "vectors.npz") as arrays:
        np.savez(folder / "vectors.npz", vectors=arrays["vectors"], vocabulary_hash=np.array("other"))
    with pytest.raises(
        BundleError, match=r"vectors.npz was built with vocabulary other, and the bundle .* speaks world"
    ):
        SessionBundle.load(folder)


def test_parts_that_speak_of_different_numbers_of_items_are_refused(night: Night, tmp_path: Path) -> None:
    build_bundle(night, tmp_path)
    with np.load(tmp_path / "vectors.npz") as arrays:
        np.savez(tmp_path / "vectors.npz", vectors=arrays["vectors"][:-1], vocabulary_hash=arrays["vocabulary_hash"])
    with pytest.raises(BundleError, match=r"the same items.*items.parquet': 23, 'vectors.npz': 22"):
        SessionBundle.load(tmp_path)


def test_a_fit_of_another_vocabulary_is_not_bundled(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = night.lake.read(FITTED_MODELS, DAY, "sequence").to_pylist()[0]
    monkeypatch.setattr(register_session_model, "fitted_model", lambda *_: {**row, "vocabulary_hash": "older"})
    with pytest.raises(BundleError, match="sequence as of 2024-03-10 was built with vocabulary older"):
        build_bundle(night, tmp_path)


def test_a_bundle_beside_tables_of_another_vocabulary_is_refused(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = PublishedNights({DAY: "sequence"}, {DAY: "older"})
    monkeypatch.setattr(register_session_model, "published_nights", lambda _: published)
    with pytest.raises(BundleError, match="user_recommendations as published for 2024-03-10 was built with vocabulary"):
        build_bundle(night, tmp_path)


def test_what_the_gate_did_not_name_is_not_bundled(night: Night, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "root"))
    for table, model in ((FITTED_MODELS, "sequence"), (ITEM_VECTORS, "recent_demand"), (ITEM_NEIGHBOURS, "item_item")):
        version = night.lake.require(table, DAY, model)
        lake.commit(table, DAY, version.path, version.fingerprint, version.rows, model)
    copy = replace(night, lake=lake)
    publish_model(lake, DAY, "sequence")
    whole = register_session_model.bundle_inputs(copy)
    assert whole is not None and (whole.demand_source, whole.neighbours is not None) == ("recent_demand", True)
    named = all_that_is_there(lake, DAY, {"sequence"})
    publish_model(lake, DAY, "sequence", in_force=json.dumps(named))
    alone = register_session_model.bundle_inputs(copy)
    assert alone is not None
    assert (alone.demand_source, alone.demand, alone.neighbours) == (CATALOGUE_ORDER, None, None)
