"""What `make` does on one machine, beside running programs."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import psutil
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.lake import Lake
from expectations.runtime.program import root_for
from expectations.shop.shop import Shop
from expectations.tables import NightError


@pytest.fixture
def run_night(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY / "docker" / "local"))
    return importlib.import_module("run_night")


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY / "docker" / "local"))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    return importlib.import_module("stack")


def checked_machine(**variables: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(REPOSITORY / "docker/local/check_machine.sh")]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})


def test_a_machine_that_lacks_nothing_is_told_which_python_is_used() -> None:
    ended = checked_machine(PYTHON=sys.executable)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, sys.executable, "")


def test_each_missing_thing_is_one_line_with_the_way_to_get_it(tmp_path: Path) -> None:
    ended = checked_machine(PYTHON="/nowhere/python", JAVA_HOME=str(tmp_path))
    assert ended.returncode == 1 and ended.stdout == ""
    python, java = ended.stderr.splitlines()
    assert python.startswith("ERROR Python 3.11, 3.12 or 3.13 is needed; found: none. Get it:")
    assert java.startswith("ERROR Java 17 or newer is needed for Spark; found: none")


def test_an_older_java_is_not_enough(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    assert "found: 11 " in checked_machine(PYTHON=sys.executable, JAVA_HOME=str(tmp_path)).stderr


def test_the_demo_shop_has_a_day_and_others_must_be_given_one(run_night: ModuleType) -> None:
    first = {"ds": run_night.DEMO_DS, "shop": "demo", "models": list(run_night.FIRST_MODELS)}
    assert run_night.form_from("demo", None, None, None) == first
    assert run_night.form_from("demo", None, "all", None) == {"ds": run_night.DEMO_DS, "shop": "demo"}
    with pytest.raises(NightError, match="Set DS to a day"):
        run_night.form_from("online_retail", None, None, None)


def test_variables_become_the_trigger_form(run_night: ModuleType) -> None:
    form = run_night.form_from("corner.toml", "2024-03-10", "item_item, deep_cf", "5")
    assert form == {"ds": "2024-03-10", "shop": "corner.toml", "models": ["item_item", "deep_cf"], "top_k": 5}


def test_a_root_of_another_shop_is_left_alone(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert root_for(shop, "elsewhere") == "elsewhere"
    assert root_for(shop, None) == "./data"
    (tmp_path / "data" / "shop.json").unlink()
    Lake("./data").bind_shop("another")
    assert root_for(shop, None) == "./data-corner"


@pytest.fixture
def streams() -> Iterator[None]:
    """Gives standard output and error back to the test that has sent them to a task's log."""
    kept = os.dup(1), os.dup(2)
    yield
    for number, stream in enumerate(kept, start=1):
        os.dup2(stream, number)
        os.close(stream)


@pytest.mark.usefixtures("streams")
def test_a_failure_is_told_once_a_task_and_a_later_success_is_none(run_night: ModuleType, tmp_path: Path) -> None:
    terminal = io.StringIO()
    progress = run_night.Progress(run_night.Output(terminal, tmp_path))

    def end(task_id: str, try_number: int, error: Exception | None) -> None:
        task = SimpleNamespace(task_type="NightProgram", queue="spark")
        ti = SimpleNamespace(task=task, task_id=task_id, map_index=-1, try_number=try_number, max_tries=2)
        progress.started[(task_id, -1)] = 0.0
        if error is None:
            progress.on_task_instance_success(None, ti)
        else:
            progress.on_task_instance_failed(None, ti, error)

    for try_number in (1, 2, 3):
        end("preprocess", try_number, AirflowException("ERROR jobs.preprocess: no room"))
    end("gate", 1, AirflowFailException("ERROR backtests ds=2024-03-10: no rows"))
    end("score", 1, AirflowException("ERROR models.score: no memory"))
    end("score", 2, None)
    lines = terminal.getvalue().splitlines()
    assert [line.strip() for line in lines if "no room" in line] == ["jobs.preprocess: no room"]
    assert [line.split()[1:3] for line in lines if ":" in line[:6]] == [
        ["preprocess", "to"], ["preprocess", "to"], ["preprocess", "FAILED"],
        ["gate", "FAILED"], ["score", "to"], ["score", "done"],
    ]  # fmt: skip
    assert progress.told_failures() == [
        "preprocess: jobs.preprocess: no room",
        "gate: backtests ds=2024-03-10: no rows",
    ]


def test_down_ends_what_runs_with_its_children_and_no_stranger(stack: ModuleType, tmp_path: Path) -> None:
    # The child leads a session of its own, as the programs of tasks do.
    code = "import subprocess, time; subprocess.Popen(['sleep', '60'], start_new_session=True); time.sleep(60)"
    ours = psutil.Process(subprocess.Popen([sys.executable, "-c", code], start_new_session=True).pid)
    stranger = psutil.Process(subprocess.Popen(["sleep", "60"]).pid)
    try:
        while not ours.children():
            pass
        child = ours.children()[0]
        notes = {"scheduler": (ours.pid, ours.create_time()), "triggerer": (stranger.pid, stranger.create_time() - 99)}
        (tmp_path / "processes.json").write_text(json.dumps(notes))
        stack.down()
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
        assert stack.running_processes() == {}
        assert stranger.is_running()
    finally:
        stranger.kill()


def test_nothing_of_the_local_stack_listens_beyond_loopback(stack: ModuleType) -> None:
    commands = stack.commands("8080", "5000", "sqlite:////tmp/mlflow.db")
    for name, command in commands.items():
        if "--port" in command:
            assert command[command.index("--host") + 1] == "127.0.0.1", name
    # Their log servers listen on every address and cannot be told otherwise.
    for name in ("scheduler", "triggerer"):
        assert "--skip-serve-logs" in commands[name]


def test_help_lists_every_target() -> None:
    printed = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for target in ("nightly", "test", "up", "down", "backfill", "serve", "lock", "help"):
        assert f"make {target} " in printed


def test_spark_starts_from_the_classes_that_were_shared(tmp_path: Path) -> None:
    archive, log = Path(sys.prefix) / "spark.jsa", tmp_path / "classes"
    if not archive.is_file():
        pytest.skip(f"no {archive}; docker/local/install.sh writes it")
    options = f"-XX:SharedArchiveFile={archive} -Xshare:auto -Xlog:class+load:file={log}"
    program = (
        "from expectations.runtime.spark_session import spark_session\n"
        "spark_session('x', 'local[1]', '512m').range(3).count()"
    )
    subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, check=True, env={**os.environ, "SPARK_SUBMIT_OPTS": options}
    )
    assert log.read_text("utf-8").count("shared objects file (top)") > 5_000


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"TO": "2024-03-10"}, "A backfill needs FROM and TO"),
        ({"FROM": "2024-03-11", "TO": "2024-03-10"}, "FROM must not come after TO. Received: FROM=2024-03-11"),
        ({"FROM": "yesterday", "TO": "2024-03-10"}, "yesterday"),
        ({"FROM": "2024-03-09", "TO": "2024-03-10", "AT_ONCE": "none"}, "AT_ONCE must be a whole number"),
        ({"FROM": "2024-03-09", "TO": "2024-03-10"}, "A backfill needs the scheduler. Run `make up` first."),
    ],
)
def test_a_backfill_that_cannot_be_is_refused_before_anything_is_asked(
    stack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    for name in ("FROM", "TO", "AT_ONCE", "SHOP"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NIGHTJAR_ROOT", str(tmp_path / "root"))
    with pytest.raises(NightError, match=re.escape(told)):
        importlib.import_module("backfill").main()
