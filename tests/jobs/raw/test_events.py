"""Raw rows become events, or get the reason why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from expectations.shop.raw_files import RawFile, RejectRule
from expectations.shop.shop import Shop
from jobs.raw.dropped_files import dropped_file
from jobs.raw.events import validated_events
from jobs.raw.ingest_plan import required_columns
from jobs.raw.raw_rows import read_raw_rows
from jobs.raw.reading.cells import text_column
from jobs.raw.reject_rules import shop_rules
from tests.worlds.raw_drops import write_drop

HEADER = "time,customer,article,units,price\n"
GOOD = "2024-03-10 10:00:00,ann,lamp,2,9.5"


def judged(spark: SparkSession, shop: Shop, *paths: Path) -> DataFrame:
    files = []
    for path in paths:
        files.append(dropped_file("events", path.name[:10], str(path)))
    rows = read_raw_rows(spark, shop.events, files, required_columns(shop)["events"])
    return validated_events({"events": rows}, shop, tasks_per_day=2)


def reasons(spark: SparkSession, shop: Shop, folder: Path, *lines: str) -> list[str | None]:
    path = write_drop(str(folder), "2024-03-10.csv", HEADER + "\n".join(lines) + "\n")
    rows = judged(spark, shop, path).collect()
    return sorted((row["reason"] for row in rows), key=lambda reason: reason or "")


def only_event(spark: SparkSession, shop: Shop, path: Path) -> dict[str, Any]:
    (row,) = judged(spark, shop, path).collect()
    return {
        name: value
        for name, value in row.asDict().items()
        if name not in ("raw", "ds", "file", "line", "place", "kind")
    }


def test_a_good_row_becomes_an_event(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    assert only_event(spark, shop, write_drop(str(tmp_path), "2024-03-10.csv", HEADER + GOOD + "\n")) == {
        "reason": None,
        "odd": None,
        "event_time": datetime(2024, 3, 10, 10, 0),
        "user_id": "ann",
        "item_id": "lamp",
        "event_type": "purchase",
        "quantity": 2.0,
        "price": 9.5,
        "session_id": None,
        "domain": "things",
    }


REASONS = {
    ",ann,lamp,1,1": "unreadable_time",
    "yesterday,ann,lamp,1,1": "unreadable_time",
    "2024-03-11 00:00:00,ann,lamp,1,1": "future",
    "2024-03-10 23:59:59,ann,lamp,1,1": None,
    "2024-02-08 10:00:00,ann,lamp,1,1": None,
    "2024-02-07 23:59:59,ann,lamp,1,1": "far_from_its_day",
    "2024-03-10 10:00:00, ,lamp,1,1": "missing_user_id",
    "2024-03-10 10:00:00,ann,,1,1": "missing_item_id",
    f"2024-03-10 10:00:00,{'a' * 257},lamp,1,1": "user_id_too_long",
    f"2024-03-10 10:00:00,ann,{'a' * 256},1,1": None,
    "2024-03-10 10:00:00,ann,lamp": "malformed",
    "2024-03-10 10:00:00,ann,lamp,1,1,more": "malformed",
}


def test_a_row_that_breaks_the_contract_gets_its_reason(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    lines = [f"#{number},{line}\n" for number, line in enumerate(REASONS)]
    path = write_drop(str(tmp_path), "2024-03-10.csv", "number," + HEADER + "".join(lines))
    found = {row["line"]: row["reason"] for row in judged(spark, shop, path).collect()}
    assert {line: found[number] for number, line in enumerate(REASONS, 2)} == REASONS


ODD_CELLS: dict[str, tuple[list[str] | None, float, float | None]] = {
    "many,1": (["unreadable_quantity"], 1.0, 1.0),
    "Infinity,1": (["unreadable_quantity"], 1.0, 1.0),
    "1e9,1": (["implausible_quantity"], 1.0, 1.0),
    "-2,1": (None, -2.0, 1.0),
    ",1": (None, 1.0, 1.0),
    "1,NaN": (None, 1.0, None),
    "1,£2": (None, 1.0, 2.0),
    "1,12.99 USD": (None, 1.0, 12.99),
    "1,12d": (["unreadable_price"], 1.0, None),
    "1,0x1p3": (["unreadable_price"], 1.0, None),
    "1,on request": (["unreadable_price"], 1.0, None),
    "1,999999999": (["implausible_price"], 1.0, None),
    "1,-0.5": (["negative_price"], 1.0, None),
    '1,"1,299.00"': (None, 1.0, 1299.0),
    '1,"1.299,00"': (None, 1.0, 1299.0),
    '1,"12,99"': (None, 1.0, 12.99),
    '1,"1,299"': (["unreadable_price"], 1.0, None),
    "1,": (None, 1.0, None),
}


def test_an_odd_cell_takes_away_itself_and_not_the_row(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    lines = [f"{n},2024-03-10 10:00:00,ann,lamp,{line}\n" for n, line in enumerate(ODD_CELLS)]
    path = write_drop(str(tmp_path), "2024-03-10.csv", "number," + HEADER + "".join(lines))
    rows = judged(spark, shop, path).collect()
    found = {row["line"]: (row["odd"], row["quantity"], row["price"]) for row in rows}
    assert {line: found[number] for number, line in enumerate(ODD_CELLS, 2)} == ODD_CELLS


def test_an_identical_line_counts_once(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    other = GOOD.replace("9.5", "9.6")
    assert reasons(spark, shop, tmp_path, GOOD, other, GOOD, GOOD) == [None, None, "duplicate", "duplicate"]


def test_the_same_line_on_two_days_is_two_events(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    paths = [write_drop(str(tmp_path), f"2024-03-{day}.csv", HEADER + GOOD + "\n") for day in (10, 11)]
    rows = judged(spark, shop, *paths).collect()
    assert sorted((row["ds"], row["reason"]) for row in rows) == [("2024-03-10", None), ("2024-03-11", None)]


def test_a_quarantined_row_is_kept_as_it_came(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    path = write_drop(str(tmp_path), "2024-03-10.csv", HEADER + 'now, ann,"la""mp, x",,1\nhalf\n')
    assert {(row["line"], row["raw"]) for row in judged(spark, shop, path).collect()} == {
        (2, '{"article":"la\\"mp, x","customer":"ann","price":"1","time":"now"}'),
        (3, '{"line": "half"}'),
    }


RULES: list[tuple[dict[str, Any], list[str]]] = [
    ({"is_null": True}, [""]),
    ({"is_null": False}, ["1", "-1", "x", "12"]),
    ({"matches": "^-"}, ["-1"]),
    ({"not_matches": "^[0-9]+$"}, ["", "-1", "x"]),
    ({"at_most": 1}, ["1", "-1"]),
    ({"below": 1}, ["-1"]),
    ({"one_of": ("x", "12")}, ["x", "12"]),
]


def test_each_rule_of_a_shop_refuses_what_it_says(spark: SparkSession) -> None:
    raw_rows = [(text, text or None) for text in ("", "1", "-1", "x", "12")]
    rows = spark.createDataFrame(raw_rows, f"raw string, {text_column('units')} string")
    rules = shop_rules([RejectRule(str(i), "units", **condition) for i, (condition, _) in enumerate(RULES)])
    judged_rows = rows.select("raw", *(rule.alias(name) for name, rule in rules))
    collected = judged_rows.collect()
    for name, (condition, refused) in enumerate(RULES):
        assert [row["raw"] for row in collected if row[str(name)]] == refused, condition


def test_the_first_rule_that_holds_names_the_reason(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    rules = (RejectRule("no_lamps", "article", matches="lamp"), RejectRule("no_ann", "customer", one_of=("ann",)))
    shop = replace(shop, events=replace(shop.events, reject=rules))
    lines = ("nonsense,ann,lamp,1,1", "nonsense,ann,chair,1,1", "nonsense,bob,chair,1,1")
    assert reasons(spark, shop, tmp_path, *lines) == ["no_ann", "no_lamps", "unreadable_time"]


def test_words_of_the_shop_become_event_types(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    raw = RawFile(
        path="{ds}.csv",
        columns={"event_time": "t", "user_id": "u", "item_id": "i", "event_type": "what"},
        event_types={"bought": "purchase", "seen": "view"},
    )
    text = "what,t,u,i\n" + "".join(f"{what},2024-03-10 10:00:00,ann,lamp\n" for what in ("bought", "seen", "view", ""))
    path = write_drop(str(tmp_path), "2024-03-10.csv", text)
    rows = judged(spark, replace(shop, events=raw), path).collect()
    assert sorted((row["event_type"] or "", row["reason"] or "") for row in rows) == [
        ("", "unknown_event_type"),
        ("", "unknown_event_type"),
        ("purchase", ""),
        ("view", ""),
    ]


def test_times_are_read_in_the_shops_zone_unless_they_name_one(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    local = replace(shop, events=replace(shop.events, timezone="Europe/Berlin"))
    path = write_drop(str(tmp_path), "2024-03-10.csv", HEADER + GOOD + "\n")
    assert only_event(spark, local, path)["event_time"] == datetime(2024, 3, 10, 9, 0)
    zoned = replace(shop, events=replace(local.events, time_format="yyyy-MM-dd'T'HH:mm:ssXXX"))
    path = write_drop(str(tmp_path), "2024-03-10.csv", HEADER + "2024-03-10T10:00:00+05:00,ann,lamp,1,1\n")
    assert only_event(spark, zoned, path)["event_time"] == datetime(2024, 3, 10, 5, 0)


def test_an_id_loses_the_fraction_that_a_table_of_floats_gave_it(
    spark: SparkSession, shop: Shop, tmp_path: Path
) -> None:
    path = write_drop(str(tmp_path), "2024-03-10.csv", HEADER + "2024-03-10 10:00:00,13798.0,v1.0,1,1\n")
    event = only_event(spark, shop, path)
    assert (event["user_id"], event["item_id"]) == ("13798", "v1.0")


def test_files_whose_columns_stand_in_another_order_are_read_by_name(
    spark: SparkSession, shop: Shop, tmp_path: Path
) -> None:
    gzipped = replace(shop, events=replace(shop.events, path="{data}/{ds}.csv.gz"))
    first = write_drop(str(tmp_path), "2024-03-10.csv.gz", HEADER + GOOD + "\n")
    turned = "price,units,article,customer,time\n9.5,2,lamp,ann,2024-03-10 10:00:00\n"
    second = write_drop(str(tmp_path), "2024-03-11.csv.gz", "\ufeff" + turned)
    events = [row.asDict() for row in judged(spark, gzipped, first, second).orderBy("ds").drop("raw", "file").collect()]
    assert [event.pop("ds") for event in events] == ["2024-03-10", "2024-03-11"]
    assert events[0] == events[1]


def test_json_and_parquet_files_give_the_same_events(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    csv_event = only_event(spark, shop, write_drop(str(tmp_path), "2024-03-10.csv", HEADER + GOOD + "\n"))
    line = '{"time": "2024-03-10 10:00:00", "customer": "ann", "article": "lamp", "units": 2, "price": 9.5}\n'
    json_shop = replace(shop, events=replace(shop.events, path="{data}/{ds}.json", format="json"))
    json_path = write_drop(str(tmp_path), "2024-03-10.json", line)
    assert only_event(spark, json_shop, json_path) == csv_event
    columns = {
        "time": [datetime(2024, 3, 10, 10)],
        "customer": ["ann"],
        "article": ["lamp"],
        "units": [2],
        "price": [9.5],
    }
    pq.write_table(pa.table(columns), tmp_path / "2024-03-10.parquet")
    parquet_shop = replace(shop, events=replace(shop.events, path="{data}/{ds}.parquet", format="parquet"))
    assert only_event(spark, parquet_shop, tmp_path / "2024-03-10.parquet") == csv_event


IN_BERLIN = "2024-03-10 11:00:00.000000123"


@pytest.mark.parametrize(
    ("time", "time_format"),
    [
        (pd.Timestamp(IN_BERLIN), "yyyy-MM-dd HH:mm:ss"),
        (pd.Timestamp(IN_BERLIN, tz="Europe/Berlin"), "yyyy-MM-dd HH:mm:ss"),
        (pd.Timestamp(IN_BERLIN).as_unit("us"), "yyyy-MM-dd HH:mm:ss"),
        (pd.Timestamp(IN_BERLIN, tz="Europe/Berlin"), "yyyy-MM-dd'T'HH:mm:ssXXX"),
        (pd.Timestamp(IN_BERLIN), "unix_seconds"),
        (pd.Timestamp(IN_BERLIN, tz="Europe/Berlin").as_unit("ms"), "unix_milliseconds"),
    ],
)
def test_a_parquet_file_may_hold_times_of_any_kind(
    spark: SparkSession, shop: Shop, tmp_path: Path, time: pd.Timestamp, time_format: str
) -> None:
    path = tmp_path / "2024-03-10.parquet"
    row = {"time": time, "customer": "ann", "article": "lamp", "units": 2, "price": 9.5}
    pd.DataFrame([row]).to_parquet(path, index=False)
    raw = replace(shop.events, path="{data}/{ds}.parquet", format="parquet")
    raw = replace(raw, time_format=time_format, timezone="Europe/Berlin")
    assert only_event(spark, replace(shop, events=raw), path)["event_time"] == datetime(2024, 3, 10, 10)


def test_a_parquet_file_may_hold_days(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "2024-03-10.parquet"
    row = {"time": date(2024, 3, 10), "customer": "ann", "article": "lamp", "units": 2, "price": 9.5}
    pd.DataFrame([row]).to_parquet(path, index=False)
    raw = replace(shop.events, path="{data}/{ds}.parquet", format="parquet", time_format="yyyy-MM-dd")
    assert only_event(spark, replace(shop, events=raw), path)["event_time"] == datetime(2024, 3, 10)


def test_parquet_files_whose_times_differ_in_kind_are_read_apart(
    spark: SparkSession, shop: Shop, tmp_path: Path
) -> None:
    raw = replace(shop.events, path="{data}/{ds}.parquet", format="parquet")
    ten = pd.Timestamp("2024-03-10 10:00").as_unit("ns")
    paths = []
    for time in (ten, ten.as_unit("us") + pd.Timedelta(days=1), ten + pd.Timedelta(days=2)):
        paths.append(tmp_path / f"{time:%Y-%m-%d}.parquet")
        row = {"time": time, "customer": "ann", "article": "lamp", "units": 2, "price": 9.5}
        pd.DataFrame([row]).to_parquet(paths[-1], index=False)
    rows = judged(spark, replace(shop, events=raw), *paths).orderBy("ds").collect()
    assert [row["event_time"].isoformat() for row in rows] == [f"2024-03-{day}T10:00:00" for day in (10, 11, 12)]
