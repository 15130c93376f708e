"""Starts and stops the local Airflow and MLflow of `make up` and `make down`.

Each process is noted in a file with the time it was started, so that `down` ends it with all of its children, and
never a stranger that was given the same number.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType

import psutil

WAIT_SECONDS = 180


def commands(airflow_port: str, mlflow_port: str, mlflow_store: str) -> dict[str, list[str]]:
    """What runs. Logs lie on this disk, so Airflow's log servers, which listen on every address, stay off."""
    return {
        "api-server": ["airflow", "api-server", "--host", "127.0.0.1", "--port", airflow_port],
        "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
        "dag-processor": ["airflow", "dag-processor"],
        "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
        "mlflow": [
            "mlflow", "server", "--host", "127.0.0.1", "--port", mlflow_port, "--workers", "1",
            "--backend-store-uri", mlflow_store,
        ],
    }  # fmt: skip


def _notes() -> Path:
    return Path(os.environ["AIRFLOW_HOME"]) / "processes.json"


def speedups_in_use() -> ModuleType | None:
    """Returns the folder `speedups`, or None: NIGHTJAR_SPEEDUPS is 0, or somebody has deleted the folder."""
    if os.environ.get("NIGHTJAR_SPEEDUPS") == "0" or not Path(__file__).with_name("speedups").is_dir():
        return None
    import speedups

    return speedups


def running_processes() -> dict[str, psutil.Process]:
    """The processes that `up` started and that still run, by name."""
    if not _notes().is_file():
        return {}
    found = {}
    for name, (pid, started) in json.loads(_notes().read_text("utf-8")).items():
        try:
            process = psutil.Process(pid)
            if process.create_time() == started and _is_alive(process):
                found[name] = process
        except psutil.NoSuchProcess:
            continue
    return found


def up(airflow_port: str, mlflow_port: str, root: str) -> None:
    """Starts what does not run yet and waits until both web pages answer."""
    running = running_processes()
    logs = Path(os.environ["AIRFLOW_HOME"]) / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    store = Path(root).resolve() / "mlflow" / "mlflow.db"
    store.parent.mkdir(parents=True, exist_ok=True)
    if (speedups := speedups_in_use()) is not None:
        # Before the scheduler, whose tasks are led there by what it hands on.
        if "programs" in running:
            speedups.lead_to(_programs_folder())
        else:
            running["programs"] = psutil.Process(speedups.start(_programs_folder(), logs / "programs.log").pid)
            _note(running)
    for name, command in commands(airflow_port, mlflow_port, f"sqlite:///{store}").items():
        if name not in running:
            with open(logs / f"{name}.log", "ab") as log:
                started = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            running[name] = psutil.Process(started.pid)
            _note(running)
    pages = {
        "Airflow": (f"http://127.0.0.1:{airflow_port}", "/api/v2/version"),
        "MLflow": (f"http://127.0.0.1:{mlflow_port}", "/health"),
    }
    for title, (address, path) in pages.items():
        _wait_for(address + path, logs)
        print(f"{title:<8} {address}")
    print(f"Logs     {logs}\nEveryone on this machine is an administrator of these pages. `make down` ends them.")


def _programs_folder() -> Path:
    """Where the programs are served: the same for all that `up` started. A socket's path may have 107 bytes."""
    note = Path(os.environ["AIRFLOW_HOME"]) / "programs-folder"
    if not note.is_file():
        note.write_text(tempfile.mkdtemp(prefix="nightjar-"), "utf-8")
    return Path(note.read_text("utf-8"))


def _note(processes: dict[str, psutil.Process]) -> None:
    _notes().write_text(json.dumps({n: (p.pid, p.create_time()) for n, p in processes.items()}), "utf-8")


def _wait_for(url: str, logs: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        dead = set(json.loads(_notes().read_text("utf-8"))) - set(running_processes())
        if dead:
            raise SystemExit(f"ERROR {', '.join(sorted(dead))} ended at once; see {logs}. Then run `make down`.")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise SystemExit(f"ERROR {url} did not answer within {WAIT_SECONDS} s; see {logs}. Then run `make down`.")


def down() -> None:
    """Ends what `up` started, the programs of running tasks included, and waits until all of it is gone."""
    running = running_processes()
    left = [*running.values(), *(c for process in running.values() for c in process.children(recursive=True))]
    for end, patience_seconds in ((psutil.Process.terminate, 20), (psutil.Process.kill, 5)):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                end(process)
        deadline = time.monotonic() + patience_seconds
        while (left := [p for p in left if _is_alive(p)]) and time.monotonic() < deadline:
            time.sleep(0.1)
    _notes().unlink(missing_ok=True)
    print(f"Ended: {', '.join(running)}." if running else "Nothing was running.")


def _is_alive(process: psutil.Process) -> bool:
    """Whether it still does something: what has ended may stay in the table until somebody asks for its exit code."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def main() -> None:
    """`stack.py up` or `stack.py down`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("up", "down"))
    if parser.parse_args().action == "down":
        down()
    else:
        from airflow_db import prepare_airflow

        prepare_airflow()
        up(os.environ["AIRFLOW_PORT"], os.environ["MLFLOW_PORT"], os.environ.get("NIGHTJAR_ROOT", "./data"))


if __name__ == "__main__":
    main()
