"""An Iceberg table that raw rows of a day are read from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any, cast

import pyarrow as pa
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
from pyiceberg.expressions import And, BooleanExpression, EqualTo, GreaterThanOrEqual, LessThan
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import FileScanTask, Table
from pyiceberg.types import NestedField, PrimitiveType

from expectations.runtime.days import days_before
from expectations.runtime.table_sources.day_files import DayFile, day_range, days_in, days_of_files, require_day_column
from expectations.runtime.table_sources.source_table import Connection, json_object, told_of, told_reader
from expectations.shop.table_source import TableSource
from expectations.tables import NightError

_LONGEST_WHOLE_TEXT = 16
"""Characters up to which metadata holds the lowest and highest text of a file whole."""


class IcebergSource:
    """The snapshot of an Iceberg table that is the current one when it is first looked at.

    Args:
        connection: the catalog: its URI, or its properties as a JSON object, among them its `name` where it has one.
    """

    def __init__(self, source: TableSource, connection: Connection) -> None:
        self.source, self.connection = source, connection

    @property
    def place(self) -> str:
        return f"the Iceberg table {self.source.name} (catalog {self.connection.name})"

    def days(self) -> dict[str, str | None]:
        with self._told():
            return dict(
                days_of_files([self._day_file(task) for task in self._table.scan().plan_files()], self._scanned_days)
            )

    @contextmanager
    def rows_of(self, ds: str) -> Iterator[pa.RecordBatchReader]:
        with self._told():
            reader = self._table.scan(row_filter=self._condition(ds)).to_arrow_batch_reader()
        yield told_reader(reader.schema, reader, self._told)

    @cached_property
    def _table(self) -> Table:
        text = self.connection.required()
        properties = json_object(self.connection) if text.lstrip().startswith("{") else {"uri": text}
        # A catalog that is a SQL database holds several, each under its name.
        catalog: Catalog = load_catalog(properties.pop("name", "default"), **properties)
        try:
            return catalog.load_table(self.source.name)
        except (NoSuchTableError, NoSuchNamespaceError):
            raise NightError(
                f"{self.place} is not there. Set `name` to namespace.table, and `name` among the properties of the "
                f"catalog to the catalog's own, if that is not 'default'."
            ) from None

    @cached_property
    def _day_field(self) -> NestedField:
        assert self._day_type, "the column is there"
        return self._table.schema().find_field(self.source.day_column)

    @cached_property
    def _day_type(self) -> pa.DataType:
        schema = schema_to_pyarrow(self._table.schema())
        return require_day_column(self.place, self.source.day_column, {field.name: field.type for field in schema})

    def _told(self) -> AbstractContextManager[None]:
        # A catalog may be any of a dozen systems, each with exceptions of its own.
        return told_of(self.place, self.connection, (Exception,))

    def _day_file(self, task: FileScanTask) -> DayFile:
        file, deletions = task.file, sorted(file.file_path for file in task.delete_files)
        lowest, highest = (self._bound(of) for of in (file.lower_bounds, file.upper_bounds))
        if (file.null_value_counts or {}).get(self._day_field.field_id, 1):
            lowest = highest = None
        first, last = day_range(lowest, highest, self.source.day_format)
        return DayFile((file.file_path, *deletions), first, last, bool(deletions))

    def _bound(self, bounds: Any) -> Any:
        """Returns the lowest or highest value of the column of days in a file; None where metadata does not tell."""
        packed = (bounds or {}).get(self._day_field.field_id)
        if packed is None:
            return None
        value: Any = from_bytes(cast("PrimitiveType", self._day_field.field_type), packed)
        if isinstance(value, str):
            return value if len(value) < _LONGEST_WHOLE_TEXT else None
        if pa.types.is_timestamp(self._day_type):
            utc = pa.timestamp("us", "UTC" if self._day_type.tz else None)
            return pa.scalar(value, self._day_type).cast(utc, safe=False).as_py()
        return pa.scalar(value, self._day_type).as_py()

    def _scanned_days(self) -> set[str]:
        reader = self._table.scan(selected_fields=(self.source.day_column,)).to_arrow_batch_reader()
        return days_in(reader, self.place, self.source.day_format)

    def _condition(self, ds: str) -> BooleanExpression:
        """The rows of a day."""
        column = self.source.day_column
        if pa.types.is_temporal(self._day_type):
            midnight = "" if pa.types.is_date(self._day_type) else "T00:00:00"
            if pa.types.is_timestamp(self._day_type) and self._day_type.tz:
                midnight += "+00:00"
            begin, end = f"{ds}{midnight}", f"{days_before(ds, -1)}{midnight}"
            return And(_compared(GreaterThanOrEqual, column, begin), _compared(LessThan, column, end))
        day = datetime.strptime(ds, "%Y-%m-%d").strftime(self.source.day_format)
        return _compared(EqualTo, column, int(day) if pa.types.is_integer(self._day_type) else day)


def _compared(how: Any, column: str, value: Any) -> BooleanExpression:
    """A condition on a column; pydantic hides from type checkers what pyiceberg takes."""
    condition: BooleanExpression = how(column, value)
    return condition
