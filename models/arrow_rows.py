"""Rows of plain Python values as an Arrow table with a contract's columns and types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from expectations.tables import Table

_ARROW_TYPES = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}


def arrow_rows(table: Table, ds: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The rows of partition `ds`; the column `ds` is added. Only for tables without nested columns or times."""
    schema = pa.schema([(column.name, _ARROW_TYPES[column.type], column.nullable) for column in table.columns])
    return pa.Table.from_pylist([{**row, "ds": ds} for row in rows], schema=schema)
