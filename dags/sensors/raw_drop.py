"""Waits for the raw drop of a day without holding a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from airflow.sdk import BaseSensorOperator, Context
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from dags.operators.night_program import ProgramRun

AWAIT_DROP = ("jobs.await_drop",)
NOT_YET = 75
"""Exit code of `jobs.await_drop` while there is reason to wait (EX_TEMPFAIL of sysexits.h)."""


class RawDropSensor(BaseSensorOperator):
    """Succeeds when `jobs.await_drop` says that the drop is complete, or that the shop was closed that day.

    Looks once in the worker, so that a drop that is already there costs no detour through the triggerer. How long to
    wait is the shop's decision: the program fails when its deadline has passed.
    """

    template_fields: Sequence[str] = ("environment",)

    def __init__(self, *, environment: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.environment = environment

    def execute(self, context: Context) -> None:
        ended = asyncio.run(ProgramRun(AWAIT_DROP, self.environment, self.log.info).to_end())
        if ended.exit_code == NOT_YET:
            self.defer(
                trigger=RawDropTrigger(dict(self.environment), self.poke_interval), method_name=self.resume.__name__
            )
        if ended.exit_code != 0:
            raise ended.failure

    def resume(self, context: Context, event: dict[str, str]) -> None:
        """Ends the task as the trigger says."""
        if event["failure"]:
            raise AirflowFailException(event["failure"])
        self.log.info("%s", event["result"])


class RawDropTrigger(BaseTrigger):
    """Asks `jobs.await_drop` again and again, in the triggerer."""

    def __init__(self, environment: dict[str, str], poll_seconds: float) -> None:
        super().__init__()
        self.environment = environment
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{RawDropTrigger.__module__}.{RawDropTrigger.__qualname__}",
            {"environment": self.environment, "poll_seconds": self.poll_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            await asyncio.sleep(self.poll_seconds)
            ended = await ProgramRun(AWAIT_DROP, self.environment, self.log.info).to_end()
            if ended.exit_code != NOT_YET:
                failure = str(ended.failure) if ended.exit_code else ""
                yield TriggerEvent({"failure": failure, "result": ended.result})
                return
