"""How long does a rollback take? `python -m jobs.rollback` on the tables of a published night of the demo shop.

The tables are copied, and their files published again as NUM_DAYS days, each of them twice, so that there is something
to go back to. Timed is the whole program, with the start of Python: one day to the night before, and then all days to
where none had been published a second time.

    make nightly && python -m tests.benchmarks.one_night.rollback --root data
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.lake import Lake
from expectations.runtime.published_tables import manifest_rows
from expectations.tables import RUN_MANIFEST, TABLES, Table
from jobs.publishing.delta_commit import (
    DS_KEY,
    RUN_ID_KEY,
    Contents,
    Partitions,
    Versions,
    at_version,
    commit_together,
    paths_by_ds,
)
from jobs.publishing.manifest import write_manifest
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.variants import OURS

NAME, PART = "one_night", "rollback"
NUM_DAYS = 30


def publish_copies(lake: Lake, rows: Sequence[dict[str, Any]], ds: str, attempt: str) -> int:
    """Publishes copies of the files of a night as those of another day. Returns the version of the manifest."""
    tables: dict[Table, dict[str, list[str]]] = {}
    for row in rows:
        table = TABLES[row["table_name"]]
        files = paths_by_ds(at_version(lake, table, row["table_version"]))[row["ds"]]
        tables[table] = {ds: [_copied(lake, table, file, ds, attempt) for file in files]}

    def contents(_: DeltaTable) -> Contents:
        def manifest(versions: Versions) -> Partitions:
            named = [{**row, "ds": ds, "table_version": versions[TABLES[row["table_name"]], ds]} for row in rows]
            folder = write_manifest(lake, ds, named, attempt)
            return {ds: [f"{folder.removeprefix(lake.table_path(RUN_MANIFEST))[1:]}/part-00000.parquet"]}

        return Contents(tables, manifest, {DS_KEY: ds, RUN_ID_KEY: attempt})

    commit_together(lake, contents)
    return DeltaTable(lake.table_path(RUN_MANIFEST)).version()


def _copied(lake: Lake, table: Table, file: str, ds: str, attempt: str) -> str:
    copy = f"ds={ds}/{attempt}/{Path(file).name}"
    place = Path(lake.table_path(table), copy)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(lake.table_path(table), file), place)
    return copy


def seconds_of(root: str, *arguments: str) -> float:
    """Rolls back. Returns how long the program took."""
    started = time.monotonic()
    command = [sys.executable, "-m", "jobs.rollback", "--root", root, *arguments, "--apply"]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return round(time.monotonic() - started, 2)


def measured(source: Path, folder: Path) -> dict[str, Any]:
    """Copies the tables of a root, publishes and rolls back. Returns the row of the result."""
    shutil.copytree(source / "tables", folder / "tables")
    lake = Lake(str(folder))
    last = max(row["ds"] for row in manifest_rows(lake, columns=("ds",)))
    rows = manifest_rows(lake, [last])
    days = [str(date.fromisoformat(last) - timedelta(days=back)) for back in range(1, NUM_DAYS + 1)]
    (all_once, _) = [[publish_copies(lake, rows, ds, attempt) for ds in days][-1] for attempt in ("first", "second")]
    one_day = seconds_of(lake.root, "--ds", days[0], "--to", "night-before")
    all_days = seconds_of(lake.root, "--all-days", "--to", str(all_once))
    return {
        "model": PART,
        "ours": True,
        "source": OURS,
        "tables": len(rows),
        "days": NUM_DAYS,
        "rows_per_day": sum(row["rows"] for row in rows),
        "one_day_seconds": one_day,
        "all_days_seconds": all_days,
        "seconds": max(one_day, all_days),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints, and replaces its row of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data"), help="of a published night; it stays as it is")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        row = measured(arguments.root, Path(folder))
    print(record_part(NAME, PART, [row]).text())


if __name__ == "__main__":
    main()
