"""Exports that repeat the days before them, and drops whose day is not the UTC day."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.days import end_of
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.drop_settings import Drops
from expectations.tables import EVENTS, QUARANTINE, NightError
from jobs.ingest import ingest
from jobs.list_stale import staleness
from tests.worlds.raw_drops import write_drop

DAYS = ("2024-03-08", "2024-03-09", "2024-03-10")
BOUGHT = {
    "2024-03-08": ("09:00:00,ann,lamp,1,9", "10:00:00,bob,rug,1,50"),
    "2024-03-09": ("11:00:00,ann,rug,1,50",),
    "2024-03-10": ("12:00:00,cyd,cup,1,5", "12:30:00,dan,cup,1,5"),
}


def drop(night: Night, ds: str, of_days: tuple[str, ...]) -> None:
    """Writes the drop of `ds`, which holds what was bought on all of these days."""
    lines = "".join(f"{day} {line}\n" for day in of_days for line in BOUGHT[day])
    write_drop(night.data, f"{ds}.csv", "time,customer,article,units,price\n" + lines)


def taken_in(night: Night) -> dict[str, list[str]]:
    return {ds: sorted(night.lake.read(EVENTS, ds)["user_id"].to_pylist()) for ds in night.lake.days(EVENTS)}


def reasons(night: Night, ds: str) -> list[str]:
    return sorted(night.lake.read(QUARANTINE, ds)["reason"].to_pylist())


@pytest.fixture
def overlapping(night: Night) -> Night:
    """Each drop holds the day before it once more."""
    drop(night, DAYS[0], DAYS[:1])
    drop(night, DAYS[1], DAYS[:2])
    drop(night, DAYS[2], DAYS[1:])
    return replace(night, ds=DAYS[2])


def with_days(night: Night, duplicate_days: int) -> Night:
    return replace(night, shop=replace(night.shop, drops=replace(Drops(), duplicate_days=duplicate_days)))


def test_an_event_counts_once_however_many_drops_repeat_it(spark: SparkSession, overlapping: Night) -> None:
    night = with_days(overlapping, 1)
    ingest(spark, night)
    once = {DAYS[0]: ["ann", "bob"], DAYS[1]: ["ann"], DAYS[2]: ["cyd", "dan"]}
    assert taken_in(night) == once
    assert reasons(night, DAYS[1]) == ["repeat_of_earlier_day"] * 2
    one_by_one = replace(night, lake=Lake(f"{night.lake.root}-one-by-one"))
    for ds in DAYS:
        ingest(spark, replace(one_by_one, ds=ds))
    assert taken_in(one_by_one) == once
    assert [one_by_one.lake.require(EVENTS, ds).fingerprint for ds in DAYS] == [
        night.lake.require(EVENTS, ds).fingerprint for ds in DAYS
    ]


def test_a_correction_reads_the_days_again_that_may_repeat_it(spark: SparkSession, overlapping: Night) -> None:
    night = with_days(overlapping, 1)
    ingest(spark, night)
    last = night.lake.require(EVENTS, DAYS[2])
    # Bob's purchase was missing from its own day, and stands in the export of the day after alone.
    write_drop(night.data, f"{DAYS[0]}.csv", f"time,customer,article,units,price\n{DAYS[0]} 09:00:00,ann,lamp,1,9\n")
    assert staleness(night).waiting == (DAYS[0],)
    ingest(spark, night)
    assert taken_in(night) == {DAYS[0]: ["ann"], DAYS[1]: ["ann", "bob"], DAYS[2]: ["cyd", "dan"]}
    assert night.lake.require(EVENTS, DAYS[2]) == last


def test_an_event_older_than_what_is_compared_is_refused_by_name(spark: SparkSession, overlapping: Night) -> None:
    night = with_days(overlapping, 1)
    drop(night, DAYS[2], DAYS)
    ingest(spark, replace(night, shop=replace(night.shop, drops=replace(night.shop.drops, max_reject_share=0.5))))
    assert reasons(night, DAYS[2]) == ["older_than_duplicate_days"] * 2 + ["repeat_of_earlier_day"]


def test_a_shop_that_does_not_say_that_its_exports_overlap_is_told(spark: SparkSession, overlapping: Night) -> None:
    rule = rf"drop of {DAYS[1]}: 2 of 3 events stand in a drop of the 7 days before, too\. .* duplicate_days"
    with pytest.raises(NightError, match=rule):
        ingest(spark, overlapping)
    assert overlapping.lake.days(EVENTS) == []


def test_a_late_event_that_stands_in_no_other_drop_is_no_repeat(spark: SparkSession, night: Night) -> None:
    drop(night, DAYS[0], DAYS[:1])
    drop(night, DAYS[2], DAYS[1:])
    ingest(spark, replace(night, ds=DAYS[2]))
    assert taken_in(night) == {DAYS[0]: ["ann", "bob"], DAYS[2]: ["ann", "cyd", "dan"]}


def test_the_day_of_a_drop_may_be_that_of_new_york(spark: SparkSession, night: Night) -> None:
    # On this day clocks go forward there: it has 23 hours, and ends at four in UTC.
    times = ("2024-03-10 04:30:00", "2024-03-11 03:59:59", "2024-03-11 04:00:00")
    lines = "".join(f"{time},ann,lamp,{place},9\n" for place, time in enumerate(times, 1))
    write_drop(night.data, "2024-03-10.csv", "time,customer,article,units,price\n" + lines)
    local = Drops(day_timezone="America/New_York", max_reject_share=0.5)
    ingest(spark, replace(night, shop=replace(night.shop, drops=local)))
    assert sorted(night.lake.read(EVENTS, night.ds)["quantity"].to_pylist()) == [1.0, 2.0]
    assert reasons(night, night.ds) == ["future"]
    assert end_of(night.ds, "America/New_York") == datetime(2024, 3, 11, 4, tzinfo=timezone.utc)


def test_a_shop_whose_day_is_local_and_does_not_say_so_is_told(spark: SparkSession, night: Night) -> None:
    lines = "".join(f"2024-03-11 0{hour}:00:00,ann,lamp,1,9\n" for hour in range(4))
    write_drop(
        night.data, "2024-03-10.csv", f"time,customer,article,units,price\n2024-03-10 09:00:00,bob,lamp,1,9\n{lines}"
    )
    with pytest.raises(NightError, match=r"future 4.*`day_timezone` under \[drops\] says of which zone"):
        ingest(spark, night)


@pytest.mark.parametrize(
    ("zone", "end"),
    [("UTC", "2024-03-11T00:00"), ("Asia/Shanghai", "2024-03-10T16:00"), ("-05:30", "2024-03-11T05:30")],
)
def test_a_day_ends_at_midnight_of_its_zone(zone: str, end: str) -> None:
    assert end_of("2024-03-10", zone) == datetime.fromisoformat(f"{end}+00:00")
