"""Does joining lists pay? Amazon Beauty, leave-one-out: the blend against every retriever and baseline that it joins.

The public programs of one night, whose ds is the day before the test: all models are fitted as of the day before that,
the blend learns its weights on the validation day, all are fitted again, and their lists are judged once on the test
day, over the full catalogue. Nothing is chosen on the test.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.accuracy.beauty_two_stage
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from expectations.runtime.days import days_before
from expectations.runtime.program import Night, night_from, night_parser
from models.backtest import evaluated_window
from models.evaluation.held_out import NEW_ITEMS
from models.evaluation.list_evaluation import backtest_rows, gain_rows
from models.interface.in_force import ModelsAsOf
from tests.benchmarks.accuracy.beauty import DATA, SHOP, TEST_DAY, VALIDATION_DAY, K, build_features
from tests.benchmarks.harness.programs import run
from tests.benchmarks.harness.report import Benchmark, hardware
from tests.benchmarks.harness.variants import OURS, data_folder, data_parser

NAME = "beauty_two_stage"
BLEND = "blend"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the programs and tells the figures; exits 0 without the data, saying so."""
    parser = data_parser(__doc__)
    parser.add_argument("--root", help="a place to keep; else a temporary one, which is removed")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    if data_folder(arguments, SHOP) is None:
        return
    with TemporaryDirectory(prefix="nightjar-") as temporary:
        root = arguments.root or temporary
        build_features(root, Path(arguments.data))
        flags = ["--shop", SHOP, "--root", root, "--data", arguments.data]
        for as_of in ("backtest", "refit"):
            for program in ("models.train", "jobs.build_candidates", "models.score", "models.blend_lists"):
                run(program, *flags, "--ds", VALIDATION_DAY, "--as-of", as_of)
        rows, protocol = judged(night_from(night_parser(None).parse_args([*flags, "--ds", TEST_DAY])))
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data=DATA,
        protocol=protocol,
        rows=rows,
    )
    print(benchmark.text())
    print(f"written: {benchmark.write()}")


def judged(night: Night) -> tuple[list[dict[str, Any]], str]:
    """A row for each model of the shop, judged on the night's last day, and what was judged in words."""
    as_of = days_before(night.ds, 1)
    models = ModelsAsOf(night.lake, night.shop, as_of)
    found = {model: models.lists(model) for model in night.shop.models}
    lists = {model: version for model, version in found.items() if version is not None}
    parts = [part for part in evaluated_window(night, as_of, lists, [K]) if not part.held_out.slice]
    windows = [part for part in parts if part.held_out.task == NEW_ITEMS]
    gains = {row["rival"]: row for row in gain_rows(windows, K, night.shop.seed, "ndcg") if row["model"] == BLEND}
    rows = []
    for row in backtest_rows(windows, [K], night.shop.seed):
        gain = gains.get(row["model"])
        rows.append(
            {
                "model": row["model"],
                "ours": True,
                "source": OURS,
                f"hr@{K}": round(row["hit_rate"], 4),
                f"ndcg@{K}": round(row["ndcg"], 4),
                "95 % low": round(row["ndcg_low"], 4),
                "95 % high": round(row["ndcg_high"], 4),
                "blend gains": round(gain["gain"], 4) if gain else None,
                "at least": round(gain["gain_low"], 4) if gain else None,
            }
        )
    protocol = (
        "leave-one-out: weights of the lists learnt on each user's event before the last, all judged once on the "
        f"last, by {windows[0].num_users:,} users whose last item was known before, over the full catalogue of "
        f"{windows[0].num_items:,} items, items of the history left out; one seed"
    )
    return rows, protocol


if __name__ == "__main__":
    main()
