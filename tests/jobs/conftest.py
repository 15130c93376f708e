"""Fixtures of tests that read tables of a shop's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.worlds.postgres_server import postgres_server
from tests.worlds.source_tables import DeltaWorld, DuckDbWorld, IcebergWorld, PostgresWorld, SourceWorld


@pytest.fixture(scope="module")
def postgres_address() -> Iterator[str]:
    with postgres_server() as address:
        yield address


@pytest.fixture(params=["delta", "iceberg", "duckdb", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> SourceWorld:
    if request.param == "postgres":
        return PostgresWorld(request.getfixturevalue("postgres_address"))
    worlds: dict[str, Callable[[Path], SourceWorld]] = {
        "delta": DeltaWorld,
        "iceberg": IcebergWorld,
        "duckdb": DuckDbWorld,
    }
    return worlds[request.param](tmp_path)
