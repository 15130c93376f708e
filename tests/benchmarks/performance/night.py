"""How long is a night? `make nightly` for UCI Online Retail with all families, from nothing and with a warm start.

The cold night finds an empty root. The warm one is the second of two nights with `warm_start`: what it takes from the
night before, and from the Sundays, is there already. So is the weekly one, whose shop has `weekly_backtest`, too: both
nights stand in one week. The untrained one answers with its Sunday's weights (`refit = "weekly"`). All are the real
DAG, task by task.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.performance.night --kinds cold warm weekly untrained
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.days import days_before
from expectations.shop.shop import SHIPPED_SHOPS
from tests.benchmarks.accuracy.online_retail import DS, SHOP
from tests.benchmarks.harness.report import RESULTS, Benchmark, hardware
from tests.benchmarks.harness.variants import OURS, data_folder, data_parser
from tests.benchmarks.performance.warm_nights import shop_file

NAME = "night"
# What the shop file says besides, for the nights that find the night before them in the same root.
SETTINGS: dict[str, dict[str, bool | str]] = {
    "warm": {"warm_start": True},
    "weekly": {"warm_start": True, "weekly_backtest": True},
    "untrained": {"refit": "weekly", "weekly_backtest": True},
}
KINDS = ("cold", *SETTINGS)
TASK = re.compile(r"^\d\d:\d\d:\d\d  (\S+) +(done|FAILED|skipped) +([\d.]+) s(?:  (\S+))?$", re.MULTILINE)
TOTAL = re.compile(r"^The night took (\d+) s", re.MULTILINE)

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the nights and tells the seconds; exits 0 without the data, saying so."""
    parser = data_parser(__doc__)
    parser.add_argument("--folder", help="a place to keep the roots; else a temporary one, which is removed")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    if data_folder(arguments, SHOP) is None:
        return
    with TemporaryDirectory(prefix="nightjar-") as temporary:
        folder = Path(arguments.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [row for kind in arguments.kinds for row in timed_night(folder, arguments.data, kind)]
    rows = sorted(rows + kept_rows(arguments.kinds), key=lambda row: KINDS.index(kind_of(row)))
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME} --kinds {' '.join(arguments.kinds)}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data="UCI Online Retail (CC BY 4.0), one file a day, 2010-12-01 to 2011-11-09",
        protocol=(
            f"`make nightly` for {DS}, backtest and all families; cold: in an empty root; warm: with `warm_start`, the "
            "night before in the same root; weekly: warm, and `weekly_backtest`; untrained: `weekly_backtest`, and "
            'Sunday\'s weights by `refit = "weekly"`; a kind that was not run again keeps its rows, with their date'
        ),
        rows=rows,
    )
    print(benchmark.text())
    print(f"written: {benchmark.write()}")


def kind_of(row: dict[str, Any]) -> str:
    """One of KINDS."""
    return re.split(r"\W", str(row["model"]))[0]


def kept_rows(kinds: Sequence[str]) -> list[dict[str, Any]]:
    """What an earlier run measured of the other kinds: each night takes a while."""
    path = RESULTS / f"{NAME}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    return [row for row in rows if kind_of(row) not in kinds]


def timed_night(folder: Path, data: str, kind: str) -> list[dict[str, Any]]:
    """A row for the whole night, and one in `detail` for each task in the order of their ends."""
    shop = str(SHIPPED_SHOPS / f"{SHOP}.toml")
    if kind in SETTINGS:
        shop = shop_file(folder, kind, **SETTINGS[kind])
        run_night(folder / kind, data, shop, days_before(DS, 1))
    output = run_night(folder / kind, data, shop, DS)
    total = TOTAL.search(output)
    if total is None:
        raise ValueError(f"the night tells how many seconds it took. Received: {output[-2000:]}")
    about = {"ours": True, "source": OURS, "date": date.today().isoformat()}
    tasks = [
        {
            "model": f"{kind}: {task} {model}".rstrip(),
            **about,
            "seconds": float(seconds),
            "state": state,
            "detail": True,
        }
        for task, state, seconds, model in TASK.findall(output)
    ]
    return [{"model": f"{kind} night", **about, "seconds": float(total[1]), "state": "done"}, *tasks]


def run_night(root: Path, data: str, shop: str, ds: str) -> str:
    """Runs one night. Returns what it printed."""
    environment = os.environ | {
        "NIGHTJAR_ROOT": str(root),
        "NIGHTJAR_DATA": str(Path(data).resolve()),
        "AIRFLOW_HOME": str(root.parent / "airflow"),
        "SHOP": shop,
        "DS": ds,
    }
    ended = subprocess.run(
        ["make", "nightly"], cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True
    )
    logger.info("ran: make nightly DS=%s exit=%d\n%s", ds, ended.returncode, ended.stdout)
    if ended.returncode:
        raise subprocess.CalledProcessError(ended.returncode, "make nightly", ended.stdout, ended.stderr)
    return ended.stdout


if __name__ == "__main__":
    main()
