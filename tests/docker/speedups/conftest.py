"""A server of programs as a night has it: it ends with the process that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from expectations.runtime.code_version import REPOSITORY

# Starts it as a night does, tells its process, and lives until its input ends.
NIGHT = """
import os, sys
from pathlib import Path
import speedups
until, _ = os.pipe()
server = speedups.start(Path(sys.argv[1]), Path(sys.argv[2]), until)
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket, which may have 107 bytes in all."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Served:
    """A night that has started it.

    Attributes:
        folder: where it serves; `python` and `jvm` are there.
        log: what it told.
        server: its process.
    """

    night: subprocess.Popen[str]
    folder: Path
    log: Path
    server: int

    @property
    def environment(self) -> dict[str, str]:
        """That of the programs that are led there."""
        return {**os.environ, "NIGHTJAR_JVM": str(self.folder / "jvm")}


@contextmanager
def served(folder: Path, *libraries: str, **variables: str) -> Iterator[Served]:
    """A night whose programs are served.

    Args:
        folder: with room for the path of a socket.
        libraries: folders that are looked in before those of the libraries that are installed.
        variables: of the server's environment.
    """
    path = os.pathsep.join([*libraries, str(REPOSITORY), f"{REPOSITORY}/docker/local"])
    log = folder.with_suffix(".log")
    night = subprocess.Popen(
        [sys.executable, "-c", NIGHT, str(folder), str(log)],
        env={**os.environ, **variables, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with night:
        assert night.stdout is not None
        yield Served(night, folder, log, int(night.stdout.readline()))
