"""How fast are sessions answered? `make serve` on the sequence model of UCI Online Retail, under open-loop load.

Runs the night's own programs in a root of its own, registers the session model, starts the server that `make serve`
starts, and asks it over HTTP: first 100 times a second, which is the aim (p99 under 30 ms), then ever more often until
it no longer keeps up. Sessions are real ones: stretches of up to 20 events of the customers' histories, half of them of
customers whom the night knows. Generator and server share the cores. The network has its full size, and is fitted for
two epochs: what an answer costs does not depend on how good it is.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.performance.serving
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.days import end_of
from expectations.runtime.lake import Lake
from expectations.shop.shop import SHIPPED_SHOPS
from expectations.tables import EVENT_TYPES, FIRST_VALUE_INDEX, HISTORIES, ITEMS
from models.data.vocabulary import read_vocabulary
from tests.benchmarks.harness.report import Benchmark, hardware
from tests.worlds.session_server import session_server

SHOP, DS, MODELS = "online_retail", "2011-11-09", ("recent_demand", "item_item", "sequence")
FEW_EPOCHS = "\n[settings.sequence]\nepochs = 2\n"
AIM = (100, 30)
"""Requests a second, seconds."""
STEPS = tuple((rate, 10) for rate in range(200, 900, 100))
ENOUGH_MS = 100.0
"""A rate is kept up with while p99 stays below."""
NUM_SESSIONS, MAX_EVENTS = 2000, 20


def main(argv: Sequence[str] | None = None) -> None:
    """Prepares, serves, measures; exits 0 without the data, saying so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="(NIGHTJAR_DATA)")
    parser.add_argument("--root", help="a place to keep; else a temporary one, which is removed")
    parser.add_argument("--as-is", action="store_true", help="serve what a run before has registered under `--root`")
    arguments = parser.parse_args(argv)
    if not (Path(arguments.data) / SHOP).is_dir():
        print(f"skipped: no {SHOP} under {arguments.data}; set NIGHTJAR_DATA to where the raw data lies")
        return
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="nightjar-") as temporary:
        root = arguments.root or temporary
        shop = Path(temporary) / f"{SHOP}.toml"
        shop.write_text((SHIPPED_SHOPS / shop.name).read_text("utf-8") + FEW_EPOCHS, "utf-8")
        if not arguments.as_is:
            run_night(root, arguments.data, str(shop))
        bodies = Path(temporary) / "bodies.json"
        bodies.write_text(json.dumps(session_bodies(Lake(root))), encoding="utf-8")
        with session_server(root, str(shop), Path(temporary) / "server.log") as server:
            rows = measured(server.address, bodies)
            memory = sum(part.memory_info().rss for part in server.processes) / 2**20
        benchmark = benchmark_of(Lake(root), rows, server.seconds, memory, busy)
    print(benchmark.text())
    print(f"written: {benchmark.write()}")


def run_night(root: str, data: str, shop: str) -> None:
    """The programs of the night up to the session model."""
    night = ["--ds", DS, "--shop", shop, "--root", root, "--data", data, "--models", ",".join(MODELS)]
    programs = ("jobs.ingest", "jobs.preprocess", "models.train", "models.register_session_model")
    for program in programs:
        subprocess.run([sys.executable, "-m", program, *night], check=True, cwd=REPOSITORY)


def session_bodies(lake: Lake) -> list[str]:
    """Request bodies: the last events of customers, as if done on the day after; every second names the customer."""
    rng = np.random.default_rng(1)
    histories = lake.read(HISTORIES, DS, columns=["user_index", "item_indices", "event_type_indices"])
    histories = histories.filter(pc.greater(pc.list_value_length(histories["item_indices"]), 0))
    ids = {field: _values(lake, field) for field in ("user_id", "item_id")}
    bodies = []
    for n, row in enumerate(rng.integers(0, len(histories), NUM_SESSIONS).tolist()):
        user, items, types = (histories[name][row].as_py() for name in histories.column_names)
        events = []
        length = int(rng.integers(0, MAX_EVENTS + 1))
        for place, (item, kind) in enumerate(list(zip(items, types, strict=True))[-length:] if length else []):
            at = datetime.fromtimestamp(end_of(DS).timestamp() + 30 * place, timezone.utc)
            kind = EVENT_TYPES[kind - FIRST_VALUE_INDEX]
            events.append({"item_id": ids["item_id"][item], "event_type": kind, "event_time": at.isoformat()})
        request = {"events": events, **({"user_id": ids["user_id"][user]} if n % 2 else {})}
        bodies.append(json.dumps({"inputs": [request]}))
    return bodies


def _values(lake: Lake, field: str) -> dict[int, str]:
    vocabulary = read_vocabulary(lake, DS, field).to_pydict()
    return dict(zip(vocabulary["index"], vocabulary["value"], strict=True))


def measured(address: str, bodies: Path) -> list[dict[str, Any]]:
    """A row for each rate, from the aim up to the first that is not kept up with."""
    nothing = bodies.with_name("nothing.json")
    nothing.write_text("[]")
    invocations, rows = f"{address}/invocations", []
    load(invocations, bodies, 20, 5)  # the first answers find cold caches
    for rate, seconds in (AIM, *STEPS):
        figures = load(invocations, bodies, rate, seconds)
        rows.append({"model": f"sessions, {rate} a second", "ours": True, "source": "this repository", **figures})
        if figures["p99 ms"] > ENOUGH_MS or figures["failed"]:
            break
    floor = load(f"{address}/ping", nothing, AIM[0], 10)
    rows.append({"model": f"GET /ping, {AIM[0]} a second", "ours": False, "source": "MLflow's server alone", **floor})
    return rows


def load(address: str, bodies: Path, rate: int, seconds: int) -> dict[str, float]:
    """Runs the generator in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.harness.open_loop",
        address,
        str(bodies),
        str(rate),
        str(seconds),
    ]
    ended = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return {name: round(value, 1) if isinstance(value, float) else value for name, value in figures.items()}


def benchmark_of(
    lake: Lake, rows: list[dict[str, Any]], seconds_to_load: float, memory: float, busy: float
) -> Benchmark:
    """Returns what docs/results.md shows. `busy` is the load average before the start: what other programs take."""
    return Benchmark(
        name="serving",
        command="python -m tests.benchmarks.performance.serving",
        date=date.today().isoformat(),
        hardware=hardware(),
        data=f"UCI Online Retail (CC BY 4.0), {lake.require(ITEMS, DS).rows:,} items as of {DS}",
        protocol=(
            f"`make serve`, one process, one thread of arithmetic; open loop with exponential gaps, latency from the "
            f"moment a request was due; {NUM_SESSIONS:,} sessions of 0 to {MAX_EVENTS} real events, half of known "
            f"customers, 10 items each. Load generator and server share the cores. Up to the first rate whose p99 "
            f"exceeds {ENOUGH_MS:.0f} ms. The server takes {seconds_to_load:.0f} s to start and {memory:.0f} MiB. "
            f"Load average of the machine before the start: {busy:.1f}"
        ),
        rows=rows,
    )


if __name__ == "__main__":
    main()
