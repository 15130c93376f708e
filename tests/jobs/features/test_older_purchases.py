"""Purchases that later views push out of `max_history` still count: for the rules of repeats and for demand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.semantics.repeat_purchases.in_spark import excluded_pairs
from expectations.tables import EVENTS, PURCHASE_INDEX, USER_UPDATES, VOCABULARIES
from jobs.preprocess import preprocess
from jobs.storage.partitions import read_partition
from models.data.dataset import load_dataset
from models.families.recent_demand import RecentDemand, RecentDemandConfig
from models.serving.repurchase_days import ReturnDays
from tests.worlds.small_night import new_night, write_rows

SUNDAY, MONDAY, TUESDAY = "2024-03-03", "2024-03-04", "2024-03-05"
"""Monday goes on from Sunday, which is its anchor and a day that a backtest may ask for."""
LOG = {
    "2024-02-20": [("cyd", "soap", "purchase")],
    "2024-03-01": [("cyd", "soap", "purchase")],
    SUNDAY: [("ann", "tv", "purchase"), ("dan", "tv", "purchase")],
    MONDAY: [("ann", f"thing {n}", "view") for n in range(20)],
    TUESDAY: [("eve", "tv", "purchase"), *(("dan", f"thing {n}", "view") for n in range(20))],
}
BARRED = {
    SUNDAY: {("cyd", "soap"), ("ann", "tv"), ("dan", "tv")},
    MONDAY: {("cyd", "soap"), ("ann", "tv"), ("dan", "tv")},
    TUESDAY: {("cyd", "soap"), ("ann", "tv"), ("dan", "tv"), ("eve", "tv")},
}


@pytest.fixture(scope="module")
def night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    night = new_night(Path(tmp_path_factory.mktemp("older")))
    night = replace(night, shop=replace(night.shop, repeats="after_gap", max_history=10, num_prior_gaps=1))
    for ds, met in LOG.items():
        write_log_day(night.lake, night, ds, met)
    for ds in BARRED:
        preprocess(spark, night, ds)
    return night


def write_log_day(lake: Lake, night: Night, ds: str, met: Collection[tuple[str, str, str]]) -> None:
    morning = datetime.fromisoformat(ds).replace(hour=10, tzinfo=timezone.utc)
    rows = [
        {"user_id": user, "item_id": item, "event_type": event_type, "event_time": morning + timedelta(minutes=n)}
        # What a view says of a quantity means nothing.
        | {"quantity": 1.0 if event_type == "purchase" else 0.0}
        for n, (user, item, event_type) in enumerate(met)
    ]
    write_rows(night, EVENTS, rows, ds=ds)
    write_rows(night, USER_UPDATES, [{"user_id": user} for user in sorted({user for user, *_ in met})], ds=ds)


def ids_of(night: Night, ds: str, field: str) -> dict[int, str]:
    rows = night.lake.read(VOCABULARIES, ds).to_pylist()
    return {row["index"]: row["value"] for row in rows if row["field"] == field}


@pytest.mark.parametrize("ds", BARRED)
def test_views_let_nothing_come_back_early(spark: SparkSession, night: Night, ds: str) -> None:
    users, items = (ids_of(night, ds, field) for field in ("user_id", "item_id"))
    excluded = excluded_pairs(lambda table: read_partition(spark, night.lake, table, ds), night.shop, ds)
    assert excluded is not None
    assert {(users[u], items[i]) for u, i in excluded.collect()} == BARRED[ds]


@pytest.mark.parametrize("ds", BARRED)
def test_a_session_model_bars_the_same(night: Night, ds: str) -> None:
    users, items = (ids_of(night, ds, field) for field in ("user_id", "item_id"))
    dataset = load_dataset(night.lake, night.shop, ds)
    days = ReturnDays.of(night.lake, dataset, "after_gap", night.shop.num_prior_gaps, PURCHASE_INDEX)
    found = set()
    for user, user_id in users.items():
        bought, day = days.of_user(user)
        found |= {(user_id, items[item]) for item in bought[day > dataset.end // 86_400].tolist()}
    assert found == BARRED[ds]


def test_views_take_nothing_from_demand(night: Night) -> None:
    dataset = load_dataset(night.lake, night.shop, TUESDAY)
    model = RecentDemand(RecentDemandConfig(window_days=30, half_life_days=1e9))
    model.fit(dataset)
    items = ids_of(night, TUESDAY, "item_id")
    wanted = {items[item]: float(model.demand[item]) for item in np.flatnonzero(model.demand).tolist()}
    assert wanted == pytest.approx({"tv": 3.0, "soap": 2.0})
