"""A query of a PostgreSQL database that raw rows of a day are read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import TextLoader

from expectations.runtime.table_sources.source_table import ROWS_A_BATCH, Connection, told_of, told_reader
from expectations.runtime.table_sources.sql_query import asks_for_day, days_of_query, statement
from expectations.shop.table_source import TableSource
from expectations.tables import NightError

_PATIENCE_SECONDS = 10
_READABLE_TIME = r"^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?(\+00)?)?$"
"""A date or time that Arrow can hold; the database also knows infinity, and years before Christ."""
_TYPES = {
    **dict.fromkeys(("int2", "int4", "int8"), pa.int64()),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}
"""What a column of the database is in Arrow; all others are texts, as the database writes them."""


class PostgresSource:
    """Two queries of a PostgreSQL database, each in a transaction that can only read.

    Args:
        connection: a connection string of libpq: postgresql://user:password@host:port/database, or key=value pairs.
    """

    def __init__(self, source: TableSource, connection: Connection) -> None:
        self.source, self.connection = source, connection

    @property
    def place(self) -> str:
        return f"the PostgreSQL database of {self.connection.name}"

    def days(self) -> dict[str, str | None]:
        with self._selected("days_query") as cursor, self._told():
            return days_of_query(cursor)

    @contextmanager
    def rows_of(self, ds: str) -> Iterator[pa.RecordBatchReader]:
        with self._selected("query", ds) as cursor:
            columns = [_ColumnType.of(column.type_code) for column in cursor.description or ()]
            names = [column.name for column in cursor.description or ()]
            schema = pa.schema([pa.field(name, column.type) for name, column in zip(names, columns, strict=True)])

            def batches() -> Iterator[pa.RecordBatch]:
                while rows := cursor.fetchmany(ROWS_A_BATCH):
                    cells = zip(*rows, strict=True)
                    arrays = [column.array(of) for column, of in zip(columns, cells, strict=True)]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)

            yield told_reader(schema, batches(), self._told)

    def _told(self) -> AbstractContextManager[None]:
        secrets = tuple({word for word in (self._password, quote(self._password, safe="")) if word})
        connection = replace(self.connection, secrets=secrets)
        return told_of(self.place, connection, (psycopg.Error, pa.ArrowException))

    @contextmanager
    def _selected(self, key: str, ds: str = "") -> Iterator[psycopg.RawServerCursor[Any]]:
        query = statement(getattr(self.source, key))
        with self._told():
            database = psycopg.connect(**{"connect_timeout": _PATIENCE_SECONDS, **self._parameters})
        with database:
            database.read_only = True
            database.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            database.execute("SET LOCAL TimeZone = 'UTC'")
            database.execute("SET LOCAL DateStyle = 'ISO'")
            # A cursor of the server keeps a day of any size there.
            cursor = psycopg.RawServerCursor(database, "nightjar")
            # Texts as the database writes them: some values are out of Python's bounds.
            for info in psycopg.adapters.types:
                cursor.adapters.register_loader(info.oid, TextLoader)
            with self._told():
                cursor.execute(query, [ds] if ds and asks_for_day(query) else None)
            yield cursor

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        try:
            return conninfo_to_dict(self.connection.required())
        except psycopg.Error:
            # The driver's own words would repeat the string.
            raise NightError(
                f"the environment variable {self.connection.name} must hold a connection string, such as "
                f"postgresql://user:password@host:5432/database. What it holds is none, and is not shown."
            ) from None

    @property
    def _password(self) -> str:
        return str(self._parameters.get("password") or "")


@dataclass(frozen=True)
class _ColumnType:
    """What a column of the database is in Arrow.

    Attributes:
        is_decimal: whether its texts are exact decimal numbers.
    """

    type: pa.DataType
    is_decimal: bool = False

    @classmethod
    def of(cls, oid: int) -> _ColumnType:
        """The type of the values that the database knows by this number."""
        info = psycopg.adapters.types.get(oid)
        if info is not None and info.array_oid == oid:
            return cls(pa.list_(pa.string()))
        name = info.name if info else ""
        return cls(_TYPES.get(name, pa.string()), name == "numeric")

    def array(self, cells: Sequence[Any]) -> pa.Array:
        """Returns the values of a column; a time beyond Arrow's bounds is nothing."""
        if pa.types.is_list(self.type):
            return pa.array(cells, self.type)
        texts = pa.array(cells, pa.string())
        if pa.types.is_boolean(self.type):
            return pc.equal(texts, "t")
        if self.is_decimal:
            # As the decimals of a Parquet file are written.
            return pc.replace_substring_regex(texts, r"\.0+$", "")
        if not pa.types.is_temporal(self.type):
            return texts.cast(self.type)
        texts = pc.if_else(pc.match_substring_regex(texts, _READABLE_TIME), texts, pa.scalar(None, pa.string()))
        if pa.types.is_timestamp(self.type) and self.type.tz:
            texts = pc.replace_substring_regex(texts, r"\+00$", "Z")
        return texts.cast(self.type)
