"""How long does `python -m jobs.ingest` take for one day of flat CSV, beside an earlier commit on the same machine?

The file has six columns without quotes; rows are made from a seed. Both checkouts run the same command,
on the same file, each in an empty root, in turn and `--times` times; the ratio is of the medians.

    git worktree add /tmp/before COMMIT && python -m tests.benchmarks.own_shops.ingest --before /tmp/before
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from expectations.runtime.code_version import REPOSITORY
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.variants import OURS

NAME, PART = "own_shops", "ingest"
DS = "2024-03-09"
ROWS_A_BATCH = 1_000_000
SHOP = """
name = "flat"
[drops]
settle_seconds = 0
[events]
path = "{ds}.csv"
duplicate_key = ["event_time", "user_id", "item_id", "event_type"]
[events.columns]
event_time = "time"
user_id = "customer"
item_id = "article"
event_type = "action"
quantity = "units"
price = "price"
"""


def write_log(path: Path, rows: int, seed: int) -> None:
    """Writes a day of events: a twentieth as many users as rows, and 50,000 items."""
    rng = np.random.default_rng(seed)
    with csv.CSVWriter(path, _batch(rng, 1).schema, write_options=csv.WriteOptions(quoting_style="none")) as writer:
        for start in range(0, rows, ROWS_A_BATCH):
            writer.write_batch(_batch(rng, min(ROWS_A_BATCH, rows - start), rows // 20 + 1))


def _batch(rng: np.random.Generator, rows: int, users: int = 1) -> pa.RecordBatch:
    seconds = pa.array(np.datetime64(DS, "s") + rng.integers(0, 86_400, rows))
    columns = {
        "time": pc.strftime(seconds, "%Y-%m-%d %H:%M:%S"),
        "customer": pa.array([f"c{number}" for number in rng.integers(0, users, rows)]),
        "article": pa.array([f"a{number}" for number in rng.integers(0, 50_000, rows)]),
        "action": pa.array(rng.choice(np.array(["view", "click", "cart", "purchase"]), rows)),
        "units": pa.array(rng.integers(1, 4, rows)),
        "price": pa.array(rng.integers(100, 10_000, rows) / 100),
    }
    return pa.RecordBatch.from_pydict(columns)


def seconds_of(checkout: Path, shop: Path, root: Path) -> float:
    """Runs the program of a checkout, with this interpreter. Returns how long it took."""
    shutil.rmtree(root, ignore_errors=True)
    environment = {**os.environ, "NIGHTJAR_ROOT": str(root), "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-m", "jobs.ingest", "--shop", str(shop), "--ds", DS]
    started = time.monotonic()
    subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True)
    return round(time.monotonic() - started, 1)


def measured(before: Path, rows: int, times: int, seed: int) -> dict[str, Any]:
    """Returns the row of the result."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop = folder / "shop.toml"
        shop.write_text(SHOP)
        write_log(folder / f"{DS}.csv", rows, seed)
        runs = [
            (seconds_of(before, shop, folder / "root"), seconds_of(REPOSITORY, shop, folder / "root"))
            for _ in range(times)
        ]
    then, now = (median(seconds) for seconds in zip(*runs, strict=True))
    return {
        "model": f"{PART} {rows / 1_000_000:g} M",
        "ours": True,
        "source": OURS,
        "rows": rows,
        "times": times,
        "seconds_before": then,
        "seconds": now,
        "ratio_to_before": round(now / then, 2),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints, and replaces its row of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the commit to compare with")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    row = measured(arguments.before.resolve(), arguments.rows, arguments.times, arguments.seed)
    print(record_part(NAME, str(row["model"]), [row]).text())


if __name__ == "__main__":
    main()
