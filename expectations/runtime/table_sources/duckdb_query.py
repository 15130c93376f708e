"""A query of a DuckDB file that raw rows of a day are read from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from expectations.runtime.table_sources.source_table import ROWS_A_BATCH, Connection, told_of, told_reader
from expectations.runtime.table_sources.sql_query import asks_for_day, days_of_query, statement
from expectations.shop.table_source import TableSource
from expectations.tables import NightError


class DuckDbSource:
    """Two queries of a DuckDB file, which is opened for reading alone; they reach no other file.

    Args:
        path: of the file.
    """

    def __init__(self, path: str, source: TableSource) -> None:
        self.path, self.source = path, source

    @property
    def place(self) -> str:
        return f"the DuckDB file {self.path}"

    def days(self) -> dict[str, str | None]:
        with self._opened() as database, self._told():
            return days_of_query(self._selected(database, "days_query").fetchall())

    @contextmanager
    def rows_of(self, ds: str) -> Iterator[pa.RecordBatchReader]:
        with self._opened() as database:
            with self._told():
                reader = self._selected(database, "query", ds).to_arrow_reader(ROWS_A_BATCH)
            yield told_reader(reader.schema, reader, self._told)

    def _told(self) -> AbstractContextManager[None]:
        return told_of(self.place, Connection("", None), (duckdb.Error, pa.ArrowException))

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not Path(self.path).is_file():
            raise NightError(f"{self.place} is not there. Set `path` to it.")
        with self._told():
            database = duckdb.connect(self.path, read_only=True, config={"enable_external_access": "false"})
        with database:
            database.execute("SET TimeZone = 'UTC'")
            yield database

    def _selected(self, database: duckdb.DuckDBPyConnection, key: str, ds: str = "") -> duckdb.DuckDBPyRelation:
        query = statement(getattr(self.source, key))
        kinds = [found.type for found in database.extract_statements(query)]
        if kinds != [duckdb.StatementType.SELECT]:
            raise NightError(f"{self.place}: `{key}` must be one SELECT. Received: {len(kinds)} statements")
        return database.sql(query, params=[ds] if ds and asks_for_day(query) else None)
