"""What a rollback would change: an earlier version of `run_manifest` beside that of now, partition by partition."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deltalake import DeltaTable
from pyarrow import fs

from expectations.runtime.lake import Lake
from expectations.runtime.published_tables import rows_of
from expectations.tables import RUN_MANIFEST, TABLES, NightError, Table
from jobs.publishing.delta_commit import paths_by_ds
from jobs.publishing.manifest_history import Scope, commits, table_at


@dataclass(frozen=True)
class Change:
    """A partition that a rollback changes.

    Attributes:
        before: its row of the manifest now; None: the night has no such table now.
        after: its row then; None: the night had no such table then, and it goes.
        files: of then.
    """

    table: Table
    ds: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    files: Sequence[str]
    is_reinstated: bool


def planned_changes(lake: Lake, manifest: DeltaTable, to_version: int, scope: Scope) -> list[Change]:
    """Compares a version of `run_manifest` with an earlier one, partition by partition.

    Args:
        manifest: as it is now.

    Returns:
        What differs, by ds and table: every table in scope of each ds of which one differs.

    Raises:
        NightError: the earlier version never held what is asked for, or its files are gone.
    """
    then, history = table_at(lake, RUN_MANIFEST, to_version), commits(manifest)
    days = [scope.ds] if scope.ds else None
    before = {(row["ds"], row["table_name"]): row for row in rows_of(manifest, days) if scope.holds(row)}
    after = {(row["ds"], row["table_name"]): row for row in rows_of(then, days) if scope.holds(row)}
    if not after:
        what = f"ds={scope.ds}" if scope.ds else "any night"
        of_table = f" of {scope.table.name}" if scope.table else ""
        raise NightError(f"{RUN_MANIFEST.name} version {to_version} does not hold {what}{of_table}.")
    last_publish = {commit.ds: commit.version for commit in reversed(history) if commit.ds}
    files = _Files(lake, next(commit.at for commit in history if commit.version == to_version))
    changes, changed_days = [], set()
    for ds, name in sorted({*before, *after}):
        table, row_before, row_after = TABLES[name], before.get((ds, name)), after.get((ds, name))
        of_then = files.then(table, ds, row_before, row_after)
        is_latest = set(of_then) == set(files.latest(table, ds))
        if not is_latest or set(of_then) != set(files.now(table, ds, row_before)):
            changed_days.add(ds)
        is_own = row_after is not None and row_after["rollback"] is None
        is_reinstated = is_own and last_publish.get(ds, to_version + 1) <= to_version
        changes.append(Change(table, ds, row_before, row_after, tuple(of_then), is_reinstated))
    found = [change for change in changes if change.ds in changed_days]
    _require_files(lake, found)
    return found


class _Files:
    """The files of partitions, in any version of their tables; each version is read once.

    Args:
        committed_at: when the manifest of then was committed. Releases that named no versions committed it last, too.
    """

    def __init__(self, lake: Lake, committed_at: datetime) -> None:
        self.lake = lake
        self.committed_at = committed_at
        self._read: dict[tuple[Table, int | None], dict[str, list[str]]] = {}

    def latest(self, table: Table, ds: str) -> list[str]:
        return self._files(table, None).get(ds, [])

    def now(self, table: Table, ds: str, row: Mapping[str, Any] | None) -> list[str]:
        """What readers are told to read."""
        return self._files(table, row["table_version"]).get(ds, []) if row else []

    def then(
        self, table: Table, ds: str, row_now: Mapping[str, Any] | None, row: Mapping[str, Any] | None
    ) -> list[str]:
        """What readers were told to read."""
        if row is None:
            return []
        version = row["table_version"]
        if version is None:
            return self._files(table, self._version_then(table)).get(ds, [])
        if row_now and row_now["table_version"] == version:
            return self.now(table, ds, row_now)
        return self._files(table, version).get(ds, [])

    def _files(self, table: Table, version: int | None) -> dict[str, list[str]]:
        if (table, version) not in self._read:
            self._read[table, version] = paths_by_ds(table_at(self.lake, table, version))
        return self._read[table, version]

    def _version_then(self, table: Table) -> int:
        commits_of_table = table_at(self.lake, table, None).history()
        history = sorted((commit["timestamp"], commit["version"]) for commit in commits_of_table)
        place = bisect_right(history, (round(self.committed_at.timestamp() * 1000), sys.maxsize))
        if not place:
            raise NightError(f"{table.name} had no version at {self.committed_at:%Y-%m-%dT%H:%M:%SZ}.")
        return int(history[place - 1][1])


def _require_files(lake: Lake, changes: Sequence[Change]) -> None:
    for change in changes:
        if not change.files:
            continue
        filesystem, local = fs.FileSystem.from_uri(lake.table_path(change.table))
        places = [f"{local}/{file}" for file in change.files]
        gone = [info.path for info in filesystem.get_file_info(places) if info.type != fs.FileType.File]
        if gone:
            raise NightError(
                f"{change.table.name} ds={change.ds}: {len(gone)} of the {len(places)} files of then are gone, such as "
                f"{gone[0]}. Were they vacuumed? Nothing was rolled back."
            )
