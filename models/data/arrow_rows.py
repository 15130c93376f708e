"""Rows of plain Python values as an Arrow table with a contract's columns and types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from expectations.runtime.arrow_types import arrow_schema
from expectations.tables import Table


def arrow_rows(table: Table, ds: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The rows of partition `ds`; the column `ds` is added."""
    return pa.Table.from_pylist([{**row, "ds": ds} for row in rows], schema=arrow_schema(table))
