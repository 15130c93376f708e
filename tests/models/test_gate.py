"""Backtest and gate as programs, with MLflow in a file and with a server that is away."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import write_deltalake
from mlflow import MlflowClient

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, night_from, night_parser
from expectations.tables import BACKTEST_GAINS, BACKTESTS, GATE_DECISIONS, RUN_MANIFEST
from models import backtest, gate
from models.data.arrow_rows import arrow_rows
from models.interface import tracking
from tests.worlds.judged_night import (
    manifest_contract,
    manifest_row,
    write_events,
    write_features,
    write_interactions,
    write_model,
    write_vocabulary,
)

DS, AS_OF = "2024-03-10", "2024-03-03"
SHOP = """
name = "corner"
horizon_days = 7
top_k = 3
num_candidates = 6
models = ["recent_demand", "two_tower"]
# There are two customers, of whom both buy what two_tower says: enough here, and for nobody else.
[gate]
min_judged_users = 2
[events]
path = "{data}/{ds}.csv"
columns = { event_time = "time", user_id = "customer", item_id = "article" }
constants = { event_type = "purchase", domain = "things" }
"""


@pytest.fixture
def flags(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two users of whom two_tower knows what they will buy."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "corner.toml").write_text(SHOP)
    for as_of in (AS_OF, DS):
        write_vocabulary(lake, as_of, ["ann", "bob"], ["apple", "bread", "candle"])
        write_interactions(lake, as_of, [(2, 2), (3, 2)])
        write_features(lake, as_of, 2, [[], [], []])
        everybody = [(user, item, 9.0 - item, item == 2) for user in (2, 3) for item in (2, 3, 4)]
        write_model(lake, as_of, "recent_demand", everybody)
        write_model(lake, as_of, "two_tower", [(u, i, float(i), i == 2) for u, i, *_ in everybody], kind="deep")
    bought = [("09:00:00", user, "candle", "purchase", 1.0) for user in ("ann", "bob")]
    write_events(lake, "2024-03-05", bought)
    return ["--ds", DS, "--shop", str(tmp_path / "corner.toml"), "--root", lake.root, "--data", str(tmp_path)]


def register_two_tower(flags: list[str], tmp_path: Path) -> Night:
    night = night_from(night_parser(None).parse_args(flags))
    (tmp_path / "weights").mkdir()
    fit = tracking.Fit("two_tower", DS, f"two_tower-{DS}", {}, {}, {"seconds": 1.0}, ["a"], "words", "code")
    assert tracking.log_fit(night.tracking, night.run_tags, fit, tmp_path / "weights")
    return night


def test_the_winner_is_published_logged_and_becomes_champion(
    flags: list[str], lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night = register_two_tower(flags, tmp_path)
    backtest.main(flags)
    backtest.main(flags)  # finds it written, and logs no second run
    gate.main(flags)

    assert "with_repeats (2 users judged)" in capsys.readouterr().out
    assert lake.read(GATE_DECISIONS, DS)["published_model"].to_pylist() == ["two_tower"]
    client = MlflowClient(night.tracking.uri)
    experiment = client.get_experiment_by_name("nightjar-corner")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], f"attributes.run_name = 'backtest-{DS}'")
    assert run.data.metrics["two_tower.with_repeats.hit_rate_at_3"] == 1.0
    kept = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert kept == {
        *("backtests.json", "backtest_slices.json", "backtest_gains.json"),
        *("backtest.png", "backtest_lists.png"),
    }
    assert client.get_model_version_by_alias("nightjar-corner", "champion").tags["version"] == f"two_tower-{DS}"


def test_one_judged_user_proves_nothing(
    flags: list[str], lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = tmp_path / "corner.toml"
    shop.write_text(shop.read_text().replace("[gate]\nmin_judged_users = 2\n", ""))
    write_events(lake, "2024-03-05", [("09:00:00", "ann", "candle", "purchase", 1.0)])
    backtest.main(flags)
    gate.main(flags)
    two_tower = next(row for row in lake.read(BACKTEST_GAINS, DS).to_pylist() if row["model"] == "two_tower")
    assert two_tower["gain"] > 0
    assert (two_tower["gain_low"], two_tower["gain_high"], two_tower["p_value"]) == (-1.0, 1.0, 1.0)
    (decision,) = lake.read(GATE_DECISIONS, DS).to_pylist()
    assert (decision["published_model"], decision["is_fallback"]) == ("recent_demand", False)
    printed = capsys.readouterr().out
    assert "two_tower against recent_demand: +0.5000, too few users for an interval, p = 1.000" in printed
    assert "failed: beats recent_demand: 1.0000 against 0.5000, too few users judged, 1 of at least 30" in printed
    assert "Only 1 user was judged, fewer than the 30 of `min_judged_users`: nothing replaces the champion" in printed


def test_a_backfilled_night_leaves_the_champion_of_a_later_night(
    flags: list[str], lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    later = [manifest_row("user_recommendations", "recent_demand")]
    write_deltalake(
        lake.table_path(RUN_MANIFEST), arrow_rows(manifest_contract(), "2024-03-12", later), partition_by=["ds"]
    )
    night = register_two_tower(flags, tmp_path)
    backtest.main(flags)
    with caplog.at_level("INFO"):
        gate.main(flags)
    assert "alias champion stays: a later night than ds=2024-03-10 is published" in caplog.text
    model = MlflowClient(night.tracking.uri).get_registered_model("nightjar-corner")
    assert "champion" not in model.aliases


def test_a_tracking_server_that_is_away_costs_a_warning_each_and_no_decision(
    flags: list[str], lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    backtest.main(flags)
    gate.main(flags)
    assert lake.read(BACKTESTS, DS).num_rows > 0
    assert lake.read(GATE_DECISIONS, DS)["published_model"].to_pylist() == ["two_tower"]
    assert [r.levelname for r in caplog.records if "MLflow did not" in r.getMessage()] == ["WARNING", "WARNING"]
