"""Nothing that happens after a day ends changes a row of that day's tables, whatever lies in the lake by then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.drop_settings import Drops
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, FEATURE_TABLES, ITEM_UPDATES, QUARANTINE, TABLES
from jobs.ingest import ingest
from jobs.preprocess import preprocess
from tests.worlds.raw_drops import write_drop

AS_OF = "2024-03-13"  # a Wednesday: it goes on from Sunday the 10th

EVENT_COLUMNS = {
    "event_time": "time",
    "user_id": "user",
    "item_id": "item",
    "event_type": "what",
    "price": "price",
    "session_id": "visit",
    "domain": "domain",
}
PAST = {
    "2024-03-08": (
        "08:00:00,ann,lamp,view,,1,home",
        "08:01:00,ann,lamp,purchase,9,1,home",
        "09:00:00,bob,rug,cart,,2,home",
    ),
    "2024-03-10": ("08:00:00,bob,rug,purchase,50,3,home", "12:00:00,cyd,tea,view,,4,food"),
    "2024-03-13": ("08:00:00,ann,tea,purchase,3,5,food", "23:59:59,ann,rug,view,,5,home"),
}
FUTURE = {
    # a file of later days, with new users, new items, a new department and a line that came back
    "2024-03-14": ("08:00:00,dan,vase,purchase,70,6,garden", "09:00:00,ann,lamp,view,,7,home"),
    "2024-03-17": ("08:00:00,bob,rug,view,,8,home", "10:00:00,ann,vase,purchase,1,9,garden"),
}
CATALOGUE = {
    "2024-03-08": [
        {
            "id": "lamp",
            "name": "A lamp",
            "path": "Home > Light",
            "brand": "lumen",
            "cost": 9,
            "sold": "yes",
            "photo": "1.png",
        },
        {"id": "rug", "name": "A rug", "path": "Home", "brand": "weave", "cost": 50, "sold": "yes"},
        {"id": "tea", "name": "緑茶 green tea", "path": "Food > Tea", "brand": "leaf", "cost": 3, "sold": "yes"},
    ],
    "2024-03-14": [
        {
            "id": "lamp",
            "name": "Another lamp",
            "path": "Sale",
            "brand": "other",
            "cost": 1,
            "sold": "no",
            "photo": "2.png",
        },
        {"id": "vase", "name": "A vase", "path": "Garden", "brand": "clay", "cost": 70, "sold": "yes"},
    ],
}
USERS = {
    "2024-03-08": [{"id": "ann", "years": 33, "land": "FR", "likes": "tea"}],
    "2024-03-14": [{"id": "ann", "years": 34, "land": "DE", "likes": "vases"}, {"id": "eve", "years": 20}],
}


def new_night(folder: Path, ds: str) -> Night:
    columns = {"item_id": "id", "title": "name", "category": "path", "brand": "brand", "image_path": "photo"}
    items = RawFile("{data}/items-{ds}.json", "json", {**columns, "price": "cost", "is_available": "sold"})
    people = {"user_id": "id", "age": "years", "country": "land", "interests": "likes"}
    shop = Shop(
        name="corner",
        events=RawFile("{data}/{ds}.csv", columns=EVENT_COLUMNS),
        items=items,
        users=RawFile("{data}/users-{ds}.json", "json", people),
        items_file="changes",
        drops=Drops(missing_day="closed", max_reject_share=1.0),
    )
    now = datetime(2024, 3, 20, tzinfo=timezone.utc)
    return Night(Lake(str(folder / "root")), str(folder / "drops"), shop, ds, "test", now)


def write_drops(
    night: Night, events: Mapping[str, Sequence[str]], *filed: tuple[str, Mapping[str, list[dict[str, Any]]]]
) -> None:
    for ds, lines in events.items():
        text = "".join(f"{line}\n" if line.startswith("2024") else f"{ds} {line}\n" for line in lines)
        write_drop(night.data, f"{ds}.csv", f"{','.join(EVENT_COLUMNS.values())}\n{text}")
    for kind, by_day in filed:
        for ds, rows in by_day.items():
            write_drop(night.data, f"{kind}-{ds}.json", "".join(f"{json.dumps(row)}\n" for row in rows))


def tables_of(night: Night) -> dict[str, list[dict[str, Any]]]:
    """Every table of the day that a model may read, its rows in one order."""
    return {
        name: sorted(night.lake.read(TABLES[name], AS_OF).to_pylist(), key=repr)
        for name in ("items", "users", *FEATURE_TABLES)
        if night.lake.current(TABLES[name], AS_OF) is not None
    }


@pytest.fixture(scope="module")
def as_it_was(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The tables of the night of that day, when nothing later existed."""
    night = new_night(tmp_path_factory.mktemp("then"), AS_OF)
    until = {kind: {"2024-03-08": rows["2024-03-08"]} for kind, rows in (("items", CATALOGUE), ("users", USERS))}
    write_drops(night, PAST, *until.items())
    ingest(spark, night)
    preprocess(spark, night, AS_OF)
    return tables_of(night)


@pytest.fixture(scope="module")
def with_a_future(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A fresh root in which all later days were ingested before the tables of the day are built."""
    night = new_night(tmp_path_factory.mktemp("later"), "2024-03-17")
    ahead = "2024-03-14 00:00:00,ann,vase,purchase,70,5,garden"  # an event of tomorrow in the file of today
    events = {**PAST, AS_OF: (*PAST[AS_OF], ahead), **FUTURE}
    write_drops(night, events, ("items", CATALOGUE), ("users", USERS))
    ingest(spark, night)
    return night


def test_rows_dated_after_the_day_change_no_table_of_it(
    spark: SparkSession, as_it_was: dict[str, list[dict[str, Any]]], with_a_future: Night
) -> None:
    assert {row["item_id"] for row in with_a_future.lake.read(ITEM_UPDATES, "2024-03-14").to_pylist()} == {
        "lamp",
        "vase",
    }
    assert with_a_future.lake.days(EVENTS) == sorted([*PAST, *FUTURE])
    preprocess(spark, with_a_future, AS_OF)
    found = tables_of(with_a_future)
    assert [name for name in as_it_was if found[name] != as_it_was[name]] == []
    assert found.keys() == as_it_was.keys()
    assert [name for name, rows in found.items() if not rows] == []


def test_an_event_of_tomorrow_in_the_file_of_today_is_refused(with_a_future: Night) -> None:
    assert [row["reason"] for row in with_a_future.lake.read(QUARANTINE, AS_OF).to_pylist()] == ["future"]


def test_tables_of_a_later_day_that_are_there_already_change_nothing(
    spark: SparkSession, as_it_was: dict[str, list[dict[str, Any]]], with_a_future: Night
) -> None:
    preprocess(spark, with_a_future, "2024-03-17")
    later = {row["item_id"] for row in with_a_future.lake.read(TABLES["items"], "2024-03-17").to_pylist()}
    assert "vase" in later
    preprocess(spark, with_a_future, AS_OF)
    found = tables_of(with_a_future)
    assert [name for name in as_it_was if found[name] != as_it_was[name]] == []
