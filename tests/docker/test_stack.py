"""Nights of the scheduler that `make up` starts: real Airflow on loopback, over programs that note how they run."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from expectations.runtime.days import days_before
from tests.dags.conftest import NIGHT_PROGRAMS
from tests.docker.stand_in_night import ran, repository
from tests.worlds.free_port import free_port
from tests.worlds.raw_drops import write_drop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked on Linux alone"),
]
_PATIENCE_SECONDS = 600
_ENDED = ("success", "failed")


@dataclass(frozen=True)
class Backfilled:
    """What was seen of a backfill.

    Attributes:
        days: those that were asked for; of the last one, last night, the scheduled run was at work.
        asked: how `make backfill` ended, and how it ended when it was asked for the same days at once again.
        runs: state of each run, by its id.
        weights: the lowest and the highest `priority_weight` of the tasks, by how the id of the run begins.
        calls: what the programs noted.
        prepared: how `make backfill` ended that was asked for two days with drops, once nobody was at work any more.
    """

    days: tuple[str, str]
    asked: tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]
    runs: dict[str, str]
    weights: dict[str, tuple[int, int]]
    calls: list[tuple[str, dict[str, Any]]]
    prepared: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def backfilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfilled]:
    """Two days, of which the scheduler makes the last one by itself, since the DAG has been switched on."""
    root = repository(tmp_path_factory.mktemp("stack"))
    (root / "held").touch()
    ports = {"AIRFLOW_PORT": str(free_port()), "MLFLOW_PORT": str(free_port())}
    variables = {**ports, "NIGHTJAR_DATA": str(root / "raw")}
    try:
        for command in ("python docker/local/stack.py up", "airflow dags unpause --yes nightly_recommendations"):
            started = ran(root, command, **variables)
            assert started.returncode == 0, started.stdout + started.stderr
        while not (nights := database(root, "SELECT partition_key FROM dag_run WHERE run_type = 'scheduled'")):
            time.sleep(0.2)
        last = str(nights[0][0])
        days = (days_before(last, 1), last)
        asked = [ran(root, "python docker/local/backfill.py", **variables, FROM=days[0], TO=last) for _ in range(2)]
        (root / "held").unlink()
        wait_for_ends(root)
        with_drops = [days_before(last, before) for before in (3, 2)]
        for day in with_drops:
            write_drop(str(root / "raw" / "online_retail"), f"{day}.csv.gz", "InvoiceNo\n")
        again = dict(zip(("FROM", "TO"), with_drops, strict=True))
        # Its nights need not end: those of the first one have.
        prepared = ran(root, "python docker/local/backfill.py", **variables, **again)
        weights = "SELECT substr(run_id, 1, instr(run_id, '__') - 1), min(priority_weight), max(priority_weight)"
        rows = database(root, f"{weights} FROM task_instance WHERE state = 'success' GROUP BY 1")
        lines = (root / "calls").read_text("utf-8").splitlines()
        seen = {str(kind): (int(least), int(largest)) for kind, least, largest in rows}
        calls = [json.loads(line) for line in lines]
        yield Backfilled(days, (asked[0], asked[1]), states(root), seen, calls, prepared)
    finally:
        ended = ran(root, "python docker/local/stack.py down", **variables)
    assert "programs" in ended.stdout and ended.returncode == 0


def wait_for_ends(root: Path) -> None:
    """Returns once no run is at work."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while [state for state in states(root).values() if state not in _ENDED]:
        assert time.monotonic() < deadline, states(root)
        time.sleep(0.5)


def database(root: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(root / ".airflow" / "airflow.db", timeout=60)) as connection:
        return connection.execute(query).fetchall()


def states(root: Path) -> dict[str, str]:
    return {str(run): str(state) for run, state in database(root, "SELECT run_id, state FROM dag_run")}


def test_programs_of_the_scheduler_share_what_is_warm(backfilled: Backfilled) -> None:
    assert {name for name, _ in backfilled.calls} == {*NIGHT_PROGRAMS, "models.plan_backfill"}
    assert [seen for _, seen in backfilled.calls if not (seen["forked"] and seen["jvm"])] == []


def test_the_plan_tells_the_days_and_which_have_no_drop(backfilled: Backfilled) -> None:
    first, last = backfilled.days
    printed = backfilled.asked[0].stdout
    assert f"2 days of the shop 'online_retail', {first} to {last}: 2 new, 0 published before" in printed
    assert f"2 of them have no drop: {first}, {last}" in printed


def test_a_day_that_airflow_leaves_out_is_named_and_the_other_one_is_built(backfilled: Backfilled) -> None:
    ended = backfilled.asked[0]
    assert ended.returncode == 1
    assert f"ERROR Airflow left out 1 of the 2 days (in flight): {backfilled.days[1]}. A run of such" in ended.stderr
    of_backfills = [state for run, state in backfilled.runs.items() if run.startswith("backfill")]
    assert of_backfills.count("success") == 1, "of the first two days"


def test_what_nights_share_is_made_once_before_any_of_them(backfilled: Backfilled) -> None:
    ended = backfilled.prepared
    assert ended.returncode == 0, ended.stderr
    assert [state for run, state in backfilled.runs.items() if run.startswith("prepare__")] == ["success"]
    printed = ended.stdout.split("First, once for all of them", 1)[1]
    places = [
        printed.index(text)
        for text in ("ingest_drops", "plan_shared_work", "preprocess 2011-11-06", "train_deep 2011-11-06")
    ]
    assert [*places, printed.index("Follow it at")] == sorted([*places, printed.index("Follow it at")])


def test_a_second_backfill_is_refused_by_name_while_one_is_at_work(backfilled: Backfilled) -> None:
    first, last = backfilled.days
    ended = backfilled.asked[1]
    assert ended.returncode == 1
    told = f"ERROR Airflow runs one backfill at a time. Received: one from {first} to {last}, which has not ended."
    assert told in ended.stderr and "Traceback" not in ended.stderr


def test_tonight_comes_before_a_backfill(backfilled: Backfilled) -> None:
    assert [state for run, state in backfilled.runs.items() if run.startswith("scheduled")] == ["success"]
    assert backfilled.weights["scheduled"][0] > backfilled.weights["backfill"][1]
