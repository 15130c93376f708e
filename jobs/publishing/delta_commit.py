"""Commits files that already lie in a Delta table's folder, as one transaction that replaces exactly one partition.

Readers see the partition of before until the commit's one log entry is there, and then the new one whole. Two
programs that commit at once are told apart by the log: each entry has a number, and only one of them can take it. The
other looks at the table afresh and tries again.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction
from pyarrow import fs
from tenacity import RetryCallState, RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.lake import Lake, Version
from expectations.tables import NightError, Table

logger = logging.getLogger(__name__)

NUM_ATTEMPTS = 8
"""Attempts at a commit when other programs commit meanwhile; with doubling pauses they last seconds."""
FIRST_PAUSE_SECONDS = 0.05
"""The pause after the first attempt; each next one is twice as long."""
MAX_STATS_LENGTH = 4_000
"""Characters of a file's bounds in the log, which every reader reads; longer ones are left out."""
FINGERPRINT_KEY = "nightjar.fingerprint"
RUN_ID_KEY = "nightjar.run_id"
DS_KEY = "nightjar.ds"


def commit_partition(lake: Lake, table: Table, ds: str, version: Version, run_id: str) -> bool:
    """Makes `version` the partition `ds` that readers see.

    Returns:
        Whether there was anything to commit: not when readers see this very version already.

    Raises:
        NightError: other programs committed to the table again and again, faster than this one.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        stop=stop_after_attempt(NUM_ATTEMPTS),
        wait=wait_exponential(multiplier=FIRST_PAUSE_SECONDS),
        before_sleep=partial(_log_rival, table, ds),
    )
    try:
        return attempts(_commit_once, lake, table, ds, version, run_id)
    except RetryError as err:
        raise NightError(
            f"{table.name} ds={ds}: {NUM_ATTEMPTS} commits met commits of other programs. Nothing was published; "
            f"the partition of before is still the current one. Run jobs.publish_tables again when they are done."
        ) from err


def _commit_once(lake: Lake, table: Table, ds: str, version: Version, run_id: str) -> bool:
    path = lake.table_path(table)
    delta_table = _opened(path, table)
    actions = _add_actions(lake, table, ds, version)
    if {action.path for action in actions} == set(_current_paths(delta_table, path, ds)):
        logger.info("already published: table=%s ds=%s version=%d", table.name, ds, delta_table.version())
        return False
    _replace_partition(delta_table, table, ds, actions, version, run_id)
    logger.info("published: table=%s ds=%s rows=%d version=%d", table.name, ds, version.rows, _version(path))
    return True


def _log_rival(table: Table, ds: str, state: RetryCallState) -> None:
    reason = state.outcome.exception() if state.outcome else None
    logger.info("commit met another: table=%s ds=%s attempt=%d reason=%s", table.name, ds, state.attempt_number, reason)


def _replace_partition(
    delta_table: DeltaTable,
    table: Table,
    ds: str,
    actions: list[AddAction | RemoveAction],
    version: Version,
    run_id: str,
) -> None:
    """Makes one attempt.

    No retries below us: delta-rs would lay a commit that adds a partition over another one that adds the same
    partition a moment before, and readers would find both.
    """
    noted = {DS_KEY: ds, RUN_ID_KEY: run_id, FINGERPRINT_KEY: version.fingerprint}
    delta_table.create_write_transaction(
        actions,
        mode="overwrite",
        schema=Schema.from_arrow(arrow_schema(table)),
        partition_by=["ds"],
        partition_filters=[("ds", "=", ds)],
        commit_properties=CommitProperties(custom_metadata=noted, max_commit_retries=0),
    )


def _opened(path: str, table: Table) -> DeltaTable:
    """Returns the Delta table; an empty one is made where there is none."""
    if not DeltaTable.is_deltatable(path):
        return DeltaTable.create(
            path, arrow_schema(table), mode="ignore", partition_by=["ds"], name=table.name, description=table.comment
        )
    return DeltaTable(path)


def _version(path: str) -> int:
    return DeltaTable(path).version()


def _current_paths(delta_table: DeltaTable, path: str, ds: str) -> list[str]:
    """Returns files of the partition that readers see, relative to the table."""
    actions = pa.table(delta_table.get_add_actions(flatten=True))
    partitions, paths = actions["partition.ds"].to_pylist(), actions["path"].to_pylist()
    return [file for partition, file in zip(partitions, paths, strict=True) if partition == ds]


def _add_actions(lake: Lake, table: Table, ds: str, version: Version) -> list[AddAction | RemoveAction]:
    root = lake.table_path(table)
    filesystem, local = fs.FileSystem.from_uri(version.path)
    relative = version.path.removeprefix(f"{root}/")
    files = sorted(
        (info for info in filesystem.get_file_info(fs.FileSelector(local)) if info.base_name.endswith(".parquet")),
        key=lambda info: info.base_name,
    )
    return [
        AddAction(
            path=f"{relative}/{info.base_name}",
            size=info.size,
            partition_values={"ds": ds},
            modification_time=int(info.mtime.timestamp() * 1000),
            data_change=True,
            stats=json.dumps(_stats(pq.read_metadata(info.path, filesystem=filesystem))),
        )
        for info in files
    ]


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
