"""The versions of `run_manifest`: what each published or rolled back, and which of them words mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from expectations.runtime.lake import Lake
from expectations.runtime.published_tables import rows_of
from expectations.tables import RUN_MANIFEST, TABLES, NightError, Table
from jobs.publishing.delta_commit import DS_KEY, RUN_ID_KEY, at_version
from jobs.publishing.manifest import NAMES

NIGHT_BEFORE = "night-before"
ROLLBACK_KEY = "nightjar.rollback"
"""Kept with each commit of a rollback, as JSON: what was asked for, and which days it changed."""


@dataclass(frozen=True)
class Scope:
    """What may change: one table or all, one ds or all."""

    table: Table | None = None
    ds: str | None = None

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether it reaches this row of the manifest."""
        return self.table in (None, TABLES.get(row["table_name"])) and self.ds in (None, row["ds"])


@dataclass(frozen=True)
class Commit:
    """One version of `run_manifest`.

    Attributes:
        at: when it was committed, in UTC.
        ds: the day that it published; None: a rollback, or nothing at all.
        rollback: what a rollback noted.
    """

    version: int
    at: datetime
    ds: str | None
    run_id: str
    rollback: dict[str, Any] | None


def commits(manifest: DeltaTable) -> list[Commit]:
    """Returns every version of the manifest, the latest first."""
    return [
        Commit(
            version=commit["version"],
            at=datetime.fromtimestamp(commit["timestamp"] / 1000, tz=timezone.utc),
            ds=None if ROLLBACK_KEY in commit else commit.get(DS_KEY),
            run_id=commit.get(RUN_ID_KEY, ""),
            rollback=json.loads(commit[ROLLBACK_KEY]) if ROLLBACK_KEY in commit else None,
        )
        for commit in manifest.history()
    ]


def published_manifest(lake: Lake) -> DeltaTable:
    """Opens the manifest.

    Raises:
        NightError: nothing was ever published under this root.
    """
    path = lake.table_path(RUN_MANIFEST)
    if not DeltaTable.is_deltatable(path):
        raise NightError(f"Nothing was published at {path}. Is --root (NIGHTJAR_ROOT) right?")
    return DeltaTable(path)


def version_meant(lake: Lake, to: str, scope: Scope) -> int:
    """Returns the version of `run_manifest` that words mean.

    Args:
        to: its number; a time, in UTC where it names no zone, for the last version up to then; or `night-before` for
            the one before the last publish (of `scope.ds`) that changed a table of `scope`.

    Raises:
        NightError: there is none, or it cannot be read any more.
    """
    manifest = published_manifest(lake)
    history = commits(manifest)
    if to == NIGHT_BEFORE:
        return _before_the_last_publish(lake, history, scope)
    if to.isdecimal():
        if int(to) > history[0].version:
            raise NightError(f"{RUN_MANIFEST.name} has the versions 0 to {history[0].version}. Received: --to {to}")
        return int(to)
    try:
        at = datetime.fromisoformat(to)
    except ValueError as err:
        raise NightError(
            f"--to must be a version of {RUN_MANIFEST.name}, a time such as 2025-06-01T02:00, or {NIGHT_BEFORE}. "
            f"Received: {to!r}"
        ) from err
    at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    # The list of versions tells times to the second, and what it tells must be understood.
    is_exact = at.microsecond > 0
    earlier = [c.version for c in history if (c.at if is_exact else c.at.replace(microsecond=0)) <= at]
    if not earlier:
        raise NightError(f"Nothing was published before {history[-1].at:%Y-%m-%dT%H:%M:%SZ}. Received: --to {to}")
    return max(earlier)


def _before_the_last_publish(lake: Lake, history: Sequence[Commit], scope: Scope) -> int:
    for commit in history:
        if not commit.ds or scope.ds not in (None, commit.ds):
            continue
        version, of_day = commit.version, Scope(scope.table, commit.ds)
        before, after = (_named(table_at(lake, RUN_MANIFEST, number), of_day) for number in (version - 1, version))
        if scope.ds and not before:
            raise NightError(
                f"ds={scope.ds}: there is no night before; {RUN_MANIFEST.name} version {version} was the first to hold "
                f"it. To take this publish and all later ones back, of every day: --all-days --to {version - 1}"
            )
        # A publish may put new figures beside the same tables.
        if before != after or None in after.values():
            return version - 1
    raise NightError(f"No publish of {scope.ds or 'any day'} is noted in {RUN_MANIFEST.name}: name a version or a time")


def _named(manifest: DeltaTable, scope: Scope) -> dict[tuple[str, str], int | None]:
    rows = rows_of(manifest, [scope.ds] if scope.ds else None, NAMES)
    return {(row["ds"], row["table_name"]): row["table_version"] for row in rows if scope.holds(row)}


def table_at(lake: Lake, table: Table, version: int | None) -> DeltaTable:
    """Opens a published table at a version, the latest where none is named.

    Raises:
        NightError: the version cannot be read any more.
    """
    try:
        return at_version(lake, table, version)
    except (DeltaError, TableNotFoundError) as err:
        raise NightError(f"{table.name} version {version} is gone: its log was cleaned up. ({err})") from err


def rolled_back_days(lake: Lake) -> dict[str, str]:
    """Maps each day that was rolled back, and not published since, to what was done, in words.

    A day whose every table was taken back has no row in the manifest any more; its commit tells.
    """
    path = lake.table_path(RUN_MANIFEST)
    if not DeltaTable.is_deltatable(path):
        return {}
    manifest = DeltaTable(path)
    rows = rows_of(manifest, None, ("ds", "table_name", "rollback"))
    found = {}
    for row in rows:
        if row["rollback"]:
            note = json.loads(row["rollback"])
            found[row["ds"]] = f"to {RUN_MANIFEST.name} version {note['manifest_version']} at {note['at']}"
    published = {row["ds"] for row in rows}
    for commit in commits(manifest):
        if commit.ds:
            published.add(commit.ds)
        for ds in commit.rollback["days"] if commit.rollback else ():
            if ds not in published:
                found[ds] = f"taken back whole at {commit.at.isoformat(timespec='seconds')}"
                published.add(ds)
    return found
