"""The contract's columns as Arrow knows them, for programs that write Parquet without Spark."""

from __future__ import annotations

import pyarrow as pa

from expectations.tables import Table

_ARROW_TYPES = {
    "string": pa.string(),
    "binary": pa.binary(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def arrow_type(ddl: str) -> pa.DataType:
    """`array<int>`, or any other type that stands in `expectations.tables`, as Arrow knows it."""
    if ddl.startswith("array<"):
        return pa.list_(arrow_type(ddl.removeprefix("array<").removesuffix(">")))
    return _ARROW_TYPES[ddl]


def arrow_schema(table: Table) -> pa.Schema:
    """All columns of a table, `ds` included, with their types and whether they may be null."""
    return pa.schema([pa.field(c.name, arrow_type(c.type), nullable=c.nullable) for c in table.columns])
