"""Runs the tasks of a night on one machine, as many at once as have room, each in a fork of the process of the night.

An executor of Airflow's, for `dag.test`. A fork has the DAG and Airflow's libraries already, and talks to an API in its
own memory: nothing listens, and a task costs a tenth of a second where an executor with a scheduler needs seconds. What
a task prints is apart from what its neighbour prints. Tasks that run Spark come one after another: they share a JVM.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import httpx
from airflow.configuration import conf
from airflow.executors.base_executor import BaseExecutor
from airflow.executors.workloads import ExecuteTask
from airflow.sdk.execution_time.supervisor import in_process_api_server

ONE_AT_A_TIME, FITS = "spark", "gpu"
"""Queues."""
_LONGEST_WAIT_SECONDS = 5
"""A task that is to be tried again comes up while others run."""
_PATIENCE_SECONDS = 15


@dataclass(frozen=True)
class Fork:
    """A process that runs a task.

    Attributes:
        handle: can be read from once it has ended.
    """

    process: int
    handle: int
    task: ExecuteTask


class ForkedExecutor(BaseExecutor):
    """See the module's docstring. How many run at once is `[core] parallelism`.

    Attributes:
        current: the one that was started last, which Airflow itself does not tell; see `end`.
    """

    is_local = True
    current: ClassVar[ForkedExecutor | None] = None

    def __init__(self) -> None:
        # It is told of all that could run, and chooses: one that waits for the JVM must not keep a place from others.
        super().__init__(parallelism=sys.maxsize)
        self.at_once = conf.getint("core", "parallelism")
        self.waiting: list[ExecuteTask] = []
        self.forks: list[Fork] = []

    def start(self) -> None:
        """Builds the API of which each fork has a copy, and lets forks know when this process has ended."""
        asyncio.run(_first_answer())
        ForkedExecutor.current = self
        self.until_end, self.keeps_forks = os.pipe()

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        for task in workload_items:
            del self.queued_tasks[task.key]
            self.running.add(task.key)
            self.waiting.append(task)

    def sync(self) -> None:
        """Starts what there is room for, waits a little for one to end, and tells which did."""
        while (task := self._next_task()) is not None:
            self.waiting.remove(task)
            self.forks.append(self._forked(task))
        ended, _, _ = select.select([fork.handle for fork in self.forks], [], [], _LONGEST_WAIT_SECONDS)
        for fork in [fork for fork in self.forks if fork.handle in ended]:
            os.close(fork.handle)
            self.forks.remove(fork)
            _, status = os.waitpid(fork.process, 0)
            # The task itself has noted by then whether it succeeded; a process that died could not.
            (self.fail if status else self.success)(fork.task.key)

    def _next_task(self) -> ExecuteTask | None:
        """What to start now, of all that may run beside the others: Spark first, then what most of the night waits for.

        Spark's tasks stand in one line, and fits that wait for its end leave a core idle. Of fits, in the plan's order.
        """
        if len(self.forks) >= self.at_once:
            return None
        queues = {fork.task.ti.queue for fork in self.forks}
        free = [task for task in self.waiting if task.ti.queue != ONE_AT_A_TIME or ONE_AT_A_TIME not in queues]
        return max(free, key=_urgency, default=None)

    def _forked(self, task: ExecuteTask) -> Fork:
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if not process:
            os.close(self.keeps_forks)
            _become(task, self.until_end, self.at_once)
        return Fork(process, os.pidfd_open(process), task)

    def end(self) -> None:
        """Nothing is left by now, unless the night is interrupted: then the programs that run are ended."""
        os.close(self.keeps_forks)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for fork in self.forks:
            if not select.select([fork.handle], [], [], max(0, deadline - time.monotonic()))[0]:
                os.kill(fork.process, signal.SIGKILL)
            os.waitpid(fork.process, 0)

    def terminate(self) -> None:
        """As `end`."""
        self.end()


def _urgency(task: ExecuteTask) -> tuple[bool, int, int]:
    return task.ti.queue == ONE_AT_A_TIME, task.ti.priority_weight, -task.ti.map_index


async def _first_answer() -> None:
    """Asks the API something, because it is put together when it first answers: three seconds for each fork."""
    transport = httpx.ASGITransport(in_process_api_server().app)
    async with httpx.AsyncClient(transport=transport, base_url="http://in-process.invalid") as client:
        (await client.get("/health")).raise_for_status()


def _become(task: ExecuteTask, until_end: int, at_once: int) -> NoReturn:
    """Runs a task as `dag.test` does without an executor, and ends this process."""
    code = 1
    try:
        if task.ti.queue == FITS:
            # Threads that two fits want on the same cores wait for each other: a share each is an eighth faster.
            num_cores = len(os.sched_getaffinity(0))
            os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, num_cores // at_once)))
        # Ctrl-C is for the night's process, whose end ends this one in turn.
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
        threading.Thread(target=_end_with, args=(until_end,), daemon=True).start()
        _run(task)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_with(until_end: int) -> None:
    """Waits for the end of the night's process, however it comes, then interrupts the task."""
    os.read(until_end, 1)
    # To that thread, not to the process: it waits for its program, and has to be woken.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _run(task: ExecuteTask) -> None:
    from airflow.models.taskinstance import TaskInstance

    # What `dag.test` itself calls: it waits for a drop in this process, where no triggerer runs.
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session

    from dags.nightly_recommendations import dag

    with create_session() as session:
        instance = session.get_one(TaskInstance, task.ti.id)
        session.expunge(instance)
    _run_task(ti=instance, task=dag.task_dict[task.ti.task_id], run_triggerer=True)
