"""Puts one published table back to an earlier version, or lists its versions. Touches no model and no other table.

The rollback is itself a new version, so that it can be taken back as well.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from datetime import datetime, timezone

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from expectations.runtime.lake import Lake
from expectations.runtime.program import run_program
from expectations.tables import TABLES, NightError, Table
from jobs.publishing.delta_commit import DS_KEY, RUN_ID_KEY

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Rolls a table back, or lists its versions when none is named."""
    arguments = _parser().parse_args(argv)
    lake, table = Lake(arguments.root), TABLES[arguments.table]
    if arguments.to_version is None:
        print(versions_text(lake, table))
    else:
        version = rollback_table(lake, table, arguments.to_version, arguments.run_id)
        print(f"{table.name} is as it was in version {arguments.to_version}; this is version {version}.")


def rollback_table(lake: Lake, table: Table, to_version: int, run_id: str) -> int:
    """Restores all partitions of a table as they were. Returns the number of the version that this makes.

    Raises:
        NightError: there is no such version, its files are gone, or another program commits at this moment.
    """
    delta_table = _published(lake, table)
    current = delta_table.version()
    if not 0 <= to_version <= current:
        raise NightError(f"{table.name} has the versions 0 to {current}. Received: --to-version {to_version}")
    try:
        delta_table.restore(to_version, commit_properties=CommitProperties(custom_metadata={RUN_ID_KEY: run_id}))
    except CommitFailedError as err:
        raise NightError(f"{table.name}: another program committed at the same moment. Run it again. ({err})") from err
    except DeltaError as err:
        raise NightError(f"{table.name} cannot go back to version {to_version}: {err}") from err
    version = _published(lake, table).version()
    logger.info("rolled back: table=%s to_version=%d version=%d", table.name, to_version, version)
    return version


def versions_text(lake: Lake, table: Table) -> str:
    """Returns one line per version, latest first: when, which ds, whose run."""
    lines = [f"{'version':>7}  {'committed (UTC)':<19}  {'operation':<12}  {'ds':<10}  run_id"]
    for commit in _published(lake, table).history():
        at = datetime.fromtimestamp(commit["timestamp"] / 1000, tz=timezone.utc)
        lines.append(
            f"{commit['version']:>7}  {at:%Y-%m-%d %H:%M:%S}  {commit['operation'].lower():<12}  "
            f"{commit.get(DS_KEY, ''):<10}  {commit.get(RUN_ID_KEY, '')}"
        )
    return "\n".join(lines)


def _published(lake: Lake, table: Table) -> DeltaTable:
    path = lake.table_path(table)
    if not DeltaTable.is_deltatable(path):
        raise NightError(f"{table.name}: there is no published table at {path}. Is --root (NIGHTJAR_ROOT) right?")
    return DeltaTable(path)


def _parser() -> argparse.ArgumentParser:
    """No shop and no ds: a rollback must work when these are what is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    env = os.environ
    published = [name for name, table in TABLES.items() if table.home == "published"]
    parser.add_argument("--table", required=True, choices=published)
    parser.add_argument("--to-version", type=int, help="without it, the versions are listed")
    parser.add_argument("--root", default=env.get("NIGHTJAR_ROOT", "./data"), help="NIGHTJAR_ROOT")
    parser.add_argument("--run-id", default=env.get("RUN_ID", "manual"), help="noted with the new version (RUN_ID)")
    return parser


if __name__ == "__main__":
    run_program(main)
