from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient

from expectations.runtime.program import Night
from expectations.tables import FITTED_MODELS
from models.data.arrow_rows import arrow_rows
from models.interface import tracking
from tests.models.conftest import NO_SERVER
from tests.worlds.communities import DAY


@pytest.fixture
def local_night(night: Night) -> Night:
    return replace(night, ds=DAY)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def fit_of(model: str, version: str) -> tracking.Fit:
    config = {"epochs": 2, "sampling": {"num_positives": 3}}
    curves, facts, inputs = {"loss": [0.5, 0.25]}, {"seconds": 1.0}, ["a", "b"]
    return tracking.Fit(model, DAY, version, config, curves, facts, inputs, "hash", "code")


def test_a_fit_is_logged_registered_and_promoted(local_night: Night, saved: Path) -> None:
    version = f"two_tower-{DAY}-0a0a0a0a"
    run_id = tracking.log_fit(local_night.tracking, local_night.run_tags, fit_of("two_tower", version), saved)
    assert run_id
    row: dict[str, Any] = {
        "model": "two_tower",
        "kind": "deep",
        "role": "retrieval",
        "version": version,
        "weights_path": None,
    }
    row |= {"tracking_run_id": run_id, "metrics": "{}", "vocabulary_hash": "hash"}
    local_night.lake.write(FITTED_MODELS, DAY, arrow_rows(FITTED_MODELS, DAY, [row]), "f", model="two_tower")
    assert tracking.promote(local_night.tracking, local_night.shop.name, "two_tower", version)

    client = MlflowClient(local_night.tracking.uri)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["sampling.num_positives"] == "3"
    assert run.data.params["vocabulary_hash"] == "hash"
    assert [m.value for m in client.get_metric_history(run_id, "loss")] == [0.5, 0.25]
    assert {f.path for f in client.list_artifacts(run_id)} == {"model", "curves.png"}
    champion = client.get_model_version_by_alias("nightjar-corner", "champion")
    assert champion.tags == {"model": "two_tower", "as_of": DAY, "version": version}

    figure = Figure()
    row = {"model": "two_tower", "task": "new_items", "k": 10, "num_users": 5}
    row |= dict.fromkeys(("recall", "ndcg", "map", "mrr", "hit_rate", "coverage"), 0.5)
    details = {"backtests": [row], "backtest_slices": [{"slice": "users=new"}]}
    backtest_id = tracking.log_backtest(
        local_night.tracking, local_night.run_tags, [DAY], details, {"backtest": figure}, {"horizon_days": 7}
    )
    assert backtest_id
    backtest = client.get_run(backtest_id)
    assert backtest.data.metrics["two_tower.new_items.ndcg_at_10"] == 0.5
    kept = {f.path for f in client.list_artifacts(backtest_id)}
    assert kept == {"backtests.json", "backtest_slices.json", "backtest.png"}


def test_a_server_that_is_away_is_one_warning(
    local_night: Night, saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = replace(local_night, tracking_server=NO_SERVER)
    with caplog.at_level(logging.WARNING, logger="models.interface.tracking"):
        assert tracking.log_fit(away.tracking, away.run_tags, fit_of("two_tower", "v"), saved) is None
    warnings = [record for record in caplog.records if record.name == "models.interface.tracking"]
    assert len(warnings) == 1
    told = warnings[0].getMessage()
    assert told.startswith("MLflow did not log the fit, the night goes on without: MLflow must answer. Received: ")
    assert told.endswith("See that MLFLOW_TRACKING_URI names a server that runs; unset, a file serves.")


def test_a_database_that_somebody_holds_is_one_warning_with_the_way_out(
    local_night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(local_night.tracking, patience_seconds=0.1)
    config.local_folder.mkdir(parents=True)
    with closing(sqlite3.connect(config.local_folder / "mlflow.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        assert tracking.unless_away("log the fit", config, lambda client: client.search_experiments()) is None
        assert time.monotonic() - started < 5
    assert [record.getMessage() for record in caplog.records if record.name == "models.interface.tracking"] == [
        "MLflow did not log the fit, the night goes on without: MLflow's database must be free to be written. "
        "Received: OperationalError: database is locked. End what holds it, or name a server in MLFLOW_TRACKING_URI, "
        "to which many may write at once."
    ]
