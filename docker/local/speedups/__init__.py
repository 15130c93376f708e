"""What only saves seconds on one machine: a night passes without any of it, and without this folder.

`NIGHTJAR_SPEEDUPS=0` turns it off: then each program is started by the `python` that PATH names, each Spark program has
a JVM of its own, without the class archive, and `make nightly` runs one task after another in its own process.
`docker/local/run_night.py` and `stack.py` import this module, `docker/local/install.sh` starts `class_data_sharing.py`,
and nothing else of the project knows the folder.

The seconds are bought with names that their owners do not promise to keep. They stand in PRIVATE_NAMES, with the
versions that they were tried on; a test fails when a name is gone or a version is another, and says to look here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

PRIVATE_NAMES = {
    "airflow.executors.base_executor:BaseExecutor._process_workloads": "forked_executor takes its tasks there",
    "airflow.sdk.definitions.dag:_run_task": "forked_executor runs a task by it, as `dag.test` does",
    "airflow.sdk.execution_time.supervisor:in_process_api_server": "forked_executor warms it up before it forks",
    "atexit:_run_exitfuncs": "preloaded_python ends a fork by it, in place of taking all libraries apart",
    "pyspark.java_gateway:launch_gateway": "shared_jvm starts the JVM by it, which is `proc` of what it returns",
    "pyspark:SparkContext._ensure_initialized": "expectations/runtime/spark_session.py connects to a shared JVM by it",
    "pyspark:SparkContext._gateway": "class_data_sharing ends the JVM by it, which makes it write the archive",
    "pyspark:SparkContext._jvm": "expectations/runtime/spark_session.py ends by it the session that the program before "
    "has left in a shared JVM, which is `org.apache.spark.sql.classic.SparkSession` there",
}
"""What is private, and what it is used for."""
TRIED_ON = {"apache-airflow-core": "3.3.2", "pyspark": "4.2.1"}


_SERVES_WITHIN_SECONDS = 30
"""Where it does not, programs start as they would without it."""


def start(folder: Path, log: Path, until: int | None = None) -> subprocess.Popen[bytes]:
    """Starts the process that keeps Python and the JVM warm; see `program_server`. Returns once it serves.

    Every program that is started from now on by this process, or by one that it starts, is led there.

    Args:
        folder: where it serves; need not be there.
        log: what it tells goes there.
        until: a handle; the process ends once it can be read from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    command = [sys.executable, "-m", "speedups.program_server", str(folder)]
    with log.open("ab") as file:
        server = subprocess.Popen(
            [*command, "--until", str(until)] if until is not None else command,
            pass_fds=[] if until is None else [until],
            cwd=Path(__file__).parents[1],  # where it finds `speedups`, and no program does
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    deadline = time.monotonic() + _SERVES_WITHIN_SECONDS
    while not (folder / "jvm").exists() and server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    lead_to(folder)
    return server


def lead_to(folder: Path) -> None:
    """Leads every program that is started from now on to what serves in a folder, where something does."""
    os.environ["NIGHTJAR_JVM"] = str(folder / "jvm")
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


def set_executor() -> bool:
    """Makes Airflow, which is not imported yet, run tasks side by side, and returns whether this machine can.

    Only Linux forks a process safely that has loaded Airflow.
    """
    if not sys.platform.startswith("linux"):
        return False
    os.environ["AIRFLOW__CORE__EXECUTOR"] = "speedups.forked_executor.ForkedExecutor"
    return True


def end_tasks() -> None:
    """Ends the programs that run, when a night is interrupted."""
    from speedups.forked_executor import ForkedExecutor

    if ForkedExecutor.current is not None:
        ForkedExecutor.current.end()
