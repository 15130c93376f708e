"""A reader that knows deltalake and docs/reading_tables.md, and nothing of our code."""

from __future__ import annotations

from deltalake import DeltaTable

MARK = "model_version"
"""The column of every published table that tells publishes apart."""
Marks = dict[str, set[str]]
"""Table name -> what its rows of a ds carry."""


def named_marks(tables: str, ds: str) -> Marks:
    """Reads a night through the documented way: the manifest once, then each table at the version that it names."""
    manifest = DeltaTable(f"{tables}/run_manifest").to_pyarrow_table(
        columns=["table_name", "table_version"], filters=[("ds", "=", ds)]
    )
    versions = {row["table_name"]: row["table_version"] for row in manifest.to_pylist()}
    return {name: _marks(DeltaTable(f"{tables}/{name}", version=version), ds) for name, version in versions.items()}


def latest_marks(tables: str, ds: str, names: list[str]) -> Marks:
    """Reads a night as who knows nothing of the manifest: the latest version of each table."""
    return {name: _marks(DeltaTable(f"{tables}/{name}"), ds) for name in names}


def is_mixed(marks: Marks) -> bool:
    """Whether the tables of a night are not all of one publish; a table without a row is of none."""
    return len(set(map(frozenset, marks.values()))) > 1 or any(len(found) > 1 for found in marks.values())


def _marks(table: DeltaTable, ds: str) -> set[str]:
    return set(table.to_pyarrow_table(columns=[MARK], filters=[("ds", "=", ds)])[MARK].to_pylist())
