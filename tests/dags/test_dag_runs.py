"""Whole runs of the DAGs over programs that do nothing: what is started, with what, and what a failure stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# The runs share one process and one database: most of the time goes into starting Airflow.
RUN_EACH = """
import json, os, pathlib
from airflow.utils.db import initdb
initdb()
from dags import nightly_recommendations, prepare_backfill, rollback_tables
for name, broken, form in json.loads(os.environ["RUNS"]):
    os.environ.update(CALLS=f"{name}.calls", BROKEN=broken)
    modules = {"rollback": rollback_tables, "prepare": prepare_backfill}
    run = modules.get(name.partition("_")[0], nightly_recommendations).dag.test(run_conf=form)
    states = {f"{ti.task_id}[{ti.map_index}]": ti.state for ti in run.get_task_instances()}
    pathlib.Path(f"{name}.json").write_text(json.dumps({"run": run.state, "tasks": states}))
"""
HOSTILE_SHOP = "$(touch owned)'; touch owned; \"`touch owned`"


ROLLBACK_FORM = {
    "table": "similar_items",
    "ds": "2024-03-10",
    "all_days": False,
    "to": "2024-03-11T02:00",
    "dry_run": False,
}


@dataclass(frozen=True)
class Ran:
    state: str
    tasks: dict[str, str]
    calls: list[dict[str, Any]]

    def call(self, *argv: str) -> dict[str, Any]:
        return next(call for call in self.calls if call["argv"] == list(argv))


@pytest.fixture(scope="module")
def runs(stand_in_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    forms = [
        ("deep_fails", "deep_cf", {"ds": "2024-03-10"}),
        ("baselines_fail", "recent_demand", {"ds": "2024-03-10"}),
        ("backtest_fails", "models.backtest", {"ds": "2024-03-10"}),
        ("rerank_fails", "models.rerank", {"ds": "2024-03-10"}),
        ("no_session_model", "models.register_session_model", {"ds": "2024-03-10"}),
        # In one process, Airflow keeps what a form said for the runs that follow: the fullest form of a DAG comes last.
        ("rollback_dry_run", "", {"ds": "2024-03-10"}),
        ("rollback_refused", "--all-days", {"all_days": True, "to": "7"}),
        ("rollback_applied", "", ROLLBACK_FORM),
        ("prepare_broken", "jobs.ingest", {"first_ds": "2024-03-09", "ds": "2024-03-18", "shop": "corner"}),
        ("prepare", "", {"first_ds": "2024-03-09", "ds": "2024-03-18", "shop": HOSTILE_SHOP}),
        ("hostile", "", {"ds": "2024-03-10", "shop": HOSTILE_SHOP, "models": ["item_item", "two_tower"], "top_k": 7}),
    ]
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(stand_in_repository / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(stand_in_repository),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SHOP": "corner",
        "RUNS": json.dumps(forms),
    }
    ended = subprocess.run(
        [sys.executable, "-c", RUN_EACH], cwd=stand_in_repository, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return {name: _ran(stand_in_repository, name) for name, _, _ in forms}


def _ran(folder: Path, name: str) -> Ran:
    result = json.loads((folder / f"{name}.json").read_text())
    calls = [json.loads(line) for line in (folder / f"{name}.calls").read_text().splitlines()]
    return Ran(result["run"], result["tasks"], calls)


def test_what_the_form_says_reaches_every_program_unchanged(runs: dict[str, Ran], stand_in_repository: Path) -> None:
    ran = runs["hostile"]
    assert ran.state == "success"
    heard = {(call["DS"], call["SHOP"], call["MODELS"], call["TOP_K"]) for call in ran.calls}
    assert heard == {("2024-03-10", HOSTILE_SHOP, "item_item,two_tower", "7")}
    assert not list(stand_in_repository.rglob("owned"))


def test_a_backfill_is_prepared_day_by_day_after_its_drops_are_in(runs: dict[str, Ran]) -> None:
    ran = runs["prepare"]
    assert ran.state == "success"
    assert {(call["DS"], call["SHOP"]) for call in ran.calls} == {("2024-03-18", HOSTILE_SHOP)}
    called = [(*call["argv"], call["AS_OF"]) for call in ran.calls]
    assert called[:2] == [("jobs.ingest", None), ("models.plan_backfill", "--first-ds=2024-03-09", None)]
    days = ("2024-03-03", "2024-03-10")
    assert sorted(called[2:4]) == [("jobs.preprocess", day) for day in days]
    assert sorted(called[4:]) == [("models.train", "--model", "two_tower", "deep_cf", day) for day in days]


def test_a_backfill_whose_drops_cannot_be_taken_in_prepares_nothing_else(runs: dict[str, Ran]) -> None:
    ran = runs["prepare_broken"]
    assert (ran.state, [call["argv"] for call in ran.calls]) == ("failed", [["jobs.ingest"]])


def test_each_model_is_trained_once_for_the_backtest_and_once_for_the_refit(runs: dict[str, Ran]) -> None:
    trained = [
        (call["AS_OF"], *call["argv"][2:]) for call in runs["hostile"].calls if call["argv"][0] == "models.train"
    ]
    models = (("recent_demand", "item_item"), ("two_tower",), ("deep_cf",))
    assert sorted(trained) == sorted((as_of, *names) for as_of in ("backtest", "refit") for names in models)


def test_an_empty_form_leaves_the_choice_to_the_shop_file(runs: dict[str, Ran]) -> None:
    gate = runs["deep_fails"].call("models.gate")
    assert (gate["SHOP"], gate["MODELS"], gate["TOP_K"]) == ("corner", "", "")


def test_a_deep_model_that_cannot_be_trained_stays_red_and_the_night_goes_on(runs: dict[str, Ran]) -> None:
    ran = runs["deep_fails"]
    assert ran.state == "success"
    assert {task for task, state in ran.tasks.items() if state != "success"} == {
        "backtest.train_deep[1]",
        "refit.train_deep[1]",
    }
    assert ran.tasks["publish.publish_tables[-1]"] == "success"


def test_without_a_backtest_the_gate_still_decides(runs: dict[str, Ran]) -> None:
    ran = runs["backtest_fails"]
    assert ran.state == "success"
    assert ran.tasks["backtest.judge_models[-1]"] == "failed"
    assert ran.tasks["publish.gate[-1]"] == "success"


def test_lists_that_cannot_be_reranked_are_published_as_they_are(runs: dict[str, Ran]) -> None:
    ran = runs["rerank_fails"]
    assert ran.state == "success"
    assert {task for task, state in ran.tasks.items() if state != "success"} == {"publish.rerank[-1]"}


def test_a_session_model_that_cannot_be_registered_leaves_the_night_published(runs: dict[str, Ran]) -> None:
    ran = runs["no_session_model"]
    assert ran.state == "success"
    assert {task for task, state in ran.tasks.items() if state != "success"} == {"publish.register_session_model[-1]"}


def test_without_baselines_nothing_is_published(runs: dict[str, Ran]) -> None:
    ran = runs["baselines_fail"]
    assert ran.state == "failed"
    assert ran.tasks["backtest.train_baselines[-1]"] == "failed"
    assert ran.tasks["publish.publish_tables[-1]"] == "upstream_failed"


def test_the_form_of_a_rollback_changes_nothing_unless_it_says_so(runs: dict[str, Ran]) -> None:
    argv = [runs[f"rollback_{name}"].calls[0]["argv"][1:] for name in ("dry_run", "refused", "applied")]
    assert argv == [
        ["--table=all", "--ds=2024-03-10", "--to=night-before", "--no-apply"],
        ["--table=all", "--all-days", "--to=7", "--no-apply"],
        ["--table=similar_items", "--ds=2024-03-10", "--to=2024-03-11T02:00", "--apply"],
    ]
    assert runs["rollback_applied"].calls[0]["RUN_ID"]


def test_a_rollback_that_its_program_refuses_is_red(runs: dict[str, Ran]) -> None:
    assert {name: ran.state for name, ran in runs.items() if name.startswith("rollback")} == {
        "rollback_dry_run": "success",
        "rollback_refused": "failed",
        "rollback_applied": "success",
    }
