"""Each command line of the DAG is one that its program accepts."""

from __future__ import annotations

import importlib
import io
from contextlib import redirect_stderr, redirect_stdout

import pytest
from airflow.sdk.definitions.mappedoperator import MappedOperator

from dags.nightly_recommendations import dag
from dags.sensors.raw_drop import AWAIT_DROP


def command_lines() -> dict[tuple[str, ...], set[str]]:
    """Arguments with a name in place of what another task answers -> flags that come through the environment."""
    found: dict[tuple[str, ...], set[str]] = {AWAIT_DROP: set()}
    for task in dag.tasks:
        settings = task.partial_kwargs if isinstance(task, MappedOperator) else vars(task)
        if "arguments" in settings:
            arguments = tuple(
                a if isinstance(a, str) and "{{" not in a else "recent_demand" for a in settings["arguments"]
            )
            flags = {"--as-of"} if "AS_OF" in settings["environment"] else set()
            found.setdefault(arguments, set()).update(flags)
    return found


def complaint(arguments: tuple[str, ...], flags: set[str]) -> str | None:
    """What is wrong with a command line; `--help` at its end checks it without running the program."""
    program = importlib.import_module(arguments[0])
    printed, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(printed), redirect_stderr(errors), pytest.raises(SystemExit) as ended:
        program.main([*arguments[1:], "--help"])
    if ended.value.code:
        return f"{' '.join(arguments)}: {errors.getvalue().strip().splitlines()[-1]}"
    unknown = [f for f in {*flags, "--ds", "--shop", *arguments} if f.startswith("--") and f not in printed.getvalue()]
    return f"{arguments[0]} does not know {unknown}" if unknown else None


@pytest.mark.parametrize(("arguments", "flags"), command_lines().items(), ids=lambda value: "_".join(value))
def test_the_program_accepts_its_command_line(arguments: tuple[str, ...], flags: set[str]) -> None:
    assert complaint(arguments, flags) is None
