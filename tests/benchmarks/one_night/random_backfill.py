"""Does the order of nights show? Seven days of Online Retail in random order, with a correction and an edit on the way.

The seven nights run in an order drawn by SEED. While the third one trains, the drop of the second day is corrected (a
third of its rows go); while the fifth one trains, the shop file is edited (lists of 8 in place of 10). Then the lines
that `make stale` prints are run, until none is stale. The seven nights run once more in a fresh root, in their order,
on the drops and the file as they are in the end. Counted are the rows of all published tables, of all seven days, that
one root has and the other has not, or has otherwise.

A night here is smaller than the shop's own, so that the whole takes about an hour on two cores: the log begins
NUM_EARLIER_DROPS drops before the seven days, and has one customer in ONE_IN; the models are two baselines and a
two-tower model of two epochs. These three are about equally good, so that the champion has a say in what is published.

    python -m tests.benchmarks.one_night.random_backfill

With a `--folder`, a run that was stopped goes on there: the nights that are done are not run again.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expectations.runtime.code_version import REPOSITORY
from expectations.shop.shop import SHIPPED_SHOPS
from expectations.tables import OUTPUT_TABLES, RUN_MANIFEST, NightError
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.past_night import SHOP
from tests.benchmarks.harness.same_rows import differences, num_differing, published_rows
from tests.benchmarks.harness.variants import OURS

NAME, PART = "one_night", "random_backfill"
NUM_DAYS, NUM_EARLIER_DROPS, ONE_IN = 7, 60, 4
SEED = 2
MODELS = ("all_time_popularity", "recent_demand", "two_tower")
TOP_K, EDITED_TOP_K = 10, 8
MOST_PASSES = 5
"""Over what `make stale` lists; it should be empty after the first."""
DONE = "nights.json"


@dataclass
class World:
    """The drops, the shop file and the roots of one run of this benchmark, all in one folder.

    Attributes:
        nights: root, day and seconds of those that are done, also before this run was stopped.
    """

    folder: Path
    days: list[str]
    nights: list[tuple[str, str, float]] = field(default_factory=list)

    @classmethod
    def copied(cls, data: Path, folder: Path, num_days: int, num_earlier: int) -> World:
        """Takes some customers' rows of the last drops of the log, and writes the shop file."""
        (folder / "data" / SHOP).mkdir(parents=True)
        drops: list[Path] = []
        for drop in sorted((data / SHOP).glob("*.csv.gz"), reverse=True):
            copy = Path(shutil.copy2(drop, folder / "data" / SHOP))
            if _keep_rows(copy, lambda _, row: not int(float(row["CustomerID"] or 1)) % ONE_IN):
                drops.insert(0, copy)
            else:
                copy.unlink()
            if len(drops) == num_days + num_earlier:
                break
        world = cls(folder, [drop.name.removesuffix(".csv.gz") for drop in drops[-num_days:]])
        world.write_shop(TOP_K)
        return world

    @classmethod
    def resumed(cls, folder: Path, num_days: int) -> World:
        """Takes up the run that was stopped in a folder."""
        drops = sorted((folder / "data" / SHOP).glob("*.csv.gz"))
        nights = [(root, ds, seconds) for root, ds, seconds in json.loads((folder / DONE).read_text("utf-8"))]
        return cls(folder, [drop.name.removesuffix(".csv.gz") for drop in drops[-num_days:]], nights)

    @property
    def shop(self) -> Path:
        """The file that a shopkeeper edits."""
        return self.folder / f"{SHOP}.toml"

    def write_shop(self, top_k: int) -> None:
        """Writes the shipped shop's file with few models, and lists of `top_k`."""
        text = (SHIPPED_SHOPS / f"{SHOP}.toml").read_text("utf-8")
        models = ", ".join(f'"{model}"' for model in MODELS)
        text = re.sub(r"^models = \[.*?\]$", f"models = [{models}]", text, count=1, flags=re.DOTALL | re.MULTILINE)
        # The benchmark itself writes the drops, and whole ones.
        text = re.sub(r"^\[drops\]$", "[drops]\nsettle_seconds = 0", text, count=1, flags=re.MULTILINE)
        text = re.sub(r"^top_k = .*$", f"top_k = {top_k}", text, count=1, flags=re.MULTILINE)
        self.shop.write_text(f"{text}\n[settings.two_tower]\nepochs = 2\n", encoding="utf-8")

    def correct(self, ds: str) -> None:
        """Takes every third row out of a drop."""
        _keep_rows(self.folder / "data" / SHOP / f"{ds}.csv.gz", lambda place, _: bool(place % 3))

    def run_night(self, root: str, ds: str, meanwhile: Callable[[], None] | None = None) -> None:
        """Runs one night as `make nightly` does.

        Args:
            meanwhile: what happens once the night has fixed what it reads.

        Raises:
            NightError: it failed; its log is in the folder.
        """
        started = time.monotonic()
        pins = {*self._pins(root, ds)}
        with (self.folder / f"night-{len(self.nights) + 1:02}.log").open("w") as log:
            command = [sys.executable, "docker/local/run_night.py", "--ds", ds]
            night = subprocess.Popen(command, cwd=REPOSITORY, env=self._environment(root), stdout=log, stderr=log)
            if meanwhile is not None:
                while night.poll() is None and pins == {*self._pins(root, ds)}:
                    time.sleep(0.2)
                meanwhile()
            if night.wait():
                raise NightError(f"The night of {ds} in {root} failed: see {log.name}")
        self.nights.append((root, ds, time.monotonic() - started))
        (self.folder / DONE).write_text(json.dumps(self.nights), encoding="utf-8")
        print(f"{time.strftime('%H:%M:%S')} {root} {ds} {self.nights[-1][2]:.0f} s", flush=True)

    def done(self, root: str) -> list[str]:
        """Returns the days whose nights are done in a root, in the order of the nights."""
        return [ds for at, ds, _ in self.nights if at == root]

    def stale_days(self, root: str) -> list[str]:
        """Returns the days of the lines that `make stale` prints, in their order."""
        command = [sys.executable, "-m", "jobs.list_stale"]
        told = subprocess.run(
            command, cwd=REPOSITORY, env=self._environment(root), check=True, capture_output=True, text=True
        ).stdout
        print(told, flush=True)
        lines = re.findall(r"make backfill FROM=(\S+) TO=(\S+)", told)
        return [ds for first, last in lines for ds in self.days if first <= ds <= last]

    def _pins(self, root: str, ds: str) -> list[Path]:
        return list((self.folder / root / "runs" / f"ds={ds}").glob("*/pin.json"))

    def _environment(self, root: str) -> dict[str, str]:
        return {
            **os.environ,
            "NIGHTJAR_ROOT": str(self.folder / root),
            "NIGHTJAR_DATA": str(self.folder / "data"),
            "SHOP": str(self.shop),
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }


def _keep_rows(drop: Path, is_kept: Callable[[int, dict[str, str]], bool]) -> int:
    """Leaves the rows of a drop that are asked for, by their place and what they say. Returns how many."""
    with gzip.open(drop, "rt", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for place, row in enumerate(reader) if is_kept(place, row)]
    with gzip.open(drop, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, reader.fieldnames or ())
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def backfill(world: World, root: str, seed: int) -> int:
    """Runs the days in random order, with the correction and the edit, and then what is stale.

    Returns:
        How many nights were run again.

    Raises:
        NightError: days are stale again and again.
    """
    order = random.Random(seed).sample(world.days, len(world.days))
    meanwhile: dict[str, Callable[[], None]] = {
        order[len(order) * 2 // 6]: lambda: world.correct(world.days[1]),
        order[len(order) * 4 // 6]: lambda: world.write_shop(EDITED_TOP_K),
    }
    print(f"order: {' '.join(order)}", flush=True)
    for ds in order[len(world.done(root)) :]:
        world.run_night(root, ds, meanwhile.get(ds))
    for _ in range(MOST_PASSES):
        stale = world.stale_days(root)
        if not stale:
            return len(world.done(root)) - len(order)
        for ds in stale:
            world.run_night(root, ds)
    raise NightError(f"Days are still stale after {MOST_PASSES} passes: see {world.folder / root}")


def differing_rows(world: World, roots: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Maps each published table to how many rows were compared, and how many of them differ."""
    found = {}
    for table in (*OUTPUT_TABLES, RUN_MANIFEST.name):
        num_rows, differing = 0, 0
        for ds in world.days:
            one, other = (published_rows(str(world.folder / root), table, ds) for root in roots)
            num_rows += max(len(one), len(other))
            num = num_differing(table, one, other)
            differing += num
            if num:
                told = "; ".join(differences(one, other))
                print(f"{table} ds={ds}: {num} of {len(one)} and {len(other)} rows differ: {told}", flush=True)
        if num_rows:
            found[table] = (num_rows, differing)
    return found


def measured(world: World, seed: int) -> dict[str, Any]:
    """Runs all nights. Returns the row of the result."""
    num_stale = backfill(world, "backfilled", seed)
    for ds in world.days[len(world.done("alone")) :]:
        world.run_night("alone", ds)
    found = differing_rows(world, ("backfilled", "alone"))
    return {
        "model": PART,
        "ours": True,
        "source": OURS,
        "nights": len(world.nights),
        "stale_runs": num_stale,
        "tables": len(found),
        "rows": sum(rows for rows, _ in found.values()),
        "differing_rows": sum(differing for _, differing in found.values()),
        "minutes": round(sum(seconds for _, _, seconds in world.nights) / 60, 1),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints, and replaces its row of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="(NIGHTJAR_DATA)")
    parser.add_argument("--folder", type=Path, help="a place to keep; else a temporary one, which is removed")
    parser.add_argument("--days", type=int, default=NUM_DAYS, help="how many; other than the default: writes nothing")
    arguments = parser.parse_args(argv)
    data = Path(arguments.data)
    if not (data / SHOP).is_dir():
        print(f"skipped: no {SHOP} under {data}; set NIGHTJAR_DATA to where the raw data lies")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        if (folder / DONE).is_file():
            world = World.resumed(folder, arguments.days)
        else:
            world = World.copied(data, folder, arguments.days, NUM_EARLIER_DROPS)
        row = measured(world, SEED)
    print(record_part(NAME, PART, [row]).text() if arguments.days == NUM_DAYS else row)


if __name__ == "__main__":
    main()
