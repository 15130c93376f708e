"""The server of `make serve`, for tests and benchmarks: started on a free port of loopback, ended with its children."""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from expectations.runtime.code_version import REPOSITORY
from tests.worlds.free_port import free_port

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class SessionServer:
    """A server that answers. `seconds` passed until it did."""

    address: str
    process: psutil.Popen
    seconds: float

    @property
    def processes(self) -> list[psutil.Process]:
        return [*self.process.children(recursive=True), self.process]


@contextmanager
def session_server(root: str, shop: str, log: Path) -> Iterator[SessionServer]:
    """Serves what the nights under `root` have registered; what the server prints goes to `log`."""
    port = free_port()
    command = [sys.executable, "docker/local/serve.py", "--shop", shop, "--port", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "NIGHTJAR_ROOT": root, "PYTHONPATH": str(REPOSITORY), "PATH": path}
    started = time.monotonic()
    with log.open("w") as output:
        process = psutil.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
    try:
        while not _answers(f"http://127.0.0.1:{port}/ping"):
            if process.poll() is not None or time.monotonic() > started + PATIENCE_SECONDS:
                raise RuntimeError(f"the server did not start: {log.read_text()[-3000:]}")
            time.sleep(0.2)
        yield SessionServer(f"http://127.0.0.1:{port}", process, time.monotonic() - started)
    finally:
        for part in [*process.children(recursive=True), process]:
            part.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
