"""A bundle refuses parts that do not belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from expectations.runtime.program import Night
from expectations.tables import FITTED_MODELS
from models import register_session_model
from models.interface.published_lists import PublishedNights
from models.serving.bundle import BundleError, SessionBundle
from tests.worlds.communities import DAY
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
