"""A past night of Online Retail, from the raw drops to its staged tables, and what was bought in the days after it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from expectations.runtime.days import days_before
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, night_from, night_parser
from expectations.tables import EVENTS, VOCABULARIES
from models.evaluation import resampling
from tests.benchmarks.harness.programs import run

SHOP = "online_retail"
DATA = "UCI Online Retail (CC BY 4.0), one file a day, 2010-12-01 to 2011-11-09"
DS = "2011-10-10"
JUDGED_DAYS = 30
MODELS = ("all_time_popularity", "recent_demand", "item_item")


def build_night(root: str, data: str, ds: str, shop: str = SHOP, models: Sequence[str] = MODELS) -> Night:
    """Runs the programs that turn the log up to `ds` into that night's tables, unpublished.

    No backtest is held: the gate lets the ablest baseline pass, and the tables judged here do not depend on it.
    """
    flags = ["--shop", shop, "--root", root, "--data", data, "--models", ",".join(models)]
    of_night = [*flags, "--ds", ds]
    run("jobs.ingest", *flags, "--ds", days_before(ds, -JUDGED_DAYS))
    run("jobs.preprocess", *of_night)
    for model in models:
        run("models.train", *of_night, "--model", model)
    run("jobs.build_candidates", *of_night)
    run("models.gate", *of_night)
    run("jobs.build_tables", *of_night)
    return night_from(night_parser(None).parse_args(of_night))


def purchases(lake: Lake, ds: str) -> pd.DataFrame:
    """What was bought until JUDGED_DAYS after `ds`: user_id, item_id, day; an item once a day."""
    days = lake.days(EVENTS, until=days_before(ds, -JUDGED_DAYS))
    columns = ["user_id", "item_id", "event_type", "quantity"]
    events = pd.concat(lake.read(EVENTS, day, columns=columns).to_pandas().assign(day=day) for day in days)
    bought = events[(events["event_type"] == "purchase") & (events["quantity"] > 0)]
    return bought[["user_id", "item_id", "day"]].drop_duplicates().reset_index(drop=True)


def indices(lake: Lake, ds: str, field: str) -> pd.Series:
    """The index of each value of a vocabulary's field."""
    vocabulary = lake.read(VOCABULARIES, ds).to_pandas()
    return vocabulary[vocabulary["field"] == field].set_index("value")["index"]


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap bounds of a mean."""
    means = resampling.bootstrap_means(values[:, None], resampling.NUM_RESAMPLES, seed=1)[:, 0]
    low, high = resampling.interval(means, len(values), resampling.SHARES)
    return round(low, 4), round(high, 4)


def night_arguments(module_doc: str | None, argv: Sequence[str] | None) -> argparse.Namespace | None:
    """`--data`, `--root`, `--ds` and `--models`; None, saying so, where the data is absent."""
    parser = argparse.ArgumentParser(description=module_doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="(NIGHTJAR_DATA)")
    parser.add_argument("--root", help="a place to keep; else a temporary one, which is removed")
    parser.add_argument("--ds", default=DS, help=f"the past night; other than {DS}, to choose settings: writes nothing")
    parser.add_argument("--models", nargs="+", default=MODELS, help="models to fit")
    arguments = parser.parse_args(argv)
    if not (Path(arguments.data) / SHOP).is_dir():
        print(f"skipped: no {SHOP} under {arguments.data}; set NIGHTJAR_DATA to where the raw data lies")
        return None
    return arguments
