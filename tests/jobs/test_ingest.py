"""Drops go into the lake whole, once, and not at all when one of them cannot be used."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.drop_settings import Drops
from expectations.shop.raw_files import RawFile, RejectRule
from expectations.tables import EVENTS, ITEM_UPDATES, ITEMS, QUARANTINE, USER_UPDATES, USERS, NightError, Table
from jobs.ingest import ingest, look_at_drop, passes
from jobs.raw.dropped_files import DroppedFile
from jobs.raw.ingest_plan import DayToIngest
from jobs.storage.partitions import read_versions
from tests.worlds.raw_drops import write_drop

HEADER = "time,customer,article,units,price\n"


def drop(night: Night, day: str, *lines: str) -> Path:
    return write_drop(night.data, f"{day}.csv", HEADER + "".join(f"{day} {line}\n" for line in lines))


def rows(lake: Lake, table: Table, ds: str) -> list[dict[str, object]]:
    return lake.read(table, ds).to_pylist()


@pytest.fixture
def two_days(night: Night) -> Night:
    drop(night, "2024-03-08", "09:00:00,ann,lamp,1,9", "10:00:00,bob,rug,1,50")
    drop(night, "2024-03-10", "08:00:00,ann,rug,2,55", "08:00:00,ann,rug,2,55", "07:00:00,cyd,lamp,1,8")
    return replace(night, shop=replace(night.shop, drops=replace(Drops(), max_reject_share=0.4)))


def test_the_first_night_takes_in_all_days_and_later_ones_only_what_changed(
    spark: SparkSession, two_days: Night
) -> None:
    lake = two_days.lake
    ingest(spark, two_days)
    assert lake.days(EVENTS) == ["2024-03-08", "2024-03-10"]
    assert [(e["user_id"], e["item_id"], e["quantity"]) for e in rows(lake, EVENTS, "2024-03-10")] == [
        ("cyd", "lamp", 1.0),
        ("ann", "rug", 2.0),
    ]
    assert [q["reason"] for q in rows(lake, QUARANTINE, "2024-03-10")] == ["duplicate"]
    assert rows(lake, QUARANTINE, "2024-03-08") == []
    assert {i["item_id"] for i in rows(lake, ITEM_UPDATES, "2024-03-10")} == {"lamp", "rug"}
    assert {u["user_id"] for u in rows(lake, USER_UPDATES, "2024-03-08")} == {"ann", "bob"}
    assert {i["item_id"] for i in rows(lake, ITEMS, "2024-03-10")} == {"lamp", "rug"}
    assert {u["user_id"]: u["last_active"] for u in rows(lake, USERS, "2024-03-10")} == {
        "ann": "2024-03-10",
        "bob": "2024-03-08",
        "cyd": "2024-03-10",
    }
    metadata = lake.require(EVENTS, "2024-03-10").metadata
    assert (metadata["rows_read"], metadata["rejected"]) == ({"events": 3}, {"events": {"duplicate": 1}})
    log = read_versions(spark, EVENTS, lake.versions(EVENTS, "2024-03-10").values())
    assert log.columns == list(EVENTS.column_names)

    before = {day: lake.require(EVENTS, day) for day in lake.days(EVENTS)}
    ingest(spark, two_days)
    assert {day: lake.require(EVENTS, day) for day in lake.days(EVENTS)} == before
    drop(two_days, "2024-03-10", "08:00:00,dan,rug,2,55")
    ingest(spark, two_days)
    assert lake.require(EVENTS, "2024-03-08") == before["2024-03-08"]
    assert [e["user_id"] for e in rows(lake, EVENTS, "2024-03-10")] == ["dan"]


def test_a_file_that_was_only_touched_changes_nothing(spark: SparkSession, two_days: Night) -> None:
    ingest(spark, two_days)
    before = two_days.lake.require(EVENTS, "2024-03-08")
    os.utime(Path(two_days.data) / "2024-03-08.csv", (1_600_000_500, 1_600_000_500))
    ingest(spark, two_days)
    assert two_days.lake.require(EVENTS, "2024-03-08") == before


def test_another_mapping_reads_the_days_again(spark: SparkSession, two_days: Night) -> None:
    ingest(spark, two_days)
    shop = two_days.shop
    no_rugs = replace(shop, events=replace(shop.events, reject=(RejectRule("no_rugs", "article", one_of=("rug",)),)))
    ingest(spark, replace(two_days, shop=no_rugs))
    assert [e["item_id"] for e in rows(two_days.lake, EVENTS, "2024-03-08")] == ["lamp"]


def test_one_broken_drop_stops_the_night_before_anything_is_written(spark: SparkSession, two_days: Night) -> None:
    broken = {
        "time,customer,units,price\n1,2,3,4\n": "no column 'article'",
        HEADER: "is empty",
        HEADER + "2024-03-09 at ten,ann,lamp,1,1\n": "none of its 1 rows was accepted .* For example: .* line 2: ",
    }
    for text, rule in broken.items():
        write_drop(two_days.data, "2024-03-09.csv", text)
        with pytest.raises(NightError, match=rule) as error:
            ingest(spark, two_days)
        assert "2024-03-09" in str(error.value)
        assert "\n" not in str(error.value)
    assert two_days.lake.days(EVENTS) == []


def test_a_backlog_that_is_too_large_for_one_pass_gives_the_same_rows(spark: SparkSession, two_days: Night) -> None:
    ingest(spark, two_days)
    apart = replace(two_days, lake=Lake(f"{two_days.lake.root}-apart"))
    ingest(spark, apart, bytes_a_pass=1)
    for table in (EVENTS, QUARANTINE, ITEM_UPDATES, USER_UPDATES):
        for day in ("2024-03-08", "2024-03-10"):
            assert rows(apart.lake, table, day) == rows(two_days.lake, table, day)
            assert apart.lake.require(table, day).fingerprint == two_days.lake.require(table, day).fingerprint
    assert rows(apart.lake, ITEMS, "2024-03-10") == rows(two_days.lake, ITEMS, "2024-03-10")


def test_a_pass_takes_whole_days_in_their_order() -> None:
    sizes = {"2024-03-01": 4, "2024-03-02": 3, "2024-03-03": 3, "2024-03-04": 9, "2024-03-05": 1}
    plans = [DayToIngest(ds, (DroppedFile("events", ds, f"{ds}.csv", size, ""),), ds) for ds, size in sizes.items()]
    cut = [[plan.ds[-2:] for plan in days] for days in passes(plans, 8)]
    assert cut == [["01", "02"], ["03"], ["04"], ["05"]]


def test_nothing_of_a_later_drop_is_read(spark: SparkSession, two_days: Night) -> None:
    write_drop(two_days.data, "2024-03-11.csv", "broken")
    ingest(spark, two_days)
    assert two_days.lake.days(EVENTS) == ["2024-03-08", "2024-03-10"]


def test_a_closed_day_goes_on_from_the_log_so_far(spark: SparkSession, two_days: Night) -> None:
    closed = replace(two_days.shop, drops=replace(two_days.shop.drops, missing_day="closed"))
    later = datetime(2024, 3, 12, 12, 0, tzinfo=timezone.utc)
    night = replace(two_days, shop=closed, ds="2024-03-11", now=later)
    ingest(spark, night)
    assert night.lake.days(EVENTS) == ["2024-03-08", "2024-03-10"]
    assert {i["item_id"] for i in rows(night.lake, ITEMS, "2024-03-11")} == {"lamp", "rug"}
    with pytest.raises(NightError, match="missing_day=error"):
        ingest(spark, replace(night, shop=two_days.shop))


def test_a_shop_without_any_drop_is_told_where_it_was_looked_for(spark: SparkSession, night: Night) -> None:
    closed = replace(night.shop, drops=replace(Drops(), missing_day="closed"))
    later = datetime(2024, 3, 12, 12, 0, tzinfo=timezone.utc)
    with pytest.raises(NightError, match=r"corner has no drop up to 2024-03-10; none lies at .*2024-03-10\.csv"):
        ingest(spark, replace(night, shop=closed, now=later))


def test_catalogue_and_users_files_lie_beside_the_events(spark: SparkSession, two_days: Night) -> None:
    shop = replace(
        two_days.shop,
        items=RawFile(
            path="{data}/items-{ds}.csv",
            columns={"item_id": "id", "title": "name", "category": "path", "price": "cost", "is_available": "sold"},
        ),
        users=RawFile(path="{data}/users-{ds}.csv", columns={"user_id": "id", "age": "age", "interests": "likes"}),
    )
    catalogue = "id,name,path,cost,sold\nlamp,A lamp,Home > Light,9,true\nrug,A rug,Home,50,false\nvase,,,-1,soon\n"
    write_drop(two_days.data, "items-2024-03-10.csv", catalogue)
    write_drop(two_days.data, "users-2024-03-10.csv", "id,age,likes\nann,33,tea>jazz\neve,200,\nfay,20,\n")
    night = replace(two_days, shop=shop)
    ingest(spark, night)
    items = sorted(rows(night.lake, ITEMS, "2024-03-10"), key=lambda row: str(row["item_id"]))
    assert [(i["item_id"], i["title"], i["category"], i["is_available"], i["first_seen"]) for i in items] == [
        ("lamp", "A lamp", ["Home", "Light"], True, "2024-03-08"),
        ("rug", "A rug", ["Home"], False, "2024-03-08"),
    ]
    users = sorted(rows(night.lake, USERS, "2024-03-10"), key=lambda row: str(row["user_id"]))
    assert [(u["user_id"], u["age"], u["interests"], u["last_active"]) for u in users] == [
        ("ann", 33, ["tea", "jazz"], "2024-03-10"),
        ("bob", None, [], "2024-03-08"),
        ("cyd", None, [], "2024-03-10"),
        ("eve", None, [], None),
        ("fay", 20, [], None),
    ]
    refused = {(q["source"], q["reason"]) for q in rows(night.lake, QUARANTINE, "2024-03-10")}
    assert refused == {("events", "duplicate"), ("items", "unknown_is_available")}
    assert night.lake.require(EVENTS, "2024-03-10").metadata["odd_cells"]["users"] == {"impossible_age": 1}


def test_a_look_at_a_drop_tells_what_would_become_of_it_and_writes_nothing(
    spark: SparkSession, two_days: Night
) -> None:
    path = drop(two_days, "2024-03-10", "08:00:00,ann,rug,2,55", "at ten,bob,rug,1,1", "08:00:00,cyd,rug,1,free")
    report = look_at_drop(spark, two_days)
    refused = {"article": "rug", "customer": "bob", "price": "1", "time": "2024-03-10 at ten", "units": "1"}
    assert report.splitlines() == [
        "events: 3 rows, 2 accepted, from 2024-03-10 08:00 to 2024-03-10 08:00 UTC",
        "  unreadable_time: 1 rows",
        f"    {path.name} line 3: {json.dumps(refused, separators=(',', ':'))}",
        "  unreadable_price: 1 cells are unknown",
    ]
    assert two_days.lake.days(EVENTS) == []
    with pytest.raises(NightError, match=r"2024-03-11\.csv: no drop of 2024-03-11"):
        look_at_drop(spark, replace(two_days, ds="2024-03-11"))


def test_a_closed_day_may_have_a_file_without_events(spark: SparkSession, two_days: Night) -> None:
    closed = replace(two_days.shop, drops=replace(two_days.shop.drops, missing_day="closed"))
    write_drop(two_days.data, "2024-03-09.csv", HEADER)
    ingest(spark, replace(two_days, shop=closed))
    assert two_days.lake.days(EVENTS) == ["2024-03-08", "2024-03-09", "2024-03-10"]
    assert rows(two_days.lake, EVENTS, "2024-03-09") == []


def test_the_files_of_a_day_may_be_parts_in_a_folder_named_in_another_way(spark: SparkSession, night: Night) -> None:
    shop = replace(night.shop, events=replace(night.shop.events, path="{data}/{ds:%Y%m%d}/part-*"))
    for name, line in (("part-0.csv", "ann,lamp,1,9"), ("part-1.csv.gz", "bob,rug,1,50"), ("_SUCCESS", "")):
        folder = Path(night.data) / "20240310"
        folder.mkdir(parents=True, exist_ok=True)
        write_drop(str(folder), name, HEADER + f"2024-03-10 09:00:00,{line}\n" if line else "")
    ingest(spark, replace(night, shop=shop))
    assert {e["user_id"] for e in rows(night.lake, EVENTS, "2024-03-10")} == {"ann", "bob"}
    assert len(night.lake.require(EVENTS, "2024-03-10").metadata["files"]) == 2
