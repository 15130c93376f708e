"""Starts a program of the night and says how it ended.

No shell is between Airflow and the program: what a form says reaches it as an environment variable or as one
argument, never as part of a command line. A program that stops with a one-line reason (`ERROR …`, exit code 1) is not
tried again, since the same input gives the same answer; anything else (a lost executor, a killed process) is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
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
_LONGEST_LINE_BYTES = 2**22


@dataclass(frozen=True)
class Ended:
    """How a program ended; the lines are the last of each stream, or empty."""

    exit_code: int
    result: str
    reason: str

    @property
    def failure(self) -> Exception:
        """What to raise: without another try where the program itself gave the reason."""
        if self.exit_code == 1 and self.reason.startswith("ERROR "):
            return AirflowFailException(self.reason)
        return AirflowException(f"exit code {self.exit_code}. Last line: {self.reason or self.result}")


async def run_to_end(arguments: Sequence[str], environment: Mapping[str, str], log: logging.Logger) -> Ended:
    """Runs `python -m <arguments>` and logs each of its lines as it comes.

    The program leads a process group of its own, which is ended when this coroutine is cancelled.
    """
    process = await asyncio.create_subprocess_exec(
        "python", "-m", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment}, cwd=REPOSITORY, start_new_session=True, limit=_LONGEST_LINE_BYTES,
    )  # fmt: skip
    try:
        result, reason = await asyncio.gather(_last_line(process.stdout, log), _last_line(process.stderr, log))
        return Ended(await process.wait(), result, reason)
    finally:
        # Also after a normal end: no helper of the program may live longer than its task.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


async def _last_line(stream: asyncio.StreamReader | None, log: logging.Logger) -> str:
    assert stream is not None
    last = ""
    async for raw in stream:
        line = raw.decode("utf-8", "replace").rstrip()
        log.info("%s", line)
        last = line or last
    return last


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
        arguments: Sequence[str | XComArg],
        environment: Mapping[str, str],
        result_from: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = arguments
        self.environment = environment
        self.result_from = result_from

    def execute(self, context: Context) -> Any:
        ended = asyncio.run(run_to_end(_flat(self.arguments), self.environment, self.log))
        if ended.exit_code != 0:
            raise ended.failure
        return self.result_from(ended.result) if self.result_from else None


def _flat(arguments: Sequence[Any]) -> list[str]:
    """The arguments, with the items of a list in its place."""
    nested = [argument if isinstance(argument, list | tuple) else [argument] for argument in arguments]
    return [str(item) for items in nested for item in items]
