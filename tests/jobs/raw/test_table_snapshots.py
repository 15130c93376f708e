"""A day of a table is read once, again when it has changed, and not when it has not; whatever kind of table it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from expectations.runtime.drops import DropFolder
from expectations.runtime.program import Night
from expectations.shop.raw_files import RawFile
from jobs.raw.table_snapshots import take_snapshots
from tests.worlds.postgres_server import postgres_server
from tests.worlds.source_tables import DeltaWorld, DuckDbWorld, IcebergWorld, PostgresWorld, Row, SourceWorld

FIRST, SECOND = "2024-03-08", "2024-03-10"
LAMP: Row = ("09:00:00.250000", "ann", 11, 1, "9.00")
RUG: Row = ("23:59:59.999999", "bob", 12, 2, "50.25")
VASE: Row = ("00:00:00", "cyd", 13, 1, "7.50")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with postgres_server() as address:
        yield address


@pytest.fixture(params=["delta", "iceberg", "duckdb", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> SourceWorld:
    if request.param == "postgres":
        return PostgresWorld(request.getfixturevalue("address"))
    worlds: dict[str, Callable[[Path], SourceWorld]] = {
        "delta": DeltaWorld,
        "iceberg": IcebergWorld,
        "duckdb": DuckDbWorld,
    }
    return worlds[request.param](tmp_path)


@pytest.fixture
def table(world: SourceWorld) -> SourceWorld:
    world.set_day(FIRST, [LAMP, RUG])
    world.set_day(SECOND, [VASE])
    return world


def seen(night: Night, world: SourceWorld, raw: RawFile | None = None) -> DropFolder:
    """The drops as a program that starts now sees them."""
    shop = replace(night.shop, events=raw or world.source())
    return replace(night, shop=shop, connections=world.connections).drop_folder


def read(drops: DropFolder, night: str = SECOND) -> dict[str, Path]:
    """Takes the snapshots of a night; returns day -> the file that is its drop."""
    days = drops.days(drops.shop.events, night)
    take_snapshots(drops, days, night)
    return {day: Path(*drops.files(drops.shop.events, day)) for day in days}


def test_a_day_has_its_own_rows_and_no_others(night: Night, table: SourceWorld) -> None:
    files = read(seen(night, table))
    assert list(files) == [FIRST, SECOND]
    rows = pq.read_table(files[FIRST]).select(["sold_at", "customer", "article", "units"]).to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == [
        (datetime(2024, 3, 8, 9, 0, 0, 250_000, timezone.utc), "ann", 11, 1),
        (datetime(2024, 3, 8, 23, 59, 59, 999_999, timezone.utc), "bob", 12, 2),
    ]
    assert pq.read_table(files[SECOND])["customer"].to_pylist() == ["cyd"]


def test_only_a_day_that_changed_is_read_again(
    night: Night, table: SourceWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jobs.raw.table_snapshots")
    before = read(seen(night, table))
    assert [message.partition("ds=")[2] for message in caplog.messages] == [f"{FIRST} rows=2", f"{SECOND} rows=1"]
    caplog.clear()
    assert read(seen(night, table)) == before
    assert caplog.messages == []
    table.set_day(FIRST, [LAMP])
    after = read(seen(night, table))
    assert [message.partition("ds=")[2] for message in caplog.messages] == [f"{FIRST} rows=1"]
    assert after[FIRST] != before[FIRST] and after[SECOND] == before[SECOND]


def test_the_same_rows_written_anew_are_the_same_drop(night: Night, table: SourceWorld) -> None:
    def without_change(raw: RawFile) -> RawFile:
        """The queries of the databases without their column of changes, which would be part of a row."""
        assert raw.table
        columns = "day, sold_at, customer, article, units, price"
        return replace(raw, table=replace(raw.table, query=raw.table.query.replace("*", columns)))

    before = read(seen(night, table, without_change(table.source())))
    table.set_day(FIRST, [RUG, LAMP])
    assert read(seen(night, table, without_change(table.source()))) == before


def test_a_later_day_is_not_there_for_an_earlier_night(night: Night, table: SourceWorld) -> None:
    assert list(read(seen(night, table), "2024-03-09")) == [FIRST]


def test_a_day_is_complete_when_it_has_rows_and_is_over(night: Night, table: SourceWorld) -> None:
    drops = seen(night, table)
    minute = datetime(2024, 3, 11, 0, 0, 59, tzinfo=timezone.utc)
    assert drops.state(SECOND, minute) == "being_written"
    assert drops.state(SECOND, minute.replace(minute=1)) == "complete"
    assert drops.state("2024-03-09", minute) == "absent"


def test_a_snapshot_that_somebody_took_away_is_written_again(night: Night, table: SourceWorld) -> None:
    before = read(seen(night, table))
    before[FIRST].unlink()
    assert read(seen(night, table)) == before
    assert before[FIRST].exists()


def test_another_question_to_the_table_reads_its_days_again(night: Night, table: SourceWorld) -> None:
    before = read(seen(night, table))
    raw = table.source()
    assert raw.table
    ordered = read(seen(night, table, replace(raw, table=replace(raw.table, order_by=("customer",)))))
    assert ordered[FIRST].parent != before[FIRST].parent
