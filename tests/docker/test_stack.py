"""Nights of the scheduler that `make up` starts: real Airflow on loopback, over programs that note how they run."""

from __future__ import annotations

import json
import socket
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

from tests.dags.conftest import NIGHT_PROGRAMS
from tests.docker.stand_in_night import ran, repository

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked on Linux alone"),
]
DAYS = ("2011-11-08", "2011-11-09")
_PATIENCE_SECONDS = 600
_ENDED = ("success", "failed")


@dataclass(frozen=True)
class Backfilled:
    """What was seen of a backfill.

    Attributes:
        asked: how `make backfill` ended, and how it ended when it was asked for the same days at once again.
        runs: state of each run, by its id.
        weights: the lowest and the highest `priority_weight` of the tasks, by how the id of the run begins.
        most_at_once: how many of its nights were at work at one time.
        calls: what the programs noted.
    """

    asked: tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]
    runs: dict[str, str]
    weights: dict[str, tuple[int, int]]
    most_at_once: int
    calls: list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def backfilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfilled]:
    """Two days, while the scheduler makes the run of last night, since the DAG is switched on."""
    root = repository(tmp_path_factory.mktemp("stack"))
    variables = {"AIRFLOW_PORT": free_port(), "MLFLOW_PORT": free_port(), "FROM": DAYS[0], "TO": DAYS[-1]}
    try:
        started = ran(root, "python docker/local/stack.py up", **variables)
        assert started.returncode == 0, started.stdout + started.stderr
        asked = [ran(root, "python docker/local/backfill.py", **variables) for _ in range(2)]
        deadline, most = time.monotonic() + _PATIENCE_SECONDS, 0
        while [state for state in states(root).values() if state not in _ENDED]:
            assert time.monotonic() < deadline, states(root)
            at_work = [run for run, state in states(root).items() if state == "running" and run.startswith("backfill")]
            most = max(most, len(at_work))
            time.sleep(0.5)
        weights = "SELECT substr(run_id, 1, instr(run_id, '__') - 1), min(priority_weight), max(priority_weight)"
        rows = database(root, f"{weights} FROM task_instance WHERE state = 'success' GROUP BY 1")
        lines = (root / "calls").read_text("utf-8").splitlines()
        seen = {str(kind): (int(least), int(largest)) for kind, least, largest in rows}
        yield Backfilled((asked[0], asked[1]), states(root), seen, most, [json.loads(line) for line in lines])
    finally:
        ended = ran(root, "python docker/local/stack.py down", **variables)
    assert "programs" in ended.stdout and ended.returncode == 0


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def database(root: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(root / ".airflow" / "airflow.db", timeout=60)) as connection:
        return connection.execute(query).fetchall()


def states(root: Path) -> dict[str, str]:
    return {str(run): str(state) for run, state in database(root, "SELECT run_id, state FROM dag_run")}


def test_each_day_is_built_and_programs_share_what_is_warm(backfilled: Backfilled) -> None:
    built = [state for run, state in backfilled.runs.items() if run.startswith("backfill")]
    assert built == ["success"] * len(DAYS)
    assert {name for name, _ in backfilled.calls} == set(NIGHT_PROGRAMS)
    assert [seen for _, seen in backfilled.calls if not (seen["forked"] and seen["jvm"])] == []


def test_the_plan_tells_the_days_and_which_have_no_drop(backfilled: Backfilled) -> None:
    printed = backfilled.asked[0].stdout
    assert "2 days of the shop 'online_retail', 2011-11-08 to 2011-11-09: 2 new, 0 published before" in printed
    assert "2 of them have no drop: 2011-11-08, 2011-11-09" in printed


def test_days_that_airflow_leaves_out_are_no_success(backfilled: Backfilled) -> None:
    first, second = backfilled.asked
    assert first.returncode == 0, first.stdout + first.stderr
    assert second.returncode == 1
    told = "ERROR Airflow left out 2 of the 2 days (in flight): 2011-11-08, 2011-11-09. A run of such a day"
    assert told in second.stderr


def test_tonight_comes_before_a_backfill_and_few_of_its_nights_run_at_once(backfilled: Backfilled) -> None:
    assert [state for run, state in backfilled.runs.items() if run.startswith("scheduled")] == ["success"]
    assert backfilled.weights["scheduled"][0] > backfilled.weights["backfill"][1]
    assert backfilled.most_at_once <= 2
