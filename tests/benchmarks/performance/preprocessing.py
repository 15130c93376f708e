"""How does preprocessing grow, what does one more day cost, and what does Spark cost on a single machine?

Makes shops of 1, 10 and 50 million events over 301 days. For each: ingests 300 days, builds all features of day 300
from the whole log, then takes in day 301 and builds its features by increment. Measures every program from outside.
Where `--compare` asks for it, builds day 301 from the whole log as well, and checks that the rows are the same; and
builds interactions and histories with Polars from the same files.

    python -m tests.benchmarks.performance.preprocessing --millions 1 10 50 --compare 1 10
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.days import days_before
from expectations.runtime.lake import Lake
from expectations.runtime.spark_session import spark_session
from expectations.tables import EVENTS, FEATURE_TABLES, HISTORIES, INTERACTIONS, TABLES, VOCABULARIES
from tests.benchmarks.harness.generated_shop import EVENTS_PER_USER, LAST_DS, NUM_ITEMS, GeneratedShop, write_shop
from tests.benchmarks.harness.measured_program import Measured, measured
from tests.benchmarks.harness.report import RESULTS, Benchmark, hardware

NAME = "preprocessing"
DAY_300, DAY_301 = days_before(LAST_DS, 1), LAST_DS
MAX_HISTORY = 200
OURS = "this repository"

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures each size and tells the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 10, 50], help="of events")
    parser.add_argument("--compare", type=float, nargs="*", default=[1, 10], help="sizes to rebuild and run Polars on")
    parser.add_argument("--driver-memory", default="3g", help="of the JVM, which is driver and executor in one here")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    os.environ["SPARK_DRIVER_MEMORY"] = arguments.driver_memory
    for millions in arguments.millions:
        with tempfile.TemporaryDirectory(prefix="nightjar-") as folder:
            rows = measured_size(Path(folder), millions, millions in arguments.compare)
        # After every size: what takes an hour to measure is not lost with the size that fails.
        benchmark = _benchmark([*_rows_of_other_sizes(millions), *rows], arguments.driver_memory)
        print(f"written: {benchmark.write()}", flush=True)
    print(benchmark.text())


def _rows_of_other_sizes(millions: float) -> list[dict[str, Any]]:
    """What stands in the file of sizes that were measured before, on this machine."""
    path = RESULTS / f"{NAME}.json"
    recorded: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    same_machine = recorded.get("hardware") == hardware()
    return [row for row in recorded.get("rows", ()) if same_machine and not row["model"].startswith(_label(millions))]


def _label(millions: float) -> str:
    return f"{millions:g} M events: "


def _benchmark(rows: list[dict[str, Any]], driver_memory: str) -> Benchmark:
    return Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data=f"generated: {NUM_ITEMS:,} items, a user for every {EVENTS_PER_USER} events, 301 days",
        protocol=(
            "local Spark, driver and executor in one JVM of "
            f"{driver_memory} heap; memory is the largest resident size seen from outside; rows/s: events of "
            "the log over seconds; a table's own line has the seconds of its jobs, without the start of the program"
        ),
        rows=sorted(rows, key=lambda row: float(row["model"].split()[0])),
    )


def measured_size(folder: Path, millions: float, compare: bool) -> list[dict[str, Any]]:
    """All runs of one size."""
    num_events, root = int(millions * 1_000_000), folder / "root"
    spark = spark_session("generate", "local[*]", os.environ["SPARK_DRIVER_MEMORY"])
    shop = write_shop(spark, root, GeneratedShop(num_events))
    spark.stop()
    logger.info("made: events=%d", num_events)
    label = _label(millions)
    rows = [_row(f"{label}ingest 300 days", _run("jobs.ingest", root, shop, DAY_300), num_events)]
    built = _run("jobs.preprocess", root, shop, DAY_300)
    rows += [_row(f"{label}preprocess from the whole log", built, num_events), *_table_rows(label, built, num_events)]
    rows.append(_row(f"{label}ingest day 301", _run("jobs.ingest", root, shop, DAY_301), num_events))
    rows.append(
        _row(f"{label}preprocess day 301 by increment", _run("jobs.preprocess", root, shop, DAY_301), num_events)
    )
    if compare:
        alone = _log_alone(root, folder / "alone")
        again = _run("jobs.preprocess", alone, shop, DAY_301)
        rows.append(_row(f"{label}preprocess day 301 from the whole log", again, num_events))
        _require_equal_rows(Lake(str(root)), Lake(str(alone)))
        rows.append(_polars_row(label, folder, Lake(str(alone)), again, num_events))
    return rows


def _run(module: str, root: Path, shop: Path, ds: str) -> Measured:
    run = measured(module, ["--root", str(root), "--shop", str(shop), "--ds", ds, "--data", str(root)])
    logger.info("ran: program=%s ds=%s seconds=%.1f", module, ds, run.seconds)
    return run


def _row(model: str, run: Measured, num_events: int) -> dict[str, Any]:
    traffic = run.total
    return {
        "model": model,
        "ours": True,
        "source": OURS,
        "seconds": round(run.seconds, 1),
        "rows/s": round(num_events / run.seconds),
        "JVM GiB": round(run.jvm_gib, 1),
        "Python GiB": round(run.python_gib, 1),
        "read MB": round(traffic.read / 1e6, 1),
        "written MB": round(traffic.written / 1e6, 1),
        "shuffled MB": round(traffic.shuffled / 1e6, 1),
    }


def _table_rows(label: str, run: Measured, num_events: int) -> list[dict[str, Any]]:
    seconds: dict[str, float] = {}
    for (table, _), took in run.built.items():
        seconds[table] = seconds.get(table, 0.0) + took
    rows = []
    for table, took in seconds.items():
        traffic = run.traffic[table]
        rows.append(
            {
                "model": f"{label}{table}",
                "ours": True,
                "detail": True,
                "source": OURS,
                "seconds": round(took, 1),
                "rows/s": round(num_events / max(took, 0.1)),
                "read MB": round(traffic.read / 1e6, 1),
                "written MB": round(traffic.written / 1e6, 1),
                "shuffled MB": round(traffic.shuffled / 1e6, 1),
            }
        )
    return rows


def _log_alone(root: Path, alone: Path) -> Path:
    """The same log in a root without anything that was built from it."""
    (alone / "lake").mkdir(parents=True)
    for table in ("events", "item_updates", "user_updates"):
        (alone / "lake" / table).symlink_to(root / "lake" / table)
    return alone


def _require_equal_rows(left: Lake, right: Lake) -> None:
    """Raises AssertionError unless both roots hold the same features of day 301, row by row."""
    for name in FEATURE_TABLES:
        table = TABLES[name]
        ours, theirs = (
            pl.scan_parquet(f"{lake.require(table, DAY_301).path}/*.parquet").sort(table.key).collect()
            for lake in (left, right)
        )
        assert ours.equals(theirs), f"{name} differs between increment and rebuild"
        logger.info("equal rows: table=%s rows=%d", name, ours.height)


def _polars_row(label: str, folder: Path, lake: Lake, spark_run: Measured, num_events: int) -> dict[str, Any]:
    """Polars on the same files; its rows must be ours."""
    logs = folder / "polars"
    logs.mkdir()
    links = logs / "events"
    links.mkdir()
    for n, version in enumerate(lake.versions(EVENTS, DAY_301).values()):
        for part in Path(version.path).glob("*.parquet"):
            (links / f"{n:04d}-{part.name}").symlink_to(part.resolve())
    vocabularies = f"{lake.require(VOCABULARIES, DAY_301).path}/*.parquet"
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.performance.polars_features",
        f"{links}/*.parquet",
        vocabularies,
        str(logs),
        str(MAX_HISTORY),
    ]
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=REPOSITORY)
    seconds = time.monotonic() - started
    for table in (INTERACTIONS, HISTORIES):
        theirs = pl.read_parquet(logs / f"{table.name}.parquet").sort(table.key[1:])
        ours = pl.read_parquet(f"{lake.require(table, DAY_301).path}/*.parquet").sort(table.key[1:])
        for column in theirs.columns:
            same = (ours[column].cast(theirs[column].dtype) == theirs[column]).all()
            assert same, f"{table.name}.{column}: Polars has other rows"
    shutil.rmtree(links)
    same_tables = ("pair_totals", "recent_events", "interactions", "histories")
    ours_took = sum(took for (table, _), took in spark_run.built.items() if table in same_tables)
    logger.info("polars: seconds=%.1f spark=%.1f", seconds, ours_took)
    return {
        "model": f"{label}interactions and histories by Polars (Spark here: {ours_took:.1f} s)",
        "ours": False,
        "source": f"Polars {pl.__version__}, same files, same rows",
        "seconds": round(seconds, 1),
        "rows/s": round(num_events / seconds),
    }


if __name__ == "__main__":
    main()
