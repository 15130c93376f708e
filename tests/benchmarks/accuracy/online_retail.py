"""How good are our models on real purchases? The night's own backtest on UCI Online Retail, beside peers.

Runs the public programs, as a night does, in a root of its own: fitted as of 2011-10-10, judged on the 30 days to
2011-11-09, over the full catalogue. Settings are chosen with `--ds 2011-10-10` and earlier, which write nothing. The
peers run on the same split, in an environment of their own:

    python -m venv peers
    peers/bin/pip install torch==2.13.0 "rectools[torch,lightfm]==0.19.0" implicit==0.7.3 lightgbm==4.7.0 "pyarrow<22"
    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.accuracy.online_retail --peers peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, night_from, night_parser
from expectations.shop.shop import load_shop
from expectations.tables import BACKTESTS, FITTED_MODELS
from tests.benchmarks.accuracy.purchase_peers import peer_rows
from tests.benchmarks.harness.report import Benchmark, hardware

SHOP = "online_retail"
DS = "2011-11-09"
logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the programs and tells the figures; exits 0 without the data, saying so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="(NIGHTJAR_DATA)")
    parser.add_argument("--root", help="a place to keep; else a temporary one, which is removed")
    parser.add_argument("--ds", default=DS, help=f"judge the days up to this one; other than {DS}, to choose settings")
    parser.add_argument("--models", nargs="+", help="ours to judge (default: those of the shop)")
    parser.add_argument("--peers", help="Python of an environment with the peers; without it, ours alone are judged")
    arguments = parser.parse_args(argv)
    if not (Path(arguments.data) / SHOP).is_dir():
        print(f"skipped: no {SHOP} under {arguments.data}; set NIGHTJAR_DATA to where the raw data lies")
        return
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    with tempfile.TemporaryDirectory(prefix="nightjar-") as temporary:
        root = arguments.root or temporary
        models = arguments.models or load_shop(SHOP).models
        flags = ["--ds", arguments.ds, "--shop", SHOP, "--root", root, "--data", arguments.data]
        seconds = run_night([*flags, "--models", ",".join(models)], models)
        night = night_from(night_parser(None).parse_args(flags))
        inputs = night.lake, night.ds, night.backtest_as_of, night.shop
        peers = peer_rows(*inputs, arguments.peers) if arguments.peers else []
        benchmark = benchmark_of(night, seconds, peers, date.today().isoformat())
    print(benchmark.text())
    if arguments.peers and arguments.ds == DS and not arguments.models:
        print(f"written: {benchmark.write()}")


def run_night(night: Sequence[str], models: Sequence[str]) -> dict[str, float]:
    """Runs the backtest's half of the night, program by program. Returns the seconds each took."""
    as_of = ("--as-of", "backtest")
    programs = {
        "jobs.ingest": (),
        "jobs.preprocess": as_of,
        "models.train": (*as_of, "--model", *models),
        "jobs.build_candidates": as_of,
        "models.score": as_of,
        "models.backtest": (),
    }
    seconds = {}
    for program, flags in programs.items():
        command = [sys.executable, "-m", program, *night, *flags]
        started = time.monotonic()
        subprocess.run(command, check=True, cwd=REPOSITORY)
        seconds[program] = time.monotonic() - started
        logger.info("ran: program=%s seconds=%.1f", program, seconds[program])
    return seconds


def benchmark_of(night: Night, seconds: dict[str, float], peers: list[dict[str, Any]], today: str) -> Benchmark:
    """Ours from the table `backtests`, then the peers."""
    rows, as_of = night.lake.read(BACKTESTS, night.ds).to_pylist(), night.backtest_as_of
    judged = next(row for row in rows if row["task"] == "with_repeats")
    took = ", ".join(f"{program} {value:.0f} s" for program, value in seconds.items())
    return Benchmark(
        name=SHOP,
        command=f"python -m tests.benchmarks.{SHOP} --peers PYTHON",
        date=today,
        hardware=hardware(),
        data="UCI Online Retail (CC BY 4.0), one file a day, 2010-12-01 to 2011-11-09",
        protocol=(
            f"fitted as of {as_of}, judged on purchases of the 30 days to {night.ds}, full catalogue of "
            f"{judged['num_items']:,} items, {judged['num_users']:,} users with earlier purchases; "
            f"new_items: without what the user bought before. Wall time: {took}"
        ),
        rows=[*_our_rows(night.lake, as_of, rows), *peers],
    )


def _our_rows(lake: Lake, as_of: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ours = []
    at_10 = {(row["model"], row["task"]): row for row in rows if row["k"] == 10}
    for model in dict.fromkeys(row["model"] for row in rows):
        new, repeats = at_10[model, "new_items"], at_10[model, "with_repeats"]
        fitted = json.loads(lake.read(FITTED_MODELS, as_of, model)["metrics"][0].as_py())
        ours.append(
            {
                "model": model,
                "ours": True,
                "source": "this repository",
                "ndcg@10 new_items": round(new["ndcg"], 4),
                "ndcg@10 with_repeats": round(repeats["ndcg"], 4),
                "95 % low": round(repeats["ndcg_low"], 4),
                "95 % high": round(repeats["ndcg_high"], 4),
                "recall@10 with_repeats": round(repeats["recall"], 4),
                "coverage": round(repeats["coverage"], 4),
                "seconds": round(float(fitted["seconds"]), 1),
            }
        )
    return ours


if __name__ == "__main__":
    main()
