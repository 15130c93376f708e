"""How long does a backfill of several days take, beside the same days by an earlier commit?

Each side is a checkout of its own with an environment of its own and an empty root: `make up`, `make backfill`, and the
end of the last night; ingestion of all drops before is in it. Afterwards the last day is built by `make nightly` alone
in another empty root, and must have the same rows. The days end with the last one of the shop's log.

The earlier commit may take hours, so that a side which was measured is kept in `--folder` and not measured again; both
sides should run with nothing beside them.

    python -m tests.benchmarks.backfill.range_of_days --days 7 --folder ~/range_of_days
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.days import days_before
from expectations.shop.shop import SHIPPED_SHOPS
from expectations.tables import OUTPUT_TABLES, NightError
from tests.benchmarks.backfill.scheduled_night import runs_of_nights
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.same_rows import num_differing, published_rows
from tests.benchmarks.harness.variants import OURS, data_folder
from tests.worlds.free_port import free_port

NAME, SHOP, LAST = "backfill", "online_retail", "2011-11-09"
BEFORE = "f6b84ed"
"""The last commit before scheduled nights shared anything."""
NOW = "now"
ALONE = "alone"
SECONDS_BETWEEN_LOOKS = 5
_LONGEST_SECONDS = 6 * 3600
_GIB = 2**30

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures what was not measured yet, prints, and replaces its row of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--folder", type=Path, required=True, help="keeps roots, environments and what was measured")
    parser.add_argument("--before", default=BEFORE, help="the earlier commit; empty: none")
    parser.add_argument("--shop-lines", nargs="*", default=[], help="such as 'refit = \"weekly\"', for our side alone")
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="raw data")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    if data_folder(arguments, SHOP) is None:
        return
    folder = arguments.folder.expanduser().resolve()
    name = f"{arguments.days} days" + "".join(f", {line}" for line in arguments.shop_lines)
    sides = {NOW: side(folder, NOW, "HEAD", arguments.days, arguments.data, arguments.shop_lines)}
    if arguments.before:
        sides[arguments.before] = side(folder, arguments.before, arguments.before, arguments.days, arguments.data, [])
    print(record_part(NAME, name, [row(folder, name, sides, arguments.before)]).text())


def side(folder: Path, name: str, commit: str, num_days: int, data: str, shop_lines: Sequence[str]) -> dict[str, Any]:
    """What was measured of one side: seconds, memory and states; from `folder` where it was measured before."""
    place = folder / f"{name}-{num_days}-days{'-'.join(['', *shop_lines]).replace(' ', '')}"
    kept = place / "measured.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text("utf-8")))
    place.mkdir(parents=True)
    checkout = folder / f"checkout-{name}"
    if not checkout.is_dir():
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(checkout)], check=True)
        subprocess.run(["git", "checkout", "--quiet", commit], cwd=checkout, check=True)
    variables = {
        "SHOP": shop_file(place, shop_lines),
        "NIGHTJAR_DATA": str(Path(data).resolve()),
        "NIGHTJAR_ROOT": str(place / "root"),
        "AIRFLOW_HOME": str(place / "airflow"),
        **{port: str(free_port()) for port in ("AIRFLOW_PORT", "MLFLOW_PORT")},
    }
    make(checkout, ".venv/installed", variables)
    found = backfilled(checkout, variables, num_days)
    if name == NOW:
        alone = {"NIGHTJAR_ROOT": str(place / ALONE), "AIRFLOW_HOME": str(place / "airflow-alone"), "DS": LAST}
        make(checkout, "nightly", variables | alone)
    kept.write_text(json.dumps({**found, "place": str(place)}), "utf-8")
    return dict(json.loads(kept.read_text("utf-8")))


def shop_file(place: Path, lines: Sequence[str]) -> str:
    """The name of the shop that ships, or a copy of it with these lines besides."""
    if not lines:
        return SHOP
    path = place / f"{SHOP}.toml"
    path.write_text("\n".join([*lines, (SHIPPED_SHOPS / f"{SHOP}.toml").read_text("utf-8")]), "utf-8")
    return str(path)


def backfilled(checkout: Path, variables: Mapping[str, str], num_days: int) -> dict[str, Any]:
    """Runs `make backfill` to the end of its last night."""
    make(checkout, "up", variables)
    try:
        with WatchedMemory(variables["AIRFLOW_HOME"]) as memory:
            started = time.monotonic()
            asked = {"FROM": days_before(LAST, num_days - 1), "TO": LAST}
            make(checkout, "backfill", {**variables, **asked})
            while open_nights(variables) or len(nights(variables)) < num_days:
                if time.monotonic() - started > _LONGEST_SECONDS:
                    raise NightError(f"The backfill did not end within {_LONGEST_SECONDS} s")
                time.sleep(SECONDS_BETWEEN_LOOKS)
            seconds = time.monotonic() - started
        states = {run["partition_key"]: run["state"] for run in nights(variables)}
    finally:
        make(checkout, "down", variables)
    return {"seconds": round(seconds, 1), "memory_gib": round(memory.most_gib, 1), "states": states}


def nights(variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """The runs of the backfill."""
    return [run for run in runs_of_nights(variables) if run["run_type"] == "backfill"]


def open_nights(variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Those that have not ended."""
    return [run for run in nights(variables) if run["state"] not in ("success", "failed")]


def row(folder: Path, name: str, sides: Mapping[str, Mapping[str, Any]], before: str) -> dict[str, Any]:
    """The row of the result."""
    now, place = sides[NOW], Path(sides[NOW]["place"])
    tables = {
        table: [published_rows(str(place / root), table, LAST) for root in ("root", ALONE)] for table in OUTPUT_TABLES
    }
    earlier = sides.get(before)
    return {
        "model": name,
        "ours": True,
        "source": OURS,
        "seconds": now["seconds"],
        "minutes": round(now["seconds"] / 60, 1),
        "memory_gib": now["memory_gib"],
        "failed_nights": sum(state != "success" for state in now["states"].values()),
        "before_seconds": earlier["seconds"] if earlier else None,
        "before_memory_gib": earlier["memory_gib"] if earlier else None,
        "before_failed_nights": sum(s != "success" for s in earlier["states"].values()) if earlier else None,
        "ratio": round(earlier["seconds"] / now["seconds"], 2) if earlier else None,
        "rows": sum(len(rows) for rows, _ in tables.values()),
        "differing_rows": sum(num_differing(table, *both) for table, both in tables.items() if any(map(len, both))),
    }


class WatchedMemory:
    """The most memory that all processes of one Airflow home hold together, shared pages counted once.

    Attributes:
        most_gib: what was seen so far.
    """

    def __init__(self, airflow_home: str) -> None:
        self.most_gib = 0.0
        self._home = airflow_home
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> WatchedMemory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_LOOKS):
            self.most_gib = max(self.most_gib, sum(map(self._bytes, psutil.process_iter())) / _GIB)

    def _bytes(self, process: psutil.Process) -> int:
        try:
            is_ours = process.environ().get("AIRFLOW_HOME") == self._home
            return int(process.memory_full_info().pss) if is_ours else 0
        except psutil.Error:
            return 0


def make(checkout: Path, target: str, variables: Mapping[str, str]) -> None:
    """Runs a target of that checkout's Makefile.

    Raises:
        CalledProcessError: it failed.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTJAR", "SPARK"))}
    own.pop("PYTHONPATH", None)
    ended = subprocess.run(
        ["make", target], cwd=checkout, env={**own, **variables}, check=False, capture_output=True, text=True
    )
    logger.info("ran: make %s in %s exit=%d\n%s", target, checkout.name, ended.returncode, ended.stdout[-3000:])
    if ended.returncode:
        logger.error("%s", ended.stderr[-3000:])
        ended.check_returncode()


if __name__ == "__main__":
    main()
