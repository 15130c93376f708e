"""Commits files that already lie in a Delta table's folder, as one transaction that replaces exactly their partitions.

Readers see the partition of before until the commit's one log entry is there, and then the new one whole. Two
programs that commit at once are told apart by the log: each entry has a number, and only one of them can take it. The
other looks at the table afresh and tries again.

`commit_together` does so for all tables of a night, and for `run_manifest` last: it names the version of each table
that belongs to the night, so that readers who go by it never see two nights mixed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction
from pyarrow import fs
from tenacity import RetryCallState, RetryError, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.lake import Lake, Version
from expectations.tables import RUN_MANIFEST, NightError, Table

logger = logging.getLogger(__name__)
T = TypeVar("T")

Partitions = Mapping[str, Sequence[str]]
"""ds -> the files that it consists of, as paths relative to the Delta table; no files: the partition goes."""
Versions = Mapping[tuple[Table, str], int]
"""Table and ds -> a version of the Delta table in which the partition is as it was committed."""

NUM_ATTEMPTS = 8
"""Attempts at a commit when other programs commit meanwhile; with pauses that grow they last seconds."""
FIRST_PAUSE_SECONDS = 0.05
"""Bounds the pause after the first attempt; the bound of each next one is twice as high."""
MAX_STATS_LENGTH = 4_000
"""Characters of a file's bounds in the log, which every reader reads; longer ones are left out."""
PROPERTIES = {"delta.enableExpiredLogCleanup": "false", "delta.checkpointInterval": "10"}
"""Of our Delta tables. Delta would drop log entries after 30 days, and no reader could open the version that a manifest
names; and between two checkpoints, by default a hundred commits apart, each entry costs who opens a table time."""
RUN_ID_KEY = "nightjar.run_id"
DS_KEY = "nightjar.ds"


@dataclass(frozen=True)
class Contents:
    """What is committed together.

    Attributes:
        tables: the partitions of each table; without any, nothing is committed.
        manifest: takes versions that hold them, and returns the manifest's own partitions, which it has written.
        noted: kept with each commit.
    """

    tables: Mapping[Table, Partitions]
    manifest: Callable[[Versions], Partitions]
    noted: Mapping[str, str]


def commit_together(lake: Lake, contents: Callable[[DeltaTable], Contents]) -> None:
    """Makes partitions of several tables the ones that readers see, and names them in `run_manifest` last.

    Who commits the manifest has looked at every table since the manifest of before: where two programs publish one ds
    at once, the one that commits its manifest last finds the other's partitions, and puts its own in their place.

    Args:
        contents: takes the manifest of before, and is asked anew where another program has replaced it meanwhile.

    Raises:
        NightError: other programs committed again and again, faster than this one.
    """

    def attempt() -> None:
        before = opened(lake, RUN_MANIFEST)
        wanted = contents(before)
        if not wanted.tables:
            return
        versions: dict[tuple[Table, str], int] = {}
        for table, partitions in wanted.tables.items():
            version = commit_partitions(lake, table, partitions, wanted.noted)
            versions |= {(table, ds): version for ds in partitions}
        _commit_to(before, lake, RUN_MANIFEST, wanted.manifest(versions), wanted.noted)

    _attempted(RUN_MANIFEST, attempt)


def commit_partitions(lake: Lake, table: Table, partitions: Partitions, noted: Mapping[str, str]) -> int:
    """Makes files the partitions that readers of the table's latest version see; the others stay as they are.

    Returns:
        A version that holds them: a new one, unless readers see these very files already.

    Raises:
        NightError: other programs committed to the table again and again, faster than this one.
    """
    return _attempted(table, lambda: _commit_to(opened(lake, table), lake, table, partitions, noted))


def _attempted(table: Table, commit: Callable[[], T]) -> T:
    attempts = Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        stop=stop_after_attempt(NUM_ATTEMPTS),
        wait=wait_random_exponential(multiplier=FIRST_PAUSE_SECONDS),
        before_sleep=partial(_log_rival, table),
    )
    try:
        return attempts(commit)
    except RetryError as err:
        raise NightError(
            f"{table.name}: {NUM_ATTEMPTS} commits met commits of other programs. What run_manifest names is as it was "
            f"before. Run it again when they are done."
        ) from err


def _log_rival(table: Table, state: RetryCallState) -> None:
    reason = state.outcome.exception() if state.outcome else None
    logger.info("commit met another: table=%s attempt=%d reason=%s", table.name, state.attempt_number, reason)


def _commit_to(
    delta_table: DeltaTable, lake: Lake, table: Table, partitions: Partitions, noted: Mapping[str, str]
) -> int:
    """Commits what differs from a table as it was opened; fails where another program has committed since."""
    current = paths_by_ds(delta_table)
    changed = {ds: files for ds, files in partitions.items() if set(files) != set(current.get(ds, ()))}
    if not changed:
        logger.info("already published: table=%s version=%d", table.name, delta_table.version())
        return delta_table.version()
    actions = [_add_action(lake.table_path(table), ds, file) for ds, files in changed.items() for file in files]
    version = delta_table.version() + 1
    _replace_partitions(delta_table, table, sorted(changed), actions, noted)
    days = min(changed) if len(changed) == 1 else f"{min(changed)}…{max(changed)} ({len(changed)} days)"
    logger.info("published: table=%s ds=%s version=%d", table.name, days, version)
    return version


def _replace_partitions(
    delta_table: DeltaTable,
    table: Table,
    days: Sequence[str],
    actions: Sequence[AddAction | RemoveAction],
    noted: Mapping[str, str],
) -> None:
    """Makes one attempt.

    No retries below us: delta-rs would lay a commit that adds a partition over another one that adds the same
    partition a moment before, and readers would find both.
    """
    delta_table.create_write_transaction(
        list(actions),
        mode="overwrite",
        schema=Schema.from_arrow(arrow_schema(table)),
        partition_by=["ds"],
        partition_filters=[("ds", "in", list(days))],
        commit_properties=CommitProperties(custom_metadata=dict(noted), max_commit_retries=0),
    )


def opened(lake: Lake, table: Table) -> DeltaTable:
    """Returns the Delta table as it is now; an empty one is made where there is none."""
    path = lake.table_path(table)
    if not DeltaTable.is_deltatable(path):
        return DeltaTable.create(
            path,
            arrow_schema(table),
            mode="ignore",
            partition_by=["ds"],
            name=table.name,
            description=table.comment,
            configuration=PROPERTIES,
        )
    delta_table = DeltaTable(path)
    missing = {name: value for name, value in PROPERTIES.items() if name not in delta_table.metadata().configuration}
    if missing:
        # Of a release that named no versions.
        delta_table.alter.set_table_properties(missing)
    return delta_table


def at_version(lake: Lake, table: Table, version: int | None) -> DeltaTable:
    """Opens a published table at a version, the latest where none is named."""
    return DeltaTable(lake.table_path(table), version=version)


def paths_by_ds(delta_table: DeltaTable) -> dict[str, list[str]]:
    """Maps each ds to the files of its partition in this version, relative to the table."""
    actions = pa.table(delta_table.get_add_actions(flatten=True))
    found: dict[str, list[str]] = {}
    for ds, path in zip(actions["partition.ds"].to_pylist(), actions["path"].to_pylist(), strict=True):
        found.setdefault(ds, []).append(path)
    return found


def files_of(lake: Lake, table: Table, version: Version) -> list[str]:
    """Returns the files of a staged version, relative to its Delta table."""
    filesystem, local = fs.FileSystem.from_uri(version.path)
    relative = version.path.removeprefix(f"{lake.table_path(table)}/")
    names = [info.base_name for info in filesystem.get_file_info(fs.FileSelector(local))]
    return [f"{relative}/{name}" for name in sorted(names) if name.endswith(".parquet")]


def _add_action(root: str, ds: str, file: str) -> AddAction:
    filesystem, local = fs.FileSystem.from_uri(f"{root}/{file}")
    info = filesystem.get_file_info(local)
    return AddAction(
        path=file,
        size=info.size,
        partition_values={"ds": ds},
        modification_time=int(info.mtime.timestamp() * 1000),
        data_change=True,
        stats=json.dumps(_stats(pq.read_metadata(local, filesystem=filesystem))),
    )


def _stats(metadata: pq.FileMetaData) -> dict[str, Any]:
    """Rows of a file and the bounds of its flat columns, from the file's own footer: readers skip what lies outside.

    All flat columns or none: readers through Arrow take a column without bounds, beside others that have them, for
    one that holds nothing, and leave the file out of every query that filters by it.
    """
    rows = {"numRecords": metadata.num_rows}
    columns = [metadata.schema.column(place) for place in range(metadata.num_columns)]
    flat = {place: column.name for place, column in enumerate(columns) if column.path == column.name}
    lowest, highest, num_nulls = {}, {}, {}
    for place, name in flat.items():
        groups = [metadata.row_group(group).column(place).statistics for group in range(metadata.num_row_groups)]
        if not groups or not all(group is not None and group.has_min_max and group.has_null_count for group in groups):
            return rows
        lowest[name] = _as_json(min(group.min for group in groups))
        highest[name] = _as_json(max(group.max for group in groups))
        num_nulls[name] = sum(group.null_count for group in groups)
    bounds = {"minValues": lowest, "maxValues": highest, "nullCount": num_nulls}
    # Texts as long as the manifest's would fill the log that every reader reads.
    return {**rows, **bounds} if len(json.dumps(bounds)) <= MAX_STATS_LENGTH else rows


def _as_json(bound: Any) -> Any:
    """Returns a bound as Delta's log writes it."""
    return bound.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(bound, datetime) else bound
