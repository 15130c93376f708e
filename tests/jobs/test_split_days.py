"""One downloaded log becomes the daily drops that a shop file describes, whole and the same every time."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from expectations.runtime.drops import DropFolder
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.raw_files import FillDown, RawFile
from expectations.shop.shop import Shop, load_shop
from expectations.tables import EVENTS, ITEM_UPDATES, QUARANTINE, NightError
from jobs.ingest import ingest_days
from jobs.raw.ingest_plan import days_to_ingest
from jobs.split_days import MadeDays, main, split_days
from tests.worlds.raw_drops import write_drop


@pytest.fixture
def shop(shop: Shop) -> Shop:
    items = RawFile("{root}/raw/{ds}/items.json", "json", {"item_id": "article", "category": "path"})
    events = replace(shop.events, path="{root}/raw/{ds}/events.json.gz", format="json", timezone="Europe/Berlin")
    return replace(shop, events=events, items=items, items_file="changes")


def drops(night: Night) -> dict[str, list[dict[str, Any]]]:
    """Name below `raw` -> its rows."""
    raw = Path(night.lake.root) / "raw"
    texts = {
        str(path.relative_to(raw)): gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in sorted(raw.rglob("*"))
        if path.is_file()
    }
    return {name: [json.loads(line) for line in text.splitlines()] for name, text in texts.items()}


def ingest_drops(spark: SparkSession, night: Night) -> None:
    plans = days_to_ingest(spark, night.lake, night.ds, DropFolder(night.shop, night.lake.root, night.data))
    ingest_days(spark, night.lake, plans, night.shop)


def test_each_row_goes_to_the_day_that_its_time_has_in_utc(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    lines = ("2024-03-08 12:00:00,ann,lamp,1,2", "2024-03-09 00:30:00,bob,rug,1,3", "2024-03-09 01:30:00,cyd,rug,1,3")
    log = write_drop(str(tmp_path), "log.csv.gz", "time,customer,article,units,price\n" + "\n".join(lines) + "\n")
    assert split_days(spark, night, log) == 2
    found = drops(night)
    assert {name: [row["customer"] for row in rows] for name, rows in found.items()} == {
        "2024-03-08/events.json.gz": ["ann", "bob"],  # half past midnight in Berlin is the evening before
        "2024-03-09/events.json.gz": ["cyd"],
    }


def test_a_second_run_writes_only_what_is_not_there_as_it_would_come_out(
    spark: SparkSession, night: Night, tmp_path: Path
) -> None:
    header = "time,customer,article,units,price\n"
    log = write_drop(str(tmp_path), "log.csv", header + "2024-03-08 12:00:00,a,b,1,1\n2024-03-09 12:00:00,a,b,1,1\n")
    assert split_days(spark, night, log) == 2
    before = {path: path.stat().st_mtime_ns for path in Path(night.lake.root).rglob("*.gz")}
    assert split_days(spark, night, log) == 0
    assert {path: path.stat().st_mtime_ns for path in Path(night.lake.root).rglob("*.gz")} == before
    write_drop(str(tmp_path), "log.csv", header + "2024-03-08 12:00:00,a,b,1,1\n2024-03-09 12:00:00,x,b,1,1\n")
    assert split_days(spark, night, log) == 1


def test_times_of_parquet_and_lists_of_a_catalogue_pass_through(
    spark: SparkSession, night: Night, tmp_path: Path
) -> None:
    columns = {"customer": ["ann"], "article": ["lamp"], "units": [2], "price": [1.5]}
    times = pa.array([datetime(2024, 3, 8, 12)], pa.timestamp("ns"))  # as pandas writes them
    pq.write_table(pa.table({"time": times, **columns}), tmp_path / "log.parquet")
    pq.write_table(pa.table({"article": ["lamp"], "path": [["Home", "Light"]]}), tmp_path / "items.parquet")
    split_days(spark, night, tmp_path / "log.parquet", tmp_path / "items.parquet")
    late = replace(night, ds="2024-03-08")
    ingest_drops(spark, late)
    (event,) = late.lake.read(EVENTS, "2024-03-08").to_pylist()
    assert (event["event_time"].hour, event["quantity"], event["price"]) == (11, 2.0, 1.5)
    (item,) = late.lake.read(ITEM_UPDATES, "2024-03-08").to_pylist()
    assert item["category"] == ["Home", "Light"]


def test_a_row_without_a_time_is_seen_in_quarantine(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    text = "time,customer,article,units,price\n2024-03-08 12:00:00,ann,lamp,1,2\nnever,bob,rug,1,3\n"
    split_days(spark, night, write_drop(str(tmp_path), "log.csv", text))
    ingest_drops(spark, replace(night, shop=replace(night.shop, drops=replace(night.shop.drops, max_reject_share=1.0))))
    assert [row["reason"] for row in night.lake.read(QUARANTINE, "2024-03-08").to_pylist()] == ["unreadable_time"]


def test_an_order_with_its_items_stays_one_row_of_its_day(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    columns = {"event_time": "time", "user_id": "customer.id", "item_id": "items[].sku"}
    of_lists = replace(night, shop=replace(night.shop, events=replace(night.shop.events, columns=columns)))
    order = {"time": "2024-03-08 12:00:00", "customer": {"id": "ann"}, "items": [{"sku": "a"}, {"sku": "b"}]}
    empty = {"time": "2024-03-09 12:00:00", "customer": {"id": "bob"}, "items": []}
    log = write_drop(str(tmp_path), "log.json", f"{json.dumps(order)}\n{json.dumps(empty)}\n")
    split_days(spark, of_lists, log)
    expected = {"2024-03-08/events.json.gz": [order], "2024-03-09/events.json.gz": [empty]}
    assert drops(night) == expected
    times = pa.array([datetime(2024, 3, 8, 12), datetime(2024, 3, 9, 12)], pa.timestamp("us"))
    nested = pa.table({"time": times, "customer": [{"id": "ann"}, {"id": "bob"}], "items": [order["items"], []]})
    pq.write_table(nested, tmp_path / "log.parquet")
    split_days(spark, of_lists, tmp_path / "log.parquet")
    assert drops(night) == expected


def test_cells_that_only_an_orders_first_row_holds_are_filled(
    spark: SparkSession, night: Night, tmp_path: Path
) -> None:
    fill_down = FillDown("order", ("time", "customer"))
    columns = {"event_time": "time", "user_id": "customer", "item_id": "article", "session_id": "order"}
    events = replace(night.shop.events, columns=columns, fill_down=fill_down)
    rows = ("2,2024-03-09 12:00:00,bob,rug", "2,,,lamp", "1,2024-03-08 12:00:00,ann,lamp", "1,,,rug")
    text = "\n".join(("order,time,customer,article", *rows, ""))
    split_days(spark, replace(night, shop=replace(night.shop, events=events)), write_drop(str(tmp_path), "log", text))
    assert {name[:10]: [(row["customer"], row["article"]) for row in rows] for name, rows in drops(night).items()} == {
        "2024-03-08": [("ann", "lamp"), ("ann", "rug")],
        "2024-03-09": [("bob", "lamp"), ("bob", "rug")],
    }


def test_several_logs_keep_their_encoding_and_customers_go_with_the_first_day(
    spark: SparkSession, night: Night, tmp_path: Path
) -> None:
    users = RawFile("{root}/raw/{ds}/users.json", "json", {"user_id": "id"})
    events = replace(night.shop.events, encoding="windows-1252")
    header = "time,customer,article,units,price\n"
    logs = [
        write_drop(
            str(tmp_path), f"{day}.csv", (header + f"2024-03-0{day} 12:00:00,J\u00fcrg,rug,1,1\n").encode("cp1252")
        )
        for day in (9, 8)
    ]
    people = write_drop(str(tmp_path), "users.csv", "id,country\nann,DE\n")
    of_shop = replace(night, shop=replace(night.shop, events=events, users=users))
    assert split_days(spark, of_shop, logs[0], more_logs=logs[1:], users=people) == 3
    raw = Path(night.lake.root) / "raw"
    assert json.loads((raw / "2024-03-08" / "users.json").read_text()) == {"id": "ann", "country": "DE"}
    lines = [gzip.decompress((raw / f"2024-03-0{day}" / "events.json.gz").read_bytes()) for day in (8, 9)]
    assert [json.loads(line.decode("cp1252"))["customer"] for line in lines] == ["J\u00fcrg", "J\u00fcrg"]


def test_an_order_becomes_days_that_end_together(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    rows = [("ann", "a", 0), ("ann", "b", 1), ("ann", "c", 10), ("bob", "z", 0)]
    text = "\n".join(json.dumps({"customer": u, "article": i, "pos": p, "units": 1, "price": 1}) for u, i, p in rows)
    log = write_drop(str(tmp_path), "log.jsonl", text + "\n")
    made_days = MadeDays("pos", "2024-03-10")
    with pytest.raises(NightError, match=r"Made days are days in UTC.*timezone='Europe/Berlin'"):
        split_days(spark, night, log, made_days=made_days)
    in_utc = replace(night, shop=replace(night.shop, events=replace(night.shop.events, timezone="UTC")))
    split_days(spark, in_utc, log, made_days=made_days)
    assert {name[:10]: [(r["article"], r["time"]) for r in rows] for name, rows in drops(night).items()} == {
        "2024-03-08": [("a", "2024-03-08 00:00:00")],
        "2024-03-09": [("b", "2024-03-09 00:00:00")],
        "2024-03-10": [("c", "2024-03-10 00:00:00"), ("z", "2024-03-10 00:00:00")],
    }


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("log.txt", "time\n1\n", "no column 'article', 'customer', 'price'"),
        ("log.csv", b"\xd0\xcf\x11\xe0rest", "is an old Excel workbook"),
        ("log.csv", "time,customer,article\n1,2,3\n", "no column 'price'"),
        (
            "log.csv",
            "time,customer,article,units,price\nx,2,3,4,5\n",
            "none of its 1 rows has a time that reads",
        ),
    ],
)
def test_a_log_that_cannot_be_split_is_refused(
    spark: SparkSession, night: Night, tmp_path: Path, name: str, text: str | bytes, rule: str
) -> None:
    with pytest.raises(NightError, match=rule):
        split_days(spark, night, write_drop(str(tmp_path), name, text))
    with pytest.raises(NightError, match="There is no file"):
        split_days(spark, night, tmp_path / "absent.csv")
    assert drops(night) == {}


def test_a_shop_that_reads_another_format_is_told(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    csv = replace(night, shop=replace(night.shop, events=replace(night.shop.events, format="csv")))
    with pytest.raises(NightError, match=r"""says format = 'csv' under \[events\]"""):
        split_days(spark, csv, tmp_path / "log.csv")


def test_an_order_needs_a_day_to_end_on(tmp_path: Path) -> None:
    with pytest.raises(NightError, match="go together"):
        main(["--shop", "amazon_beauty", "--root", str(tmp_path), "--log", "x.csv", "--order-column", "pos"])


@pytest.mark.parametrize(
    ("name", "log", "items", "made_days", "num_drops"),
    [
        ("retailrocket", "retailrocket/events", None, None, 139),
        ("amazon_beauty", "amazon_beauty/interactions", "amazon_beauty/items", MadeDays("pos", "2014-07-23"), 205),
    ],
)
def test_public_logs_split_with_the_shop_that_ships(
    spark: SparkSession,
    real_data: Path,
    night: Night,
    name: str,
    log: str,
    items: str | None,
    made_days: MadeDays | None,
    num_drops: int,
) -> None:
    if not (real_data / f"{log}.parquet").exists():
        pytest.skip(f"no {log}.parquet under {real_data}")
    of_shop = replace(night, shop=load_shop(name), lake=Lake(f"{night.lake.root}-{name}"))
    catalogue = real_data / f"{items}.parquet" if items else None
    assert split_days(spark, of_shop, real_data / f"{log}.parquet", catalogue, made_days) == num_drops
