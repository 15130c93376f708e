"""How many training steps a second? One transformer and one graph configuration beside libraries that train the same.

Ours and theirs run in turns, each in a process of its own with all cores, on the same pairs, at equal batch, width,
length and depth; the figure is the median over the rounds. The peers need an environment of their own:

    python -m venv peers && peers/bin/pip install torch==2.13.0 recbole==1.2.1 "rectools[torch]==0.19.0"
    peers/bin/pip install scipy==1.12.0    # RecBole's LightGCN calls what later ones lack
    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.performance.training_speed --peers peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from expectations.runtime.code_version import REPOSITORY
from tests.benchmarks.harness.report import Benchmark, hardware
from tests.benchmarks.harness.variants import OURS, data_folder

NAME = "training_speed"
PEERS_PROGRAM = Path(__file__).with_name("training_speed_peers.py")


@dataclass(frozen=True)
class Comparison:
    """One model of ours and its peer.

    Attributes:
        data: a file under NIGHTJAR_DATA with users and items.
        settings: hold for both sides.
    """

    label: str
    ours: str
    theirs: str
    data: str
    settings: Mapping[str, int]
    what_differs: str


COMPARISONS = (
    Comparison(
        label="transformer (SASRec): softmax over all items at every place",
        ours="sequence",
        theirs="rectools_sasrec",
        data="amazon_beauty/interactions.parquet",
        settings={"batch_size": 128, "dim": 64, "length": 50, "num_layers": 2},
        what_differs="ours also reads features, event types and gaps; histories of like length share a batch, and only "
        "places that hold an event are asked",
    ),
    Comparison(
        label="graph (LightGCN): three layers over all nodes",
        ours="graph",
        theirs="recbole_lightgcn",
        data="gowalla/train.parquet",
        settings={"batch_size": 2048, "dim": 64, "length": 0, "num_layers": 3},
        what_differs="a batch of ours is users with all that they met, in a softmax over 2,048 items; of theirs, "
        "pairs, each against one drawn item (BPR)",
    ),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Times, tells and, with the peers, records; exits 0 without the data, saying so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="(NIGHTJAR_DATA)")
    parser.add_argument("--peers", help="the Python of an environment with the peers; without it, ours alone are timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60, help="that a peer is timed for, after its first steps")
    arguments = parser.parse_args(argv)
    if any(data_folder(arguments, comparison.data.partition("/")[0]) is None for comparison in COMPARISONS):
        return
    rows = [row for comparison in COMPARISONS for row in compared(comparison, arguments)]
    settings = "; ".join(
        f"{c.ours}: {', '.join(f'{k} {v}' for k, v in c.settings.items() if v)} ({c.what_differs})" for c in COMPARISONS
    )
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME} --peers PYTHON --rounds {arguments.rounds}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data="Amazon Beauty 5-core (McAuley et al. 2015); for the graph Gowalla (SNAP; split of LightGCN)",
        protocol=f"training steps a second after compilation, {arguments.rounds} rounds in turns, median; {settings}",
        rows=rows,
    )
    print(benchmark.text())
    if arguments.peers:
        print(f"written: {benchmark.write()}")


def compared(comparison: Comparison, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for ours and, where peers are at hand, one for theirs."""
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    settings = {**comparison.settings, "seconds": arguments.seconds, "threads": len(os.sched_getaffinity(0))}
    with TemporaryDirectory(prefix="nightjar-") as folder:
        pairs = str(Path(folder) / "pairs.npz")
        write_pairs(Path(arguments.data) / comparison.data, pairs)
        for _ in range(arguments.rounds):
            program = [sys.executable, "-m", "tests.benchmarks.performance.training_speed_ours", comparison.ours]
            ours.append(timed(*program, pairs, json.dumps(settings)))
            if arguments.peers:
                program = [arguments.peers, str(PEERS_PROGRAM), comparison.theirs]
                theirs.append(timed(*program, pairs, json.dumps(settings)))
    found = median_row(comparison.label, ours, is_ours=True)
    if not theirs:
        return [found]
    peer = median_row(comparison.label, theirs, is_ours=False)
    found["times the peer's"] = round(found["steps/s"] / peer["steps/s"], 2)
    return [found, peer]


def write_pairs(source: Path, target: str) -> None:
    """Users and items, counted from 0, each user's in order."""
    table = pq.read_table(source)
    order = [("user_id", "ascending"), *([("pos", "ascending")] if "pos" in table.column_names else [])]
    table = table.sort_by(order)
    users, items = (np.unique(table[name].to_numpy(), return_inverse=True)[1] for name in ("user_id", "item_id"))
    np.savez(target, users=users.astype(np.int64), items=items.astype(np.int64))


def timed(*command: str) -> dict[str, Any]:
    """What a program that times steps says."""
    ended = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    print(" ".join(command[-3:-2]), found, file=sys.stderr)
    return found


def median_row(label: str, found: Sequence[Mapping[str, Any]], *, is_ours: bool) -> dict[str, Any]:
    """The median over the rounds, with the slowest and the fastest of them."""
    speeds = [row["steps_per_second"] for row in found]
    return {
        "model": label,
        "ours": is_ours,
        "source": OURS if is_ours else f"{found[0]['library']}, same machine, same run",
        "steps/s": round(statistics.median(speeds), 3),
        "slowest": round(min(speeds), 3),
        "fastest": round(max(speeds), 3),
    }


if __name__ == "__main__":
    main()
