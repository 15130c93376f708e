"""What do a warm start and weekly fits cost and save? Seven nights in a row on UCI Online Retail, in three ways.

Runs the public programs of the backtest's half of each night from the same features: `cold`, with every fit from
nothing; `warm`, with `warm_start`, where fits go on from those of the Sunday before; and `weekly`, with
`refit = "weekly"`, where the Sunday's weights answer for the days of its week. Warm nights are run once more from the
last to the first, as a backfill may run, and their lists must come out the same. The nights end before the window on
which the other figures of this shop are reported.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.performance.warm_nights
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from expectations.runtime.days import days_before
from expectations.runtime.lake import Lake
from expectations.shop.shop import SHIPPED_SHOPS, load_shop
from expectations.tables import BACKTESTS, CANDIDATES, FITTED_MODELS, SCORES
from models.evaluation.held_out import NEW_ITEMS, WITH_REPEATS
from tests.benchmarks.accuracy.online_retail import SHOP
from tests.benchmarks.harness.programs import run
from tests.benchmarks.harness.report import RESULTS, Benchmark, hardware
from tests.benchmarks.harness.variants import OURS, data_folder, data_parser

NAME = "warm_nights"
LAST_NIGHT = "2011-10-09"
NUM_NIGHTS = 7
MODELS = ("recent_demand", "item_item", "two_tower", "deep_cf")
K = 10
COLD, WARM, WEEKLY, BACKWARDS = "cold", "warm", "weekly", "backwards"
WAYS = (COLD, WARM, WEEKLY)
SETTINGS: dict[str, dict[str, bool | str]] = {
    COLD: {},
    WARM: {"warm_start": True},
    WEEKLY: {"refit": "weekly"},
    BACKWARDS: {"warm_start": True},
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the nights and tells the figures; exits 0 without the data, saying so."""
    parser = data_parser(__doc__)
    parser.add_argument("--folder", help="a place to keep the roots; else a temporary one, which is removed")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    if data_folder(arguments, SHOP) is None:
        return
    with TemporaryDirectory(prefix="nightjar-") as temporary:
        folder = Path(arguments.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measured(folder, arguments.data, arguments.models, arguments.ways)
    rows = sorted(rows + kept_rows(rows), key=place)
    horizon_days = load_shop(SHOP).horizon_days
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.performance.{NAME} --ways {' '.join(arguments.ways)}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data="UCI Online Retail (CC BY 4.0), one file a day, 2010-12-01 to 2011-10-09",
        protocol=(
            f"{NUM_NIGHTS} nights to {LAST_NIGHT}, fitted as of {horizon_days} days before each and judged on the days "
            f"between; means over the nights; seconds are those of all fits of the {NUM_NIGHTS} nights, those of their "
            f"Sundays among them; same lists: nights whose lists are equal to the last bit when run backwards; a way "
            f"that was not run again keeps its rows, with their date"
        ),
        rows=rows,
    )
    print(benchmark.text())
    print(f"written: {benchmark.write()}")


def place(row: dict[str, Any]) -> tuple[int, int]:
    """Sorts rows by model and way."""
    model, way = str(row["model"]).removesuffix(")").split(" (")
    return MODELS.index(model), WAYS.index(way)


def kept_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What an earlier run measured of other models and ways."""
    measured_now, path = {row["model"] for row in rows}, RESULTS / f"{NAME}.json"
    earlier = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    return [row for row in earlier if row["model"] not in measured_now]


def measured(folder: Path, data: str, models: Sequence[str], ways: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each model, each way."""
    nights = [days_before(LAST_NIGHT, n) for n in reversed(range(NUM_NIGHTS))]
    orders = dict.fromkeys(ways, nights) | ({BACKWARDS: nights[::-1]} if WARM in ways else {})
    features = Lake(str(folder / "features"))
    lakes = {way: Lake(str(folder / way)) for way in orders}
    prepare(features, shop_file(folder, "features", **SETTINGS[WARM]), data, nights)
    for way, order in orders.items():
        shutil.copytree(features.root, lakes[way].root)
        shop = shop_file(folder, way, **SETTINGS[way])
        for ds in order:
            flags = ["--ds", ds, "--shop", shop, "--root", lakes[way].root, "--data", data]
            for program in ("models.train", "jobs.build_candidates", "models.score"):
                run(program, *flags, "--models", ",".join(models), "--as-of", "backtest")
            run("models.backtest", *flags, "--models", ",".join(models))
    return [row_of(lakes, nights, model, way) for model in models for way in ways]


def shop_file(folder: Path, name: str, **settings: bool | str) -> str:
    """The shop that ships, with these settings besides, in a file of this name."""
    text = (SHIPPED_SHOPS / f"{SHOP}.toml").read_text(encoding="utf-8")
    path = folder / f"{name}.toml"
    lines = [f"{setting} = {json.dumps(value)}" for setting, value in settings.items()]
    path.write_text("\n".join([*lines, text]), encoding="utf-8")
    return str(path)


def prepare(lake: Lake, shop: str, data: str, nights: Sequence[str]) -> None:
    """The features of every night, and of the Sundays before them."""
    flags = ["--shop", shop, "--root", lake.root, "--data", data]
    run("jobs.ingest", *flags, "--ds", nights[-1])
    for ds in nights:
        run("jobs.preprocess", *flags, "--ds", ds, "--as-of", "backtest")


def row_of(lakes: Mapping[str, Lake], nights: Sequence[str], model: str, way: str) -> dict[str, Any]:
    """What a model reached in the mean of the nights, what its fits cost, and whether the order played a part."""
    lake, figures = lakes[way], []
    for ds in nights:
        rows = [row for row in lake.read(BACKTESTS, ds).to_pylist() if (row["model"], row["k"]) == (model, K)]
        figures.append([next(row["ndcg"] for row in rows if row["task"] == task) for task in (NEW_ITEMS, WITH_REPEATS)])
    fits = [
        json.loads(lake.read(FITTED_MODELS, day, model)["metrics"][0].as_py())
        for day in lake.days(FITTED_MODELS, until=nights[-1])
        if model in lake.models(FITTED_MODELS, day)
    ]
    new, repeats = np.mean(figures, axis=0)
    return {
        "model": f"{model} ({way})",
        "ours": True,
        "source": OURS,
        "date": date.today().isoformat(),
        "ndcg@10 new_items": round(float(new), 4),
        "ndcg@10 with_repeats": round(float(repeats), 4),
        "fits": len(fits),
        "seconds": round(sum(fit["seconds"] for fit in fits), 1),
        "same lists": _same_lists(lakes, nights, model) if way == WARM else None,
    }


def _same_lists(lakes: Mapping[str, Lake], nights: Sequence[str], model: str) -> str:
    """How many nights have the same lists in whichever order they were run."""
    num_same = 0
    for ds in nights:
        as_of = days_before(ds, load_shop(SHOP).horizon_days)
        forwards, backwards = (_lists(lakes[way], as_of, model) for way in (WARM, BACKWARDS))
        num_same += forwards.equals(backwards)
    return f"{num_same} of {len(nights)}"


def _lists(lake: Lake, as_of: str, model: str) -> pa.Table:
    table = SCORES if lake.current(SCORES, as_of, model) else CANDIDATES
    return lake.read(table, as_of, model).sort_by([("user_index", "ascending"), ("item_index", "ascending")])


if __name__ == "__main__":
    main()
