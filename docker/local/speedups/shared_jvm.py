"""One JVM for all the Spark programs of one machine, lent to one program after another.

A JVM of its own costs a program ten seconds of starting and of running code that is not compiled yet; a night has a
dozen such programs. On a cluster each has its own. So has, here, a program that asks while another one has the JVM.

What breaks a JVM breaks it for every program after, so that it is looked at before each of them, and replaced where it
has ended, does not answer, or cannot start a process, as after an upgrade of its files. Where a program ended
unexpectedly in it, it is replaced as well: its heap, or whatever else the programs share, may be why. One that nobody
has asked for in a while ends, and gives its memory back; one that a year of backfills keeps busy is replaced now and
then, since what each program leaves behind in it is small, and not nothing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from pyspark import SparkConf
from pyspark.java_gateway import launch_gateway

from expectations.runtime.borrowed_jvm import GIVEN_BACK
from expectations.runtime.failures import root_cause
from expectations.runtime.spark_session import driver_memory_from_environment

logger = logging.getLogger(__name__)

_ANSWERS_WITHIN_SECONDS = 120
"""A JVM that is well has taken a quarter of a minute, on a machine with ten times the work that it has cores for."""
_ENDS_WITHIN_SECONDS = 15


class SharedJvm:
    """A JVM that programs may connect to: on loopback, with a secret. It ends when this process does."""

    def __init__(self) -> None:
        self.gateway = launch_gateway(SparkConf().set("spark.driver.memory", driver_memory_from_environment()))
        self.process: subprocess.Popen[bytes] = self.gateway.proc

    @property
    def address(self) -> dict[str, str]:
        """The variables by which PySpark finds it."""
        parameters = self.gateway.java_parameters
        return {"PYSPARK_GATEWAY_PORT": str(parameters.port), "PYSPARK_GATEWAY_SECRET": parameters.auth_token}

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


class JvmLender:
    """Lends a JVM to the programs that ask at a socket; see expectations/runtime/borrowed_jvm.py.

    Attributes:
        jvm: None where none has been asked for in a while.
        borrower: the program that has it.
    """

    def __init__(self, address: Path, idle_seconds: float, most_loans: int) -> None:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(address))
        self.server.listen(64)
        self.idle_seconds = idle_seconds
        self.most_loans = most_loans
        self.jvm: SharedJvm | None = SharedJvm()
        self.borrower: socket.socket | None = None
        self.failed = ""
        self.num_loans = 0
        self.free_since = time.monotonic()

    def handles(self) -> list[socket.socket]:
        """What can be read from once there is something to do."""
        return [self.server] if self.borrower is None else [self.server, self.borrower]

    def answer(self, ready: list[Any]) -> None:
        """Takes back what a program gave back, lends to the one that asks, ends a JVM that nobody wants any more."""
        if self.borrower in ready:
            self._take_back()
        if self.server in ready:
            self._lend()
        if self.jvm and not self.borrower and time.monotonic() - self.free_since > self.idle_seconds:
            self.jvm.end()
            self.jvm = None

    def _take_back(self) -> None:
        assert self.borrower is not None, "it is one of the handles"
        with self.borrower as borrower, contextlib.suppress(OSError):
            if borrower.recv(len(GIVEN_BACK)) != GIVEN_BACK:
                self.failed = "a program ended unexpectedly in it"
        self.borrower, self.free_since = None, time.monotonic()

    def _lend(self) -> None:
        caller, _ = self.server.accept()
        if self.borrower is not None:
            caller.close()
            return
        try:
            address = self._renewed().address
        except Exception as err:
            logger.warning("lent no JVM. Reason: %s", err)
            caller.close()
            return
        with contextlib.suppress(OSError):  # it has not waited, which the loan's end will show
            caller.sendall(json.dumps(address).encode() + b"\n")
        self.borrower = caller
        self.num_loans += 1

    def _renewed(self) -> SharedJvm:
        """The JVM, or a new one in place of one that is broken, or may be, or has served long enough."""
        served = f"it has served {self.num_loans} programs" if self.num_loans >= self.most_loans else ""
        if self.jvm and (why := self.jvm.why_broken() or self.failed or served):
            logger.warning("replaced: the JVM that Spark programs share. Reason: %s", why)
            self.jvm.end()
            self.jvm = None
        if self.jvm is None:
            self.jvm, self.failed, self.num_loans = SharedJvm(), "", 0
        return self.jvm
