"""One JVM for all the Spark programs of a night on one machine, one program after another.

A JVM of its own costs a program ten seconds of starting and of running code that is not compiled yet; a night has a
dozen such programs. On a cluster, and under `make up`, where programs may run side by side, each has its own.

What breaks a JVM breaks it for every program after, so that it is looked at before each of them, and replaced where it
has ended, does not answer, or cannot start a process, as after an upgrade of its files. Where a program ended
unexpectedly in it, it is replaced as well: its heap, or whatever else the programs share, may be why.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import Any

from pyspark import SparkConf
from pyspark.java_gateway import launch_gateway

from expectations.runtime.failures import root_cause
from expectations.runtime.spark_session import driver_memory_from_environment

ADDRESS = ("PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET")
"""The variables by which PySpark finds a JVM that runs."""
_ANSWERS_WITHIN_SECONDS = 120
"""A JVM that is well has taken a quarter of a minute, on a machine with ten times the work that it has cores for."""
_ENDS_WITHIN_SECONDS = 15


class SharedJvm:
    """A JVM, and every program started from now on is led to it. Ends when this process does.

    It listens on loopback, and asks for a secret.
    """

    def __init__(self) -> None:
        for name in ADDRESS:  # with them it would be looked for, and none started
            os.environ.pop(name, None)
        self.gateway = launch_gateway(SparkConf().set("spark.driver.memory", driver_memory_from_environment()))
        self.process: subprocess.Popen[bytes] = self.gateway.proc
        told = (str(self.gateway.java_parameters.port), self.gateway.java_parameters.auth_token)
        os.environ.update(zip(ADDRESS, told, strict=True))

    def why_broken(self) -> str | None:
        """Returns what is wrong with it; None where nothing is. Takes some hundredths of a second."""
        code = self.process.poll()
        if code is not None:
            return f"it ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
        found: list[str | None] = []
        # A JVM that does not answer must not hold up the night.
        probe = threading.Thread(target=lambda: found.append(self._why_no_helper()), daemon=True)
        probe.start()
        probe.join(_ANSWERS_WITHIN_SECONDS)
        return found[0] if found else f"it did not answer within {_ANSWERS_WITHIN_SECONDS} seconds"

    def _why_no_helper(self) -> str | None:
        """Starts what Spark starts for files and for Python: a process."""
        jvm: Any = self.gateway.jvm
        try:
            jvm.java.lang.Runtime.getRuntime().exec("true").waitFor()
        except Exception as err:
            return f"it cannot start a process: {root_cause(err)}"
        return None

    def end(self) -> None:
        """Ends it, with its temporary files where it still can."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_ENDS_WITHIN_SECONDS)
            return
        self.process.kill()
        self.process.wait()
