"""The tasks of a local night side by side: real Airflow, over programs that take a moment and note when they ran."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.dags.conftest import NIGHT_PROGRAMS, REPOSITORY, write_stand_ins

_PATIENCE_SECONDS = 500
"""A night's first task starts after some twenty seconds of work, on a machine that may have other work."""
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tasks are forked on Linux alone")

# A program notes what it is, its process and the moment, before and after. One may be told to kill whoever runs it.
PROGRAM = """
import json, os, signal, sys, time
name = " ".join([__spec__.name, *sys.argv[1:]])
def note(what):
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(json.dumps([name, what, time.monotonic(), os.getpid()]) + "\\n")
note("starts")
if name == os.environ.get("KILLS"):
    os.kill(os.getppid(), signal.SIGKILL)
time.sleep(float(os.environ["SECONDS"]))
if __spec__.name == "models.plan":
    print(json.dumps({"baselines": ["recent_demand"], "deep": ["two_tower", "graph"]}))
note("ends")
"""
NIGHT = """
import json, os
from airflow.utils.db import initdb
initdb()
from dags.nightly_recommendations import dag
from speedups.forked_executor import ForkedExecutor
try:
    run = dag.test(run_conf={"ds": "2024-03-10"}, use_executor=True)
except KeyboardInterrupt:
    ForkedExecutor.current.end()
    os._exit(130)
states = {f"{ti.task_id}[{ti.map_index}]": ti.state for ti in run.get_task_instances()}
print("\\n" + json.dumps({"run": run.state, "tasks": states}))
"""


@dataclass(frozen=True)
class Started:
    """A night that runs, where its programs note their moments."""

    process: subprocess.Popen[bytes]
    calls: Path
    printed: Path
    airflow: Path

    def moments(self) -> list[tuple[str, str, float, int]]:
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def state_of(self, task_id: str) -> str:
        """What the database says of a task; empty before it has one."""
        file = self.airflow / "airflow.db"
        if not file.exists():
            return ""
        with closing(sqlite3.connect(file)) as database:
            try:
                rows = database.execute("SELECT state FROM task_instance WHERE task_id = ?", [task_id]).fetchall()
            except sqlite3.OperationalError:  # no tables yet, or being written
                rows = []
        return str(rows[0][0]) if rows else ""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The real `dags/` and executor beside programs that note their moments."""
    root = write_stand_ins(tmp_path, PROGRAM)
    shutil.copytree(REPOSITORY / "docker/local/speedups", root / "speedups")
    return root


@pytest.fixture
def started(request: pytest.FixtureRequest, repository: Path, tmp_path: Path) -> Iterator[Started]:
    """A night with what the test says of its programs in the environment."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(repository / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "speedups.forked_executor.ForkedExecutor",
        "AIRFLOW__CORE__PARALLELISM": "3",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "PYTHONPATH": str(repository),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SHOP": "corner",
        "CALLS": str(tmp_path / "calls"),
        **request.param,
    }
    printed = tmp_path / "printed"
    with (
        printed.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-c", NIGHT], cwd=repository, env=environment, stdout=file, stderr=file
        ) as process,
    ):
        yield Started(process, tmp_path / "calls", printed, tmp_path / "airflow")
        process.kill()


def told(night: Started) -> dict[str, Any]:
    assert night.process.wait() == 0, night.printed.read_text()[-3000:]
    result: dict[str, Any] = json.loads(night.printed.read_text().splitlines()[-1])
    return result


def most_at_once(moments: list[tuple[str, str, float, int]]) -> int:
    running = most = 0
    for _, what, _, _ in sorted(moments, key=lambda moment: moment[2]):
        running += 1 if what == "starts" else -1
        most = max(most, running)
    return most


@pytest.mark.parametrize("started", [{"SECONDS": "0.4"}], indirect=True)
def test_tasks_run_side_by_side_but_for_those_that_share_the_jvm(started: Started) -> None:
    ended = told(started)
    assert ended["run"] == "success"
    assert set(ended["tasks"].values()) == {"success"}
    moments = started.moments()
    assert len({name for name, _, _, _ in moments}) >= len(NIGHT_PROGRAMS)
    assert most_at_once(moments) == 3
    on_spark = ("jobs.", "expectations.")
    assert most_at_once([moment for moment in moments if moment[0].startswith(on_spark)]) == 1


def test_spark_comes_first_then_what_most_waits_for_then_fits_in_the_plans_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "docker/local"))
    from speedups.forked_executor import ForkedExecutor

    executor = ForkedExecutor()
    kinds = [("gpu", 3, 2), ("gpu", 3, 0), ("gpu", 3, 1), ("train", 9, -1), ("spark", 1, -1)]
    executor.waiting = [
        SimpleNamespace(ti=SimpleNamespace(queue=queue, priority_weight=weight, map_index=nth))  # type: ignore[misc]
        for queue, weight, nth in kinds
    ]
    order = []
    while (task := executor._next_task()) is not None:
        executor.waiting.remove(task)
        order.append((task.ti.queue, task.ti.map_index))
    assert order == [("spark", -1), ("train", -1), ("gpu", 0), ("gpu", 1), ("gpu", 2)]


@pytest.mark.parametrize("started", [{"SECONDS": "0.1", "KILLS": "models.plan"}], indirect=True)
def test_a_task_whose_process_dies_is_to_be_tried_again(started: Started) -> None:
    """Rather than to be running for ever."""
    state, deadline = "", time.monotonic() + _PATIENCE_SECONDS
    while state != "up_for_retry":
        assert started.process.poll() is None and time.monotonic() < deadline, state
        time.sleep(0.2)
        state = started.state_of("plan_models")


@pytest.mark.parametrize(("how", "exit_code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
@pytest.mark.parametrize("started", [{"SECONDS": "60"}], indirect=True)
def test_programs_end_with_the_night_that_started_them(started: Started, how: signal.Signals, exit_code: int) -> None:
    while not started.moments():
        assert started.process.poll() is None
        time.sleep(0.2)
    program = psutil.Process(started.moments()[0][3])
    started.process.send_signal(how)
    assert psutil.wait_procs([program], timeout=30)[1] == []
    assert started.process.wait(30) == exit_code
