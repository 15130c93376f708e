"""What only saves seconds on one machine: a night passes without any of it, and without this folder.

`NIGHTJAR_SPEEDUPS=0` turns it off: then Airflow runs one task after another in its own process, each program is started
by the `python` that PATH names, and each Spark program has a JVM of its own, without the class archive.
`docker/local/run_night.py` imports this module, `docker/local/install.sh` starts `class_data_sharing.py`, and nothing
else of the project knows the folder.

The seconds are bought with names that their owners do not promise to keep. They stand in PRIVATE_NAMES, with the
versions that they were tried on; a test fails when a name is gone or a version is another, and says to look here.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedups.preloaded_python import PreloadedPython
    from speedups.shared_jvm import SharedJvm

logger = logging.getLogger(__name__)

PRIVATE_NAMES = {
    "airflow.executors.base_executor:BaseExecutor._process_workloads": "forked_executor takes its tasks there",
    "airflow.sdk.definitions.dag:_run_task": "forked_executor runs a task by it, as `dag.test` does",
    "airflow.sdk.execution_time.supervisor:in_process_api_server": "forked_executor warms it up before it forks",
    "atexit:_run_exitfuncs": "preloaded_python ends a fork by it, in place of taking all libraries apart",
    "pyspark.java_gateway:launch_gateway": "shared_jvm starts the JVM by it, which is `proc` of what it returns",
    "pyspark:SparkContext._ensure_initialized": "expectations/runtime/spark_session.py connects to a shared JVM by it",
    "pyspark:SparkContext._gateway": "class_data_sharing ends the JVM by it, which makes it write the archive",
    "pyspark:SparkContext._jvm": "expectations/runtime/spark_session.py ends by it the session that a killed program "
    "has left in a shared JVM, which is `org.apache.spark.sql.classic.SparkSession` there",
}
"""What is private, and what it is used for."""
TRIED_ON = {"apache-airflow-core": "3.3.2", "pyspark": "4.2.1"}


@dataclass
class Engines:
    """What the programs of this night share; None where they do not."""

    python: PreloadedPython | None = None
    jvm: SharedJvm | None = None


engines = Engines()


def start_before_programs() -> None:
    """Makes every `python` that is started from now on a fork of one that has imported the libraries."""
    from speedups.preloaded_python import PreloadedPython

    if sys.platform.startswith("linux"):
        engines.python = PreloadedPython()


def start_before_tasks() -> None:
    """Starts the JVM that the Spark programs of the night share. Airflow's settings are read by now."""
    from speedups.shared_jvm import SharedJvm

    engines.jvm = SharedJvm()


def renew_python() -> None:
    """Before a program starts: puts a new process in place of the one that programs fork from, where it has ended."""
    if engines.python is not None and (why := engines.python.why_broken()):
        logger.warning("replaced: the Python that programs fork from. Reason: %s", why)
        engines.python.end()
        start_before_programs()


def renew_jvm(failed: str = "") -> None:
    """Before a Spark program starts: puts a new JVM in place of one that is broken, or may be.

    Args:
        failed: what ended unexpectedly in it since the last call, and how; empty for nothing.
    """
    if engines.jvm is not None and (why := engines.jvm.why_broken() or failed):
        logger.warning("replaced: the JVM that Spark programs share. Reason: %s", why)
        engines.jvm.end()
        start_before_tasks()


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
