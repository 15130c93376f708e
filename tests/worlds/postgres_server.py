"""A real PostgreSQL server for tests, on loopback, with a password and a database of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.worlds.free_port import free_port

PASSWORD = "s3cr3t/p@ss word"
"""With characters that a URL must hold in another form."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """Runs a server; yields its connection string without a password. Skips the test where no server is installed."""
    folder = _programs()
    if folder is None:
        pytest.skip("no PostgreSQL server is installed: apt install postgresql")
    # It refuses to be run by root, and its user must be able to reach its folder.
    user = "postgres" if os.geteuid() == 0 else None
    data = Path(tempfile.mkdtemp(prefix="nightjar-postgres-"))
    try:
        password = data / "password"
        password.write_text(PASSWORD)
        cluster = data / "cluster"
        if user:
            shutil.chown(data, user)
            shutil.chown(password, user)
        create = ["--username=shop", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
        subprocess.run(
            [folder / "initdb", *create, "-D", cluster], check=True, capture_output=True, user=user, cwd=data
        )
        port = free_port()
        run = ["-h", "127.0.0.1", "-p", str(port), "-k", str(data), "-c", "fsync=off"]
        with open(data / "log", "wb") as log:
            server = subprocess.Popen(
                [folder / "postgres", "-D", cluster, *run], stdout=log, stderr=log, user=user, cwd=data
            )
        try:
            address = f"host=127.0.0.1 port={port} user=shop dbname=postgres"
            _wait_for(address, server)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=30)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _programs() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None, "the server ended"
        try:
            psycopg.connect(address, password=PASSWORD).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")
