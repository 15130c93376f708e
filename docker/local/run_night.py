"""Runs one night through Airflow without a scheduler, and tells when each task starts and how it ends.

The DAG, its operators and its trigger rules are the real ones, and the run shows up in the web UI of `make up`; only
the scheduler is left out, because on a small machine its processes cost more than they give. What tasks print goes to
the same log files that the UI reads. By itself Airflow runs one task after another here, in this process; the folder
`speedups` makes that faster, where it is there and is not switched off.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import SimpleQueue
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from airflow_db import prepare_airflow
from pluggy import HookimplMarker
from stack import running_processes, speedups_in_use

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.program import night_parser, root_for
from expectations.shop.shop import load_shop
from expectations.tables import NightError, ds_from_text

# What `airflow.listeners.hookimpl` is; importing it here would start Airflow's logging before `Output` is set up.
hookimpl = HookimplMarker("airflow")
DEMO_DS = "2025-05-31"
FIRST_MODELS = ("all_time_popularity", "recent_demand", "item_item", "two_tower")
"""Of the demo shop where nobody says which: minutes in place of a quarter of an hour."""
ALL_MODELS = "all"
"""In place of names: those of the shop file."""
RETRY_DELAY = timedelta(seconds=10)
"""The DAG's own gives a cluster time to find another worker; here, whatever was broken is replaced at once."""
INTERRUPTED = "ERROR interrupted. Run the same command again to finish the night."


@dataclass
class Output:
    """Where this process's output goes: the terminal, or the log of the task that runs, children included."""

    terminal: TextIO
    folder: Path

    def to(self, name: str) -> Path:
        """Sends whatever is printed from now on to a file under `folder`."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        return path

    def say(self, text: str) -> None:
        """Prints a line to the terminal."""
        print(text, file=self.terminal, flush=True)


class Progress:
    """Listens to Airflow: tells of each task when it starts, and its state and seconds. The hooks' names are Airflow's.

    Attributes:
        ends: the task and, where it failed, why, of each try that ended, whichever process ran it.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.process = os.getpid()
        self.started: dict[tuple[str, int], float] = {}
        self.log = Path()
        self.ends: SimpleQueue[tuple[str, str]] = SimpleQueue()

    @hookimpl
    def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:
        if _is_marker(task_instance):
            return
        # Airflow's own handler would end the program only, and then try the task again.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        key = (task_instance.task_id, task_instance.map_index)
        self.started.setdefault(key, time.monotonic())
        self.log = self.output.to(_log_file(task_instance))
        self._say(task_instance, "started")

    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        self._ended(task_instance, "done")
        self.ends.put((_label(task_instance), ""))

    @hookimpl
    def on_task_instance_skipped(self, previous_state: Any, task_instance: Any) -> None:
        self._ended(task_instance, "skipped")

    @hookimpl
    def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: object) -> None:
        from airflow.sdk.exceptions import AirflowFailException

        is_final = isinstance(error, AirflowFailException)
        has_more_tries = task_instance.try_number <= task_instance.max_tries and not is_final
        self._ended(task_instance, "to retry" if has_more_tries else "FAILED")
        if isinstance(error, KeyboardInterrupt):
            # Airflow takes Ctrl-C for a failure of the task and would go on. The program has been ended by now.
            if os.getpid() == self.process:
                self.output.say(INTERRUPTED)
            os._exit(130)
        reason = str(error).removeprefix("ERROR ")
        # Tries mostly fail alike; `told_failures` has the reason of the last one.
        if task_instance.try_number == 1:
            self.output.say(f"          {reason}")
        self.output.say(f"          log: {self.log}")
        self.ends.put((_label(task_instance), reason))

    def told_failures(self) -> list[str]:
        """A line for each task whose last try failed, of those in `ends`; takes them out."""
        reasons: dict[str, str] = {}
        while not self.ends.empty():
            label, reason = self.ends.get()
            reasons[label] = reason
        return [f"{label}: {reason}" for label, reason in reasons.items() if reason]

    def _ended(self, task_instance: Any, state: str) -> None:
        if _is_marker(task_instance):
            return
        seconds = time.monotonic() - self.started.pop((task_instance.task_id, task_instance.map_index))
        self._say(task_instance, f"{state:<8}{seconds:7.1f} s")
        self.output.to("make_nightly.log")

    def _say(self, task_instance: Any, what: str) -> None:
        model = getattr(task_instance, "rendered_map_index", None) or ""
        self.output.say(f"{time.strftime('%H:%M:%S')}  {_label(task_instance):<34}{what:<17}  {model}".rstrip())


def _is_marker(task_instance: Any) -> bool:
    return bool(task_instance.task.task_type == "EmptyOperator")


def _label(task_instance: Any) -> str:
    nth = f"[{task_instance.map_index}]" if task_instance.map_index >= 0 else ""
    return f"{task_instance.task_id}{nth}"


def _log_file(ti: Any) -> str:
    """Where the UI looks for the log of an attempt: Airflow's default `log_filename_template`."""
    mapped = f"map_index={ti.map_index}/" if ti.map_index >= 0 else ""
    return f"dag_id={ti.dag_id}/run_id={ti.run_id}/task_id={ti.task_id}/{mapped}attempt={ti.try_number}.log"


def form_from(shop_name: str, ds: str | None, models: str | None, top_k: str | None) -> dict[str, Any]:
    """What would be filled into the trigger form for this night."""
    if not ds:
        if shop_name != "demo":
            raise NightError(f"Which night of the shop {shop_name}? Set DS to a day, such as DS=2011-11-09.")
        ds = DEMO_DS
    form: dict[str, Any] = {"ds": ds_from_text(ds), "shop": shop_name}
    if models and models != ALL_MODELS:
        form["models"] = [name.strip() for name in models.split(",")]
    elif shop_name == "demo" and not models:
        form["models"] = list(FIRST_MODELS)
    if top_k:
        form["top_k"] = int(top_k)
    return form


def run_program(*arguments: str) -> None:
    """Runs a program of the night on the terminal.

    Raises:
        NightError: it failed; its own last line says why.
    """
    ended = subprocess.run(["python", "-m", *arguments], cwd=REPOSITORY, check=False)
    if ended.returncode:
        raise NightError(f"{arguments[0]} ended with exit code {ended.returncode}; the reason is on the lines above.")


def start_programs_server(speedups: ModuleType, logs: Path) -> None:
    """Starts what keeps Python and the JVM warm for the programs of this night; it ends with this process."""
    logs.mkdir(parents=True, exist_ok=True)
    # The end that is kept is closed when this process ends, however it does. Programs must not keep it.
    until, _kept = os.pipe()
    speedups.start(Path(tempfile.mkdtemp(prefix="nightjar-")), logs / "programs.log", until)
    os.close(until)


def run_dag(form: dict[str, Any], output: Output, speedups: ModuleType | None) -> tuple[bool, list[str]]:
    """Runs the DAG to its end. Returns whether the night succeeded, and a line for each task that failed."""
    output.to("make_nightly.log")
    use_executor = speedups is not None and speedups.set_executor()
    # Airflow looks at its settings and at its standard output when it is imported.
    from airflow.sdk.listener import get_listener_manager

    from dags.nightly_recommendations import dag

    prepare_airflow()
    for task in dag.tasks:
        task.retry_delay = RETRY_DELAY
    progress = Progress(output)
    get_listener_manager().add_listener(progress)
    try:
        run = dag.test(run_conf=form, use_executor=use_executor)
    except KeyboardInterrupt:
        # The run itself is closed by the next `make`.
        if speedups is not None:
            speedups.end_tasks()
        output.say(INTERRUPTED)
        os._exit(130)
    return run.state == "success", progress.told_failures()


def main(argv: Sequence[str] | None = None) -> None:
    """Parses, prepares, runs the DAG, shows the night."""
    arguments = night_parser(__doc__).parse_args(argv)
    shop = load_shop(arguments.shop)
    form = form_from(arguments.shop, arguments.ds, arguments.models, arguments.top_k)
    if running_processes():
        raise NightError(
            "The scheduler of `make up` is running and would take part in this night. "
            "Trigger it in the web UI, or run `make down` first."
        )
    root = root_for(shop, os.environ.get("NIGHTJAR_ROOT"))
    os.environ.update(
        NIGHTJAR_ROOT=str(Path(root).resolve()) if "://" not in root else root,
        DS=form["ds"],
        MODELS=",".join(form.get("models", [])),
    )
    output = Output(os.fdopen(os.dup(1), "w"), Path(os.environ["AIRFLOW_HOME"]) / "logs")
    output.say(f"The night of {form['ds']} for the shop {shop.name!r}, written to {root}. Logs: {output.folder}")
    speedups = speedups_in_use()
    if speedups is not None:
        start_programs_server(speedups, output.folder)
    if shop.name == "demo":
        run_program("jobs.write_demo_drops", "--ds", form["ds"], "--shop", form["shop"])
    started = time.monotonic()
    succeeded, failures = run_dag(form, output, speedups)
    os.dup2(output.terminal.fileno(), 1)
    os.dup2(output.terminal.fileno(), 2)
    seconds = time.monotonic() - started
    if not succeeded:
        raise NightError(f"The night failed after {seconds:.0f} s. {'; '.join(failures)}")
    went_on = f" It went on without: {'; '.join(failures)}." if failures else ""
    output.say(f"The night took {seconds:.0f} s.{went_on}\n")
    run_program("jobs.show_night", "--ds", form["ds"], "--shop", form["shop"])
    if form.get("models") == list(FIRST_MODELS):
        output.say(
            f"\nThis night ran {len(FIRST_MODELS)} of the shop's {len(shop.models)} models. `make nightly MODELS=all` "
            "runs the others, too, and takes from this night what it has in common with it."
        )


if __name__ == "__main__":
    try:
        main()
    except NightError as err:
        print(f"ERROR {err}", file=sys.stderr)
        sys.exit(1)
