"""A Delta table that raw rows of a day are read from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from expectations.runtime.days import days_before
from expectations.runtime.table_sources.day_files import DayFile, day_range, days_in, days_of_files, require_day_column
from expectations.runtime.table_sources.source_table import Connection, json_object, told_of, told_reader
from expectations.shop.table_source import TableSource
from expectations.tables import NightError


class DeltaSource:
    """The version of a Delta table that is the latest one when it is first looked at.

    Args:
        path: of its folder.
        connection: the options of its object store, as a JSON object; nothing where none are needed.
    """

    def __init__(self, path: str, source: TableSource, connection: Connection) -> None:
        self.path, self.source, self.connection = path, source, connection

    @property
    def place(self) -> str:
        return f"the Delta table {self.path}"

    def days(self) -> dict[str, str | None]:
        with self._told():
            return dict(days_of_files(self._files(), self._scanned_days))

    @contextmanager
    def rows_of(self, ds: str) -> Iterator[pa.RecordBatchReader]:
        with self._told():
            reader = _reader(self._table.scan(predicate=self._predicate(ds)))
        yield told_reader(reader.schema, reader, self._told)

    @cached_property
    def _table(self) -> DeltaTable:
        options = json_object(self.connection) if self.source.connection else {}
        try:
            return DeltaTable(self.path, storage_options=options)
        except TableNotFoundError:
            raise NightError(f"{self.place} is not there. Set `path` to the folder of its _delta_log.") from None

    @cached_property
    def _day_type(self) -> pa.DataType:
        schema = pa.schema(self._table.schema().to_arrow())
        return require_day_column(self.place, self.source.day_column, {field.name: field.type for field in schema})

    def _told(self) -> AbstractContextManager[None]:
        return told_of(self.place, self.connection, (DeltaError, pa.ArrowException, OSError, ValueError))

    def _files(self) -> list[DayFile]:
        column = self.source.day_column
        assert self._day_type, "the column is there"
        deletions = self._deletions()
        files = []
        for action in pa.table(self._table.get_add_actions(flatten=True)).to_pylist():
            lowest = highest = action.get(f"partition.{column}")
            # Of nulls, metadata tells by their count alone.
            if lowest is None and action.get(f"null_count.{column}") == 0:
                lowest, highest = action.get(f"min.{column}"), action.get(f"max.{column}")
            first, last = day_range(lowest, highest, self.source.day_format)
            name = action["path"].rpartition("/")[2]
            identity = (action["path"], str(action["size_bytes"]), deletions.get(name, ""))
            files.append(DayFile(identity, first, last, name in deletions))
        return files

    def _deletions(self) -> dict[str, str]:
        """Maps the name of a file to a hash of which of its rows were deleted."""
        if "deletionVectors" not in (self._table.protocol().reader_features or ()):
            return {}
        found = {}
        for batch in _reader(self._table.deletion_vectors()):
            for path, kept in zip(batch["filepath"].to_pylist(), batch["selection_vector"].to_pylist(), strict=True):
                found[path.rpartition("/")[2]] = hashlib.sha256(bytes(kept)).hexdigest()
        return found

    def _scanned_days(self) -> set[str]:
        reader = _reader(self._table.scan(columns=[self.source.day_column]))
        return days_in(reader, self.place, self.source.day_format)

    def _predicate(self, ds: str) -> str:
        """The rows of a day, for an engine that takes conditions as text: a column that exists, and a day."""
        column = '"{}"'.format(self.source.day_column.replace('"', '""'))
        if pa.types.is_temporal(self._day_type):
            return f"{column} >= '{ds}' AND {column} < '{days_before(ds, -1)}'"
        day = datetime.strptime(ds, "%Y-%m-%d").strftime(self.source.day_format)
        if pa.types.is_integer(self._day_type):
            return f"{column} = {int(day)}"
        return "{} = '{}'".format(column, day.replace("'", "''"))


def _reader(stream: object) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_stream(stream)
