"""Reads published tables as docs/reading_tables.md asks of every reader: through `run_manifest`.

The tables of a night are committed one after the other, and `run_manifest` last, in one commit. A row of it names the
version of the table to read its `ds` from, so that what was opened by the rows of one look at the manifest belongs to
one publish, whatever is committed meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deltalake import DeltaTable
from pyarrow import compute as pc
from pyarrow import dataset as pads
from pyarrow import fs

from expectations.runtime.lake import Lake
from expectations.tables import RUN_MANIFEST, Table


def manifest_rows(
    lake: Lake, days: Sequence[str] | None = None, columns: Sequence[str] = RUN_MANIFEST.column_names
) -> list[dict[str, Any]]:
    """Returns what `run_manifest` says now; empty before anything was published.

    Args:
        days: all by default.
        columns: all by default; `metrics` is by far the longest.
    """
    path = lake.table_path(RUN_MANIFEST)
    return rows_of(DeltaTable(path), days, columns) if DeltaTable.is_deltatable(path) else []


def rows_of(
    manifest: DeltaTable, days: Sequence[str] | None = None, columns: Sequence[str] = RUN_MANIFEST.column_names
) -> list[dict[str, Any]]:
    """Returns the rows of one version of `run_manifest`, with null in columns that it had not yet.

    Args:
        days: all by default.
        columns: all by default; `metrics` is by far the longest.
    """
    asked = None if days is None else pc.field("ds").isin(list(days))
    dataset = dataset_of(manifest)
    rows = dataset.to_table([name for name in columns if name in dataset.schema.names], filter=asked)
    unknown = dict.fromkeys(columns)
    return [unknown | row for row in rows.to_pylist()]


def published_table(lake: Lake, table: Table, ds: str) -> DeltaTable | None:
    """Opens a table at the version that holds the published `ds`; its other partitions may be of earlier publishes.

    Returns:
        None where the night published no such table.
    """
    rows = manifest_rows(lake, [ds], ("table_name", "table_version"))
    named = [row["table_version"] for row in rows if row["table_name"] == table.name]
    return DeltaTable(lake.table_path(table), version=named[0]) if named else None


def dataset_of(table: DeltaTable) -> pads.Dataset:
    """Returns what PyArrow reads of a Delta table, through its own file systems.

    Those that deltalake (1.6) would take hand out Python's bytes, which a thread of Arrow's may still hold when the
    program ends; the interpreter then aborts a program that had done its work (seen in one of eight).
    """
    filesystem, folder = fs.FileSystem.from_uri(table.table_uri)
    return table.to_pyarrow_dataset(filesystem=fs.SubTreeFileSystem(folder, filesystem))
