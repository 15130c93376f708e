"""Rows of a day that say the same thing are one event, by key; whoever does far too much is no shopper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.shop.shop import Shop
from jobs.raw.dropped_files import dropped_file
from jobs.raw.events import validated_events
from jobs.raw.ingest_plan import required_columns
from jobs.raw.raw_rows import read_raw_rows
from tests.worlds.raw_drops import write_drop

HEADER = "time,customer,article,units,price,note\n"
TEN = "2024-03-10 10:00:00"


def verdicts(spark: SparkSession, shop: Shop, folder: Path, *lines: str, parts: int = 2) -> list[tuple[str, str]]:
    """(note, reason) of each line, in the order of the notes; an accepted line has no reason."""
    path = write_drop(str(folder), "2024-03-10.csv", HEADER + "\n".join(lines) + "\n")
    file = dropped_file("events", "2024-03-10", str(path))
    rows = read_raw_rows(spark, shop.events, [file], required_columns(shop)["events"])
    judged = validated_events({"events": rows}, shop, parts).select("line", "reason").collect()
    return sorted((lines[row["line"] - 2].rpartition(",")[2], row["reason"] or "") for row in judged)


def with_key(shop: Shop, *key: str) -> Shop:
    return replace(shop, events=replace(shop.events, duplicate_key=key))


def with_bound(shop: Shop, max_user_events: int) -> Shop:
    return replace(shop, drops=replace(shop.drops, max_user_events=max_user_events))


def test_rows_that_agree_in_all_mapped_columns_are_one_event_whatever_else_they_say(
    spark: SparkSession, shop: Shop, tmp_path: Path
) -> None:
    lines = (f"{TEN},ann,lamp,1,9,b", f"{TEN},ann,lamp,1.0,9.00,a", f"{TEN},ann,lamp,2,9,c", f"{TEN},bob,lamp,1,9,d")
    assert verdicts(spark, shop, tmp_path, *lines) == [("a", "duplicate"), ("b", ""), ("c", ""), ("d", "")]


def test_the_shops_key_decides_and_the_first_line_is_kept(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    shop = with_key(shop, "event_time", "user_id", "item_id")
    lines = (f"{TEN},ann,lamp,10,1,a", f"{TEN},ann,lamp,9,7,b", f"{TEN},ann,lamp,9,3,c", f"{TEN},ann,rug,10,1,d")
    expected = [("a", ""), ("b", "duplicate"), ("c", "duplicate"), ("d", "")]
    assert verdicts(spark, shop, tmp_path, *lines) == expected
    assert verdicts(spark, shop, tmp_path, *lines, parts=7) == expected


def test_rows_that_are_units_become_one_event_of_as_many_pieces(
    spark: SparkSession, shop: Shop, tmp_path: Path
) -> None:
    units = replace(shop, events=replace(shop.events, rows_are="units"))
    path = write_drop(
        str(tmp_path), "2024-03-10.csv", HEADER + f"{TEN},ann,lamp,1,9,a\n" * 3 + f"{TEN},bob,rug,1,9,b\n"
    )
    file = dropped_file("events", "2024-03-10", str(path))
    raw = read_raw_rows(spark, units.events, [file], required_columns(units)["events"])
    rows = validated_events({"events": raw}, units, 2)
    found = [(row["line"], row["reason"], row["quantity"]) for row in rows.orderBy("line").collect()]
    assert [(line, reason) for line, reason, _ in found] == [
        (2, None),
        (3, "unit_of_another_row"),
        (4, "unit_of_another_row"),
        (5, None),
    ]
    assert (found[0][2], found[3][2]) == (3.0, 1.0)


def test_a_refused_row_takes_no_place_from_a_good_one(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    shop = with_key(shop, "event_time", "user_id", "item_id")
    lines = ("yesterday,ann,lamp,1,1,a", f"{TEN},ann,lamp,1,1,b", f"{TEN},,lamp,1,1,c", f"{TEN},,lamp,1,1,d")
    assert verdicts(spark, shop, tmp_path, *lines) == [
        ("a", "unreadable_time"),
        ("b", ""),
        ("c", "missing_user_id"),
        ("d", "missing_user_id"),
    ]


def test_whoever_has_too_many_events_on_a_day_is_refused_with_all_of_them(
    spark: SparkSession, shop: Shop, tmp_path: Path
) -> None:
    lines = [f"2024-03-10 10:00:0{i},{user},lamp,1,9,{user}{i}" for user in ("ann", "bob") for i in range(3)]
    lines = [*lines[:-1], lines[4], "never,ann,lamp,1,9,late"]  # bob sent one of his two events twice
    found = dict(verdicts(spark, with_bound(shop, 2), tmp_path, *lines))
    assert {note: reason for note, reason in found.items() if note.startswith("ann")} == {
        "ann0": "too_many_events",
        "ann1": "too_many_events",
        "ann2": "too_many_events",
    }
    assert found["late"] == "unreadable_time"
    assert verdicts(spark, with_bound(shop, 2), tmp_path, *lines)[3:6] == [
        ("bob0", ""),
        ("bob1", ""),
        ("bob1", "duplicate"),
    ]


@pytest.mark.parametrize("bound", [3, 0])
def test_a_bound_that_is_met_or_absent_refuses_nobody(
    spark: SparkSession, shop: Shop, tmp_path: Path, bound: int
) -> None:
    lines = [f"2024-03-10 10:00:0{i},ann,lamp,1,9,{i}" for i in range(3)]
    assert {reason for _, reason in verdicts(spark, with_bound(shop, bound), tmp_path, *lines)} == {""}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (("user_id", "colour"), r"`events.duplicate_key` names \['colour'\], which `events.columns` does not map"),
        (("user_id", "session_id"), r"names \['session_id'\]"),
        (("event_time", "item_id"), "must hold 'user_id'"),
    ],
)
def test_a_key_of_columns_that_the_shop_does_not_map_is_refused(shop: Shop, key: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_key(shop, *key)


def test_times_may_count_seconds_or_milliseconds(spark: SparkSession, shop: Shop, tmp_path: Path) -> None:
    for time_format, factor in (("unix_seconds", 1), ("unix_milliseconds", 1000)):
        counted = replace(shop, events=replace(shop.events, time_format=time_format, timezone="Europe/Berlin"))
        midnight = 1710028800  # 2024-03-10 in UTC, whatever the zone of the shop
        lines = (f"{midnight * factor},ann,lamp,1,1,a", f"{(midnight + 86_400) * factor},ann,lamp,1,1,b", "x,a,l,1,1,c")
        assert verdicts(spark, counted, tmp_path, *lines) == [("a", ""), ("b", "future"), ("c", "unreadable_time")]
