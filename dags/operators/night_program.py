"""Starts a program of the night and says how it ended.

No shell is between Airflow and the program: what a form says reaches it as an environment variable or as one
argument, never as part of a command line. A program that fails says why on a line of its own, `ERROR …`, which becomes
the task's error. With exit code 1 it is not tried again, since the same input gives the same answer; anything else (a
lost executor, a full disk, a killed process) is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context, XComArg
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# Programs are started as `python -m jobs.…` from here. Each image has its own `python` on PATH.
REPOSITORY = Path(__file__).resolve().parents[2]
_REASON = "ERROR "
"""Begins the line on which a program says why it failed; a line of a log begins with its time."""
_LONGEST_LINE_BYTES = 2**22
_PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        program: as it was started, such as `jobs.ingest`.
        result: the last line of standard output, or empty.
        reason: the last line of standard error that begins with ERROR, else the last one, or empty.
    """

    program: str
    exit_code: int
    result: str
    reason: str

    @property
    def failure(self) -> Exception:
        """What to raise: without another try where the program itself gave the reason."""
        is_told = self.reason.startswith(_REASON)
        if self.exit_code == 1 and is_told:
            return AirflowFailException(self.reason)
        signal_number = self.exit_code - 128 if self.exit_code > 128 else -self.exit_code
        if signal_number in set(signal.Signals):
            return AirflowException(
                f"{_REASON}{self.program}: nothing may end a program but itself. Received: "
                f"{signal.Signals(signal_number).name}. Clear the task; where the system is short of memory, lower "
                f"AIRFLOW__CORE__PARALLELISM or SPARK_DRIVER_MEMORY first. Last line: {self.reason or self.result}"
            )
        if is_told:
            return AirflowException(self.reason)
        return AirflowException(
            f"{_REASON}{self.program}: exit code {self.exit_code}. Last line: {self.reason or self.result}"
        )


class ProgramRun:
    """One start of `python -m <arguments>`; each line it prints is logged as it comes."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Callable[..., object]) -> None:
        self.arguments = arguments
        self.environment = environment
        self.log = log
        self._group: int | None = None

    async def to_end(self) -> Ended:
        """Runs the program; one that is still there when this coroutine is cancelled is ended."""
        process = await asyncio.create_subprocess_exec(
            "python", "-m", *self.arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **self.environment}, cwd=REPOSITORY, start_new_session=True, limit=_LONGEST_LINE_BYTES,
        )  # fmt: skip
        self._group = process.pid
        try:
            result, reason = await asyncio.gather(
                _last_line(process.stdout, self.log), _last_line(process.stderr, self.log, _REASON)
            )
            return Ended(self.arguments[0], await process.wait(), result, reason)
        finally:
            self.stop()
            try:
                await asyncio.wait_for(process.wait(), _PATIENCE_SECONDS)
            except TimeoutError:
                self.stop(signal.SIGKILL)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends the program with all of its children, such as Spark's Java: they share a process group."""
        if self._group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, how)


async def _last_line(stream: asyncio.StreamReader | None, log: Callable[..., object], begin: str = "") -> str:
    """The last line that is not empty, of those that begin so if there are any: a JVM that ends may speak later."""
    assert stream is not None
    last = told = ""
    async for raw in stream:
        line = raw.decode("utf-8", "replace").rstrip()
        log("%s", line)
        last = line or last
        if line.startswith(begin):
            told = line or told
    return told or last


class NightProgram(BaseOperator):
    """Runs `python -m <arguments>`; its XCom is the last line that it prints, through `result_from`.

    Args:
        arguments: the module and its flags, one item each; the list that another task answered stands for its items.
        environment: what the program reads besides the worker's own environment.
        result_from: makes the XCom out of the printed line; without it there is none.
    """

    template_fields: Sequence[str] = ("arguments", "environment")
    ui_color = "#dfe7ec"

    def __init__(
        self,
        *,
        arguments: Sequence[str | Sequence[str] | XComArg],
        environment: Mapping[str, str],
        result_from: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = arguments
        self.environment = environment
        self.result_from = result_from
        self._program_run: ProgramRun | None = None

    def execute(self, context: Context) -> Any:
        self._program_run = ProgramRun(_flat(self.arguments), self.environment, self.log.info)
        ended = asyncio.run(self._program_run.to_end())
        if ended.exit_code != 0:
            raise ended.failure
        return self.result_from(ended.result) if self.result_from else None

    def on_kill(self) -> None:
        if self._program_run is not None:
            self._program_run.stop()


def _flat(arguments: Sequence[Any]) -> list[str]:
    """The arguments, with the items of a list in its place."""
    nested = [argument if isinstance(argument, list | tuple) else [argument] for argument in arguments]
    return [str(item) for items in nested for item in items]
