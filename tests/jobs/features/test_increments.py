"""A day that goes on from an earlier one has the rows of a day that reads the whole log."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from expectations.runtime.code_version import code_version
from expectations.runtime.days import days_before
from expectations.runtime.program import Night
from expectations.shop.raw_files import RawFile
from expectations.tables import (
    EVENT_TYPES,
    EVENTS,
    FEATURE_TABLES,
    HISTORIES,
    ITEM_UPDATES,
    PAIR_TOTALS,
    TABLES,
    USER_UPDATES,
    USERS,
    VOCABULARIES,
)
from jobs.preprocess import preprocess
from jobs.storage.log_as_of import LogAsOf, base_day
from tests.worlds.small_night import new_night, write_rows

LAST = "2024-03-27"  # a Wednesday; its anchor is the 24th, the one before the 17th
NUM_DAYS = 24
BUILT = tuple(TABLES[name] for name in ("items", "users", *FEATURE_TABLES))
NIGHTS = ("2024-03-17", "2024-03-22", "2024-03-25", LAST)


def write_log(night: Night) -> None:
    """Days of a small shop in which prices, brands and tastes change, goods come back, and sessions pass midnight."""
    rng = np.random.default_rng(5)
    for ds in [days_before(LAST, back) for back in range(NUM_DAYS - 1, -1, -1)]:
        rows = day_of_events(ds, rng)
        catalogue = day_of_items(ds, rng)
        users = [
            {
                "user_id": u,
                "country": ["DE", "FR", None][int(rng.integers(3))],
                "interests": ["art"] * int(rng.integers(2)),
            }
            for u in sorted({row["user_id"] for row in rows})
        ]
        write_rows(night, EVENTS, rows, ds=ds)
        write_rows(night, ITEM_UPDATES, catalogue, ds=ds)
        write_rows(night, USER_UPDATES, users, ds=ds)


def day_of_events(ds: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for _ in range(12):
        event_type = EVENT_TYPES[int(rng.integers(4))]
        second = int(rng.integers(0, 24)) * 3600
        rows.append(
            {
                "event_time": datetime.fromisoformat(ds) + timedelta(seconds=second),
                "user_id": f"user-{rng.integers(9)}",
                "item_id": f"item-{rng.integers(15)}",
                "event_type": event_type,
                "quantity": float(rng.choice([-1, 1, 0.1, 0.2])) if event_type == "purchase" else 1.0,
                "session_id": ["a", "b", None][int(rng.integers(3))],
                "domain": str(rng.choice(["home", "garden"])),
            }
        )
    return rows


def day_of_items(ds: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    told = rng.choice(18, size=int(rng.integers(6, 12)), replace=False)
    return [
        {
            "item_id": f"item-{item}",
            "title": f"Lamp number {item} in {rng.choice(['red', 'blue'])}",
            "brand": [None, "Lux", f"brand {rng.integers(6)}", f"new on {ds}"][int(rng.integers(4))],
            "category": ["Home", "Light", f"Kind {rng.integers(4)}"][: int(rng.integers(4))],
            "price": [None, 5.0, float(item)][int(rng.integers(3))],
            "domain": "home",
            "is_available": bool(rng.integers(2)),
        }
        for item in sorted(told.tolist())
    ]


def new_shop_night(root: str) -> Night:
    night = new_night(Path(root))
    items = RawFile(path="items-{ds}.csv", columns={"item_id": "id"})
    shop = replace(night.shop, items=items, max_history=7, min_value_count=2, max_values=6)
    night = replace(night, shop=shop, ds=LAST)
    write_log(night)
    return night


@pytest.fixture(scope="module")
def nightly(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A lake in which nights ran one after another."""
    night = new_shop_night(str(tmp_path_factory.mktemp("nightly")))
    for day in NIGHTS:
        preprocess(spark, night, day)
    return night


def base_of_anchor(night: Night, day: str) -> str | None:
    log = LogAsOf.of(night.lake, day)
    return base_day(log.as_of(log.anchor), night.shop, PAIR_TOTALS, code_version("jobs.features.pair_totals"))


def rows_of(night: Night, day: str) -> dict[str, list[str]]:
    return {t.name: sorted(map(str, night.lake.read(t, day).to_pylist())) for t in BUILT}


def test_nights_one_after_another_give_the_rows_of_one_night_alone(
    spark: SparkSession, nightly: Night, tmp_path: Path
) -> None:
    alone = new_shop_night(str(tmp_path))
    preprocess(spark, alone, LAST)
    assert base_of_anchor(nightly, LAST) == "2024-03-17"
    assert base_of_anchor(alone, LAST) is None
    assert rows_of(nightly, LAST) == rows_of(alone, LAST)


def test_an_older_drop_that_arrives_late_makes_all_that_follows_start_anew(nightly: Night) -> None:
    known = nightly.lake.require(EVENTS, "2024-03-10")
    try:
        write_rows(nightly, EVENTS, day_of_events("2024-03-10", np.random.default_rng(6)), ds="2024-03-10")
        assert base_of_anchor(nightly, LAST) is None
    finally:
        nightly.lake.commit(EVENTS, "2024-03-10", known.path, known.fingerprint, known.rows)
    assert base_of_anchor(nightly, LAST) == "2024-03-17"


def test_indices_grow_within_a_week_and_ids_keep_theirs_for_good(nightly: Night) -> None:
    sunday, friday, monday, last = (_entries(nightly, day) for day in NIGHTS)
    assert sunday.items() < friday.items()
    assert monday.items() <= last.items()
    ids = {entry: index for entry, index in friday.items() if entry[0] in ("user_id", "item_id")}
    assert ids.items() <= last.items()


def _entries(night: Night, day: str) -> dict[tuple[str, str], int]:
    return {(r["field"], r["value"]): r["index"] for r in night.lake.read(VOCABULARIES, day).to_pylist()}


def test_the_users_of_a_day_know_when_they_were_first_and_last_seen(nightly: Night) -> None:
    active: dict[str, list[str]] = {}
    for ds in nightly.lake.days(EVENTS):
        for row in nightly.lake.read(EVENTS, ds).to_pylist():
            active.setdefault(row["user_id"], []).append(ds)
    users = nightly.lake.read(USERS, LAST).to_pylist()
    assert {u["user_id"]: (u["first_seen"], u["last_active"]) for u in users} == {
        user_id: (min(days), max(days)) for user_id, days in active.items()
    }


def test_no_history_is_longer_than_the_shop_says_and_the_latest_events_stay(nightly: Night) -> None:
    histories = nightly.lake.read(HISTORIES, LAST).to_pylist()
    assert max(len(row["item_indices"]) for row in histories) == nightly.shop.max_history
    assert all(row["event_times"] == sorted(row["event_times"]) for row in histories)
    assert any(row["older_purchase_indices"] for row in histories)
