"""Backtest and gate as programs, with MLflow in a file and with a server that is away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake
from mlflow import MlflowClient

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, night_from, night_parser
from expectations.semantics.models_in_force import NO_MODEL
from expectations.tables import BACKTEST_GAINS, BACKTESTS, GATE_DECISIONS, RUN_MANIFEST, NightError
from models import backtest, gate, promote_champion
from models.data.arrow_rows import arrow_rows
from models.interface import tracking
from models.interface.in_force import ModelsAsOf
from tests.worlds.judged_night import (
    manifest_contract,
    manifest_row,
    put_in_force,
    write_events,
    write_features,
    write_interactions,
    write_model,
    write_neighbours,
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
    flags = ["--ds", DS, "--shop", str(tmp_path / "corner.toml"), "--root", lake.root, "--data", str(tmp_path)]
    put_in_force(lake, night_from(night_parser(None).parse_args(flags)).shop, AS_OF, DS)
    return flags


def register_two_tower(flags: list[str], tmp_path: Path) -> Night:
    night = night_from(night_parser(None).parse_args(flags))
    (tmp_path / "weights").mkdir()
    fit = tracking.Fit("two_tower", DS, f"two_tower-{DS}", {}, {}, {"seconds": 1.0}, ["a"], "words", "code")
    assert tracking.log_fit(night.tracking, night.run_tags, fit, tmp_path / "weights")
    return night


def publish(lake: Lake, ds: str, model: str) -> None:
    """What readers find of a night."""
    row = manifest_row("user_recommendations", model, ds)
    path = lake.table_path(RUN_MANIFEST)
    write_deltalake(path, arrow_rows(manifest_contract(), ds, [row]), mode="append", partition_by=["ds"])


def champion(night: Night) -> str | None:
    """The version that the alias names."""
    model = MlflowClient(night.tracking.uri).get_registered_model("nightjar-corner")
    number = model.aliases.get("champion")
    if number is None:
        return None
    return str(MlflowClient(night.tracking.uri).get_model_version("nightjar-corner", number).tags["version"])


def test_the_winner_is_decided_and_logged_and_becomes_champion_when_it_is_published(
    flags: list[str], lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
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
    # Nothing is published yet: a night that fails from here on leaves the alias where it was.
    assert champion(night) is None
    with pytest.raises(NightError, match="this night was not published"):
        promote_champion.main(flags)
    publish(lake, DS, "two_tower")
    promote_champion.main(flags)
    assert champion(night) == f"two_tower-{DS}"
    # Of a backfilled night, what a later night published stays.
    publish(lake, "2024-03-12", "recent_demand")
    client.delete_registered_model_alias("nightjar-corner", "champion")
    with caplog.at_level("INFO"):
        promote_champion.main(flags)
    assert "alias champion stays: a later night than ds=2024-03-10 is published" in caplog.text
    assert champion(night) is None


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


def test_a_tracking_server_that_is_away_costs_a_warning_each_and_no_decision(
    flags: list[str], lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    backtest.main(flags)
    gate.main(flags)
    publish(lake, DS, "two_tower")
    promote_champion.main(flags)
    assert lake.read(BACKTESTS, DS).num_rows > 0
    assert lake.read(GATE_DECISIONS, DS)["published_model"].to_pylist() == ["two_tower"]
    assert [r.levelname for r in caplog.records if "MLflow did not" in r.getMessage()] == ["WARNING", "WARNING"]


def refit_after_a_correction(lake: Lake, night: Night, *days: str) -> None:
    """A drop of before is corrected; recent_demand is fitted from it, and the fit of two_tower fails."""
    for as_of in days:
        write_interactions(lake, as_of, [(2, 2), (3, 3)])
    put_in_force(lake, replace(night.shop, models=("recent_demand",)), *days)


def details_of(lake: Lake) -> dict[str, Any]:
    """The decision's model -> what it says of it, and the whole row under `row`."""
    (row,) = lake.read(GATE_DECISIONS, DS).to_pylist()
    return {"row": row, **{told["model"]: told for told in json.loads(row["decision"])["models"]}}


def test_the_fit_of_before_a_correction_does_not_stand_in_for_one_that_failed(flags: list[str], lake: Lake) -> None:
    night = night_from(night_parser(None).parse_args(flags))
    backtest.main(flags)
    gate.main(flags)
    assert lake.read(GATE_DECISIONS, DS)["published_model"].to_pylist() == ["two_tower"]

    refit_after_a_correction(lake, night, DS)
    gate.main(flags)
    found = details_of(lake)
    assert (found["row"]["published_model"], found["row"]["is_fallback"]) == ("recent_demand", True)
    assert found["two_tower"]["rules"][0] == {"rule": "is fitted as of ds", "saw": "no fit", "passed": False}
    assert set(json.loads(found["row"]["in_force"])["candidates"]) == {"recent_demand"}


def test_the_lists_and_the_backtest_of_before_a_correction_are_not_judged_again(flags: list[str], lake: Lake) -> None:
    night = night_from(night_parser(None).parse_args(flags))
    backtest.main(flags)
    refit_after_a_correction(lake, night, AS_OF)
    assert list(backtest.lists_to_evaluate(night)) == ["recent_demand"]
    # The backtest of tonight was not held, and that of the first run told of other lists.
    gate.main(flags)
    found = details_of(lake)
    assert found["row"]["is_fallback"] is True
    assert found["two_tower"]["ndcg"] is None
    assert "backtests" not in json.loads(found["row"]["in_force"])


@pytest.mark.parametrize("change", ["seed = 9", "[settings.two_tower]\nepochs = 0"])
def test_a_fit_of_other_settings_does_not_count(flags: list[str], lake: Lake, change: str) -> None:
    shop = Path(flags[3])
    shop.write_text(f"{change}\n{SHOP}" if "=" in change.splitlines()[0] else f"{SHOP}{change}\n")
    night = night_from(night_parser(None).parse_args(flags))
    assert ModelsAsOf(lake, night.shop, DS).fit("two_tower") is None


def test_a_model_that_the_shop_no_longer_runs_fills_and_signs_nothing(flags: list[str], lake: Lake) -> None:
    flags = [*flags, "--models", "recent_demand"]
    write_model(lake, DS, "all_time_popularity", [(2, 2, 1.0, False)])
    write_neighbours(lake, DS, "two_tower", [(2, 3, 1.0)])
    night = night_from(night_parser(None).parse_args(flags))
    put_in_force(lake, replace(night.shop, models=("recent_demand", "all_time_popularity", "two_tower")), DS)
    backtest.main(flags)
    gate.main(flags)
    row = details_of(lake)["row"]
    assert json.loads(row["model_versions"]) == {"recent_demand": f"recent_demand-{DS}"}
    named = {model for models in json.loads(row["in_force"]).values() for model in models}
    assert named == {"recent_demand", NO_MODEL}
    assert row["similar_model"] == ""
