"""Rows of a table go into the lake as those of a file do: all of them, once, and again when a day was corrected."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.program import Night
from expectations.shop.drop_settings import Drops
from expectations.shop.raw_files import RejectRule
from expectations.shop.table_source import TableSource
from expectations.tables import EVENTS, ITEMS, QUARANTINE, USER_UPDATES, NightError
from jobs.ingest import ingest, look_at_drop
from jobs.list_stale import staleness
from tests.worlds.source_tables import DuckDbWorld, Row, SourceWorld

FIRST, SECOND = "2024-03-08", "2024-03-10"
LAMP: Row = ("09:00:00", "ann", 11, 1, "9.00")
RUG: Row = ("10:00:00", "bob", 12, 2, "50.25")
TEST_ORDER: Row = ("11:00:00", "TEST-1", 12, 1, "1.00")
NOBODYS: Row = ("12:00:00", None, 11, 1, "9.00")
VASE: Row = ("08:00:00", "cyd", 13, 1, "7.50")


def of_shop(night: Night, world: SourceWorld) -> Night:
    source = replace(world.source(), reject=(RejectRule("test_order", "customer", matches="^TEST"),))
    shop = replace(night.shop, events=source, drops=replace(Drops(), max_reject_share=0.5))
    return replace(night, shop=shop, connections=world.connections)


def bought(night: Night, ds: str) -> list[tuple[object, ...]]:
    rows = night.lake.read(EVENTS, ds).to_pylist()
    return sorted((row["user_id"], row["item_id"], row["quantity"], row["price"]) for row in rows)


def test_a_table_is_taken_in_day_by_day_and_a_corrected_day_again(
    spark: SparkSession, night: Night, world: SourceWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.set_day(FIRST, [LAMP, RUG, TEST_ORDER, NOBODYS])
    world.set_day(SECOND, [VASE])
    night = of_shop(night, world)
    ingest(spark, night)
    assert bought(night, FIRST) == [("ann", "11", 1.0, 9.0), ("bob", "12", 2.0, 50.25)]
    assert bought(night, SECOND) == [("cyd", "13", 1.0, 7.5)]
    refused = night.lake.read(QUARANTINE, FIRST).to_pylist()
    assert sorted(row["reason"] for row in refused) == ["missing_user_id", "test_order"]
    assert all("/raw_tables/" in row["file"] and 1 <= row["line"] <= 4 for row in refused)
    assert night.lake.require(EVENTS, FIRST).metadata["rows_read"] == {"events": 4}

    before = {ds: night.lake.require(EVENTS, ds) for ds in (FIRST, SECOND)}
    caplog.set_level(logging.INFO)
    caplog.clear()
    ingest(spark, night)
    assert {ds: night.lake.require(EVENTS, ds) for ds in (FIRST, SECOND)} == before
    assert not [message for message in caplog.messages if message.startswith("read table")]

    world.set_day(FIRST, [LAMP])
    assert staleness(night).waiting == (FIRST,)
    ingest(spark, night)
    assert bought(night, FIRST) == [("ann", "11", 1.0, 9.0)]
    assert night.lake.require(EVENTS, SECOND) == before[SECOND]
    assert staleness(night).waiting == ()


def test_users_may_come_from_a_table_beside_events(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    world = DuckDbWorld(tmp_path)
    world.set_day(SECOND, [VASE, LAMP])
    night = of_shop(night, world)
    people = replace(world.source(), columns={"user_id": "customer", "country": "note"}, constants={})
    night = replace(night, shop=replace(night.shop, users=people))
    ingest(spark, night)
    users = night.lake.read(USER_UPDATES, SECOND).to_pylist()
    assert {user["user_id"]: user["country"] for user in users} == {"ann": "gift", "cyd": "gift"}


def test_a_catalogue_without_days_stands_for_the_day_on_which_it_was_read(
    spark: SparkSession, night: Night, tmp_path: Path
) -> None:
    world = DuckDbWorld(tmp_path)
    world.set_day(FIRST, [LAMP])
    night = of_shop(night, world)
    products = TableSource(query="SELECT * FROM purchases", days_query="SELECT max(day) FROM purchases", recheck_days=1)
    items = replace(world.source(), columns={"item_id": "article", "title": "note"}, constants={}, table=products)
    night = replace(night, shop=replace(night.shop, items=items))
    ingest(spark, replace(night, ds=FIRST))
    before = night.lake.require(EVENTS, FIRST)
    world.set_day(SECOND, [VASE])
    ingest(spark, night)
    assert night.lake.require(EVENTS, FIRST) == before
    assert {item["item_id"] for item in night.lake.read(ITEMS, FIRST).to_pylist()} == {"11"}
    assert {item["item_id"] for item in night.lake.read(ITEMS, SECOND).to_pylist()} == {"11", "13"}


def test_a_look_at_a_day_of_a_table_takes_nothing_in(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    world = DuckDbWorld(tmp_path)
    world.set_day(SECOND, [VASE, NOBODYS])
    night = of_shop(night, world)
    assert "missing_user_id" in look_at_drop(spark, night)
    assert night.lake.days(EVENTS) == []


def test_a_column_that_is_not_in_the_table_is_named(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    world = DuckDbWorld(tmp_path)
    world.set_day(SECOND, [VASE])
    night = of_shop(night, world)
    source = replace(night.shop.events, columns={**night.shop.events.columns, "price": "cost"})
    with pytest.raises(NightError, match=r"no column 'cost'.*Found: .*price") as error:
        ingest(spark, replace(night, shop=replace(night.shop, events=source)))
    assert "\n" not in str(error.value)
