"""How programs are started, and what their end means for Airflow."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from dags.nightly_recommendations import PlanModels
from dags.operators import night_program
from dags.operators.night_program import NightProgram, ProgramRun
from dags.sensors.raw_drop import RawDropSensor, RawDropTrigger

pytestmark = pytest.mark.usefixtures("python_on_path")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, for programs that a test writes."""
    monkeypatch.setattr(night_program, "REPOSITORY", tmp_path)
    (tmp_path / "jobs").mkdir()
    # A whole package: one without __init__.py would lose to the real `jobs` where PYTHONPATH names it.
    (tmp_path / "jobs" / "__init__.py").touch()
    return tmp_path / "jobs"


def test_the_xcom_is_the_last_line_printed_not_the_last_logged(programs: Path) -> None:
    (programs / "plan.py").write_text("import sys\nprint('first'); print('{}'); print('finished', file=sys.stderr)")
    task = NightProgram(task_id="plan", arguments=["jobs.plan"], environment={}, result_from=str.upper)
    assert task.execute({}) == "{}"


def test_hostile_text_is_one_argument_and_one_variable(programs: Path) -> None:
    hostile = 'x\'; touch /tmp/owned; $(id) "`id`" {{ 1 }}'
    (programs / "echo.py").write_text("import os, sys\nprint([os.environ['SHOP'], *sys.argv[1:]])")
    task = NightProgram(
        task_id="echo", arguments=["jobs.echo", [hostile, "b"]], environment={"SHOP": hostile}, result_from=str
    )
    assert task.execute({}) == str([hostile, hostile, "b"])


def test_a_reason_that_the_program_gave_is_not_tried_again(programs: Path) -> None:
    (programs / "stop.py").write_text("import sys\nsys.exit('ERROR events ds=2024-03-10: no rows')")
    task = NightProgram(task_id="stop", arguments=["jobs.stop"], environment={})
    with pytest.raises(AirflowFailException, match="no rows"):
        task.execute({})


def test_an_unexpected_end_is_tried_again_and_told_in_the_programs_own_line(programs: Path) -> None:
    """A JVM may still speak after the program has given its reason."""
    said = "ERROR jobs.crash: no room. Received: x. Free some\n\t... 1 more\n"
    (programs / "crash.py").write_text(f"import sys\nsys.stderr.write({said!r})\nsys.exit(70)")
    error = failure_of("crash")
    assert str(error) == "ERROR jobs.crash: no room. Received: x. Free some"
    assert not isinstance(error, AirflowFailException)


def test_a_crash_before_the_program_could_say_why_is_tried_again(programs: Path) -> None:
    (programs / "crash.py").write_text("raise RuntimeError('executor lost')")
    error = failure_of("crash")
    assert str(error) == "ERROR jobs.crash: exit code 1. Last line: RuntimeError: executor lost"
    assert not isinstance(error, AirflowFailException)


def test_a_killed_program_is_told_with_the_signal(programs: Path) -> None:
    (programs / "killed.py").write_text("import os\nprint('half way', flush=True)\nos.kill(os.getpid(), 9)")
    error = failure_of("killed")
    assert str(error).startswith(
        "ERROR jobs.killed: nothing may end a program but itself. Received: SIGKILL. Clear the"
    )
    assert str(error).endswith("Last line: half way")
    assert not isinstance(error, AirflowFailException)


def failure_of(program: str) -> AirflowException:
    """What the task raises that runs it."""
    with pytest.raises(AirflowException) as raised:
        NightProgram(task_id=program, arguments=[f"jobs.{program}"], environment={}).execute({})
    return raised.value


def test_a_night_without_a_baseline_is_refused(programs: Path) -> None:
    (programs / "plan.py").write_text("""print('{"baselines": [], "deep": ["deep_cf"]}')""")
    task = PlanModels(task_id="plan", arguments=["jobs.plan"], environment={}, result_from=json.loads)
    with pytest.raises(AirflowFailException, match="needs a baseline"):
        task.execute({})


def test_ending_a_run_ends_the_children_of_its_program(programs: Path) -> None:
    (programs / "parent.py").write_text(
        "import subprocess, sys\nprint(subprocess.Popen(['sleep', '60']).pid, flush=True)\nimport time; time.sleep(60)"
    )
    lines: list[str] = []

    async def run_and_give_up() -> None:
        run = asyncio.create_task(ProgramRun(["jobs.parent"], {}, lambda _, line: lines.append(line)).to_end())
        while not lines:
            await asyncio.sleep(0.05)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    asyncio.run(run_and_give_up())
    for _ in range(100):
        if not _is_alive(int(lines[0])):
            return
        time.sleep(0.05)
    pytest.fail("the child of the program still runs")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_a_drop_that_is_there_costs_no_deferral(programs: Path) -> None:
    (programs / "await_drop.py").write_text("print('complete')")
    RawDropSensor(task_id="wait", environment={}).execute({})


def test_a_drop_that_is_being_written_is_waited_for_in_the_triggerer(programs: Path, tmp_path: Path) -> None:
    (programs / "await_drop.py").write_text(
        "import os, pathlib, sys\n"
        "seen = pathlib.Path(os.environ['SEEN']); looks = int(seen.read_text()) if seen.exists() else 0\n"
        "seen.write_text(str(looks + 1)); print('complete' if looks == 3 else 'being written')\n"
        "sys.exit(0 if looks == 3 else 75)"
    )
    sensor = RawDropSensor(task_id="wait", environment={"SEEN": str(tmp_path / "seen")}, poke_interval=0.01)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    path, settings = deferred.value.trigger.serialize()
    assert path == "dags.sensors.raw_drop.RawDropTrigger"
    event = asyncio.run(_first_event(RawDropTrigger(**settings)))
    assert event == {"failure": "", "result": "complete"}
    assert (tmp_path / "seen").read_text() == "4"
    sensor.resume({}, event)


def test_a_passed_deadline_fails_with_the_programs_own_line(programs: Path) -> None:
    (programs / "await_drop.py").write_text("import sys\nsys.exit('ERROR no drop of 2024-03-10 by 06:00')")
    event = asyncio.run(_first_event(RawDropTrigger({}, 0.01)))
    with pytest.raises(AirflowFailException, match="no drop of 2024-03-10"):
        RawDropSensor(task_id="wait", environment={}).resume({}, event)


async def _first_event(trigger: RawDropTrigger) -> dict[str, str]:
    async for event in trigger.run():
        return dict(event.payload)
    raise AssertionError("the trigger ended without an event")
