"""Opens the table that a shop file names, with the library of its kind."""

from __future__ import annotations

from collections.abc import Mapping

from expectations.runtime.table_sources.source_table import Connection, SourceTable
from expectations.shop.raw_files import RawFile
from expectations.tables import NightError


def opened_table(raw: RawFile, path: str, connections: Mapping[str, str]) -> SourceTable:
    """Returns the table of a source that is one; nothing of it is read yet.

    Args:
        path: where it lies, absolute; empty for one that lies in a catalog or a database.
        connections: environment variable -> what it holds.

    Raises:
        NightError: the library that reads such tables is not installed.
    """
    source = raw.table
    assert source is not None, "a source of files is not opened as a table"
    connection = Connection(source.connection, connections.get(source.connection))
    # Each library takes a while to load and none is needed for files, so only the one that is asked for is loaded.
    try:
        if raw.format == "delta":
            from expectations.runtime.table_sources.delta_table import DeltaSource

            return DeltaSource(path, source, connection)
        if raw.format == "iceberg":
            from expectations.runtime.table_sources.iceberg_table import IcebergSource

            return IcebergSource(source, connection)
        if raw.format == "postgres":
            from expectations.runtime.table_sources.postgres_query import PostgresSource

            return PostgresSource(source, connection)
        from expectations.runtime.table_sources.duckdb_query import DuckDbSource

        return DuckDbSource(path, source)
    except ImportError as err:
        raise NightError(
            f"format = {raw.format!r} needs the libraries of the extra `tables` in setup.cfg. Received: {err}"
        ) from err
