"""Puts published tables back to how an earlier version of `run_manifest` names them.

Only Delta's logs change: the files of then are added again as they are, and those of now leave the current version. All
tables go back together, as they are published: tables first, `run_manifest` last (see `jobs.publishing.delta_commit`).
A row of the manifest that was put back says so (`status`, `rollback`) until its ds is published anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from deltalake import DeltaTable

from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.runtime.published_tables import rows_of
from expectations.tables import RUN_MANIFEST, Table
from jobs.publishing.delta_commit import RUN_ID_KEY, Contents, Partitions, Versions, commit_together, files_of
from jobs.publishing.manifest import write_manifest
from jobs.publishing.manifest_history import ROLLBACK_KEY, Scope, version_meant
from jobs.publishing.rollback_plan import Change, planned_changes

ROLLED_BACK = "rolled_back"


def roll_back(lake: Lake, to: str, scope: Scope, run_id: str, now: datetime) -> tuple[int, list[Change]]:
    """Commits a rollback, all of its tables together.

    Args:
        to: as `version_meant` takes it.
        now: noted in the manifest, in UTC.

    Returns:
        The version of `run_manifest` that was gone back to, and what differed; where nothing did, nothing was done.

    Raises:
        NightError: the version is not there, never held what is asked for, or its files are gone; nothing was done.
    """
    to_version = version_meant(lake, to, scope)
    changes: list[Change] = []

    def contents(before: DeltaTable) -> Contents:
        changes[:] = planned_changes(lake, before, to_version, scope)
        tables: dict[Table, dict[str, Sequence[str]]] = {}
        for change in changes:
            tables.setdefault(change.table, {})[change.ds] = change.files
        asked = {"to": to, "manifest_version": to_version, "days": sorted({change.ds for change in changes})}
        return Contents(
            tables,
            lambda versions: _put_back(lake, before, changes, versions, noted),
            {RUN_ID_KEY: run_id, ROLLBACK_KEY: json.dumps(asked, sort_keys=True)},
        )

    noted = {"at": now.isoformat(timespec="seconds"), "run_id": run_id, "manifest_version": to_version}
    commit_together(lake, contents)
    return to_version, changes


def _put_back(
    lake: Lake, before: DeltaTable, changes: Sequence[Change], versions: Versions, noted: Mapping[str, Any]
) -> Partitions:
    """Writes the manifest's rows of every changed ds; rows of tables that stay are taken over as they are."""
    days = sorted({change.ds for change in changes})
    rows = {(row["ds"], row["table_name"]): row for row in rows_of(before, days)}
    for change in changes:
        key = change.ds, change.table.name
        rows.pop(key, None)
        if change.after is not None:
            rows[key] = _row_put_back(change, change.after, versions[change.table, change.ds], noted)
    partitions: dict[str, list[str]] = {}
    for ds in days:
        of_day = [row for (day, _), row in sorted(rows.items()) if day == ds]
        partitions[ds] = _written(lake, ds, of_day) if of_day else []
    return partitions


def _row_put_back(change: Change, row: dict[str, Any], version: int, noted: Mapping[str, Any]) -> dict[str, Any]:
    if change.is_reinstated:
        return row | {"table_version": version}
    was = json.loads(row["rollback"])["status"] if row["rollback"] else row["status"]
    between = {
        "from_version": change.before["table_version"] if change.before else None,
        "to_version": row["table_version"],
    }
    note = {**noted, **between, "status": was}
    return row | {"table_version": version, "status": ROLLED_BACK, "rollback": json.dumps(note, sort_keys=True)}


def _written(lake: Lake, ds: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    fingerprint = fingerprint_of(RUN_MANIFEST.name, ds, rows)
    path = write_manifest(lake, ds, rows, fingerprint)
    return files_of(lake, RUN_MANIFEST, Version(path, fingerprint, len(rows)))
