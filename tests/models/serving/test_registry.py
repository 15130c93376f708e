"""Registering a night's session model in MLflow, and moving its alias."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.program import Night
from expectations.runtime.tracking_config import TrackingConfig
from models import register_session_model
from models.interface.published_lists import PublishedNights
from models.serving import model_registry
from tests.models.conftest import NO_SERVER
from tests.worlds.communities import DAY
from tests.worlds.session_requests import (
    MODEL_NAME,
    Server,
    shop_file,
)


def test_a_night_registers_once_and_an_earlier_one_leaves_the_alias(
    night: Night, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(night.tracking.uri)
    before = client.get_model_version_by_alias(MODEL_NAME, "serving").version
    register_session_model.register_session_model(night)
    assert len(client.search_model_versions(f"name = '{MODEL_NAME}'")) == 1
    monkeypatch.setattr(register_session_model, "published_nights", lambda _: PublishedNights({"2024-03-12": "x"}))
    earlier = replace(night, shop=replace(night.shop, top_k=2))
    register_session_model.register_session_model(earlier)
    assert len(client.search_model_versions(f"name = '{MODEL_NAME}'")) == 2
    assert client.get_model_version_by_alias(MODEL_NAME, "serving").version == before


def test_nothing_in_the_registered_model_is_pickled(night: Night, server: Server) -> None:
    version = MlflowClient(night.tracking.uri).get_model_version_by_alias(MODEL_NAME, "serving")
    assert version.source
    files = [file.name for file in Path(version.source.removeprefix("file://")).rglob("*") if file.is_file()]
    assert {"mlflow_entry.py", "encoder.keras", "users.sqlite", "MLmodel"} <= set(files)
    assert not [name for name in files if name.endswith((".pkl", ".pickle"))]


def test_a_server_that_is_away_costs_a_warning(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        register_session_model.register_session_model(replace(night, tracking_server=NO_SERVER))
    assert "MLflow did not look for the session model, the night goes on without" in caplog.text


def test_a_shop_without_a_sequence_model_has_nothing_to_serve(
    night: Night, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = shop_file(tmp_path)
    flags = ["--shop", str(path), "--ds", DAY, "--root", str(tmp_path / "root"), "--models"]
    with caplog.at_level(logging.INFO):
        register_session_model.main([*flags, "recent_demand"])
        register_session_model.main([*flags, "recent_demand,sequence"])
    assert "nothing to serve: the shop does not run sequence" in caplog.text
    assert f"nothing to serve: sequence was not fitted as of ds={DAY}" in caplog.text
    assert model_registry.serving_uri(TrackingConfig(str(tmp_path / "root")), "communities") is None


def test_to_serve_before_any_night_says_what_to_run(tmp_path: Path) -> None:
    command = [sys.executable, "docker/local/serve.py", "--shop", str(shop_file(tmp_path))]
    environment = {**os.environ, "NIGHTJAR_ROOT": str(tmp_path / "root"), "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "No session model of the shop 'communities' is registered" in ended.stderr.splitlines()[-1]
    assert "Run `make nightly` with `sequence` among `models`" in ended.stderr
