"""A day of a table is read once, again when it has changed, and not when it has not; whatever kind of table it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, time, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from expectations.runtime.drops import DropFolder
from expectations.runtime.program import Night
from expectations.shop.raw_files import RawFile
from expectations.tables import NightError
from jobs.raw.table_snapshots import take_snapshots, write_in_order
from tests.worlds.source_tables import DeltaWorld, DuckDbWorld, Row, SourceWorld, purchases

FIRST, SECOND = "2024-03-08", "2024-03-10"
LAMP: Row = ("09:00:00.250000", "ann", 11, 1, "9.00")
RUG: Row = ("23:59:59.999999", "bob", 12, 2, "50.25")
VASE: Row = ("00:00:00", "cyd", 13, 1, "7.50")


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
    days = drops.days(night)
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
    caplog.clear()
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


def test_without_marks_the_last_days_are_read_again_and_older_ones_are_not(
    night: Night, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = DuckDbWorld(tmp_path)
    world.days_query = "SELECT DISTINCT day FROM purchases"
    for ds in (FIRST, SECOND):
        world.set_day(ds, [LAMP])
    raw = world.source()
    assert raw.table
    raw = replace(raw, table=replace(raw.table, recheck_days=2))
    before = read(seen(night, world, raw))
    caplog.set_level(logging.INFO, "jobs.raw.table_snapshots")
    caplog.clear()
    for ds in (FIRST, SECOND):
        world.set_day(ds, [RUG, LAMP])
    after = read(seen(night, world, raw))
    assert [message.partition("ds=")[2] for message in caplog.messages] == [f"{SECOND} rows=2"]
    assert after[FIRST] == before[FIRST] and after[SECOND] != before[SECOND]


def test_a_day_that_the_table_no_longer_tells_of_counts_as_it_was_read(night: Night, tmp_path: Path) -> None:
    world = DuckDbWorld(tmp_path)
    world.days_query = "SELECT max(day) FROM purchases"
    world.set_day(FIRST, [LAMP])
    before = read(seen(night, world), FIRST)
    world.set_day(SECOND, [VASE])
    drops = seen(night, world)
    assert list(read(drops)) == drops.days(SECOND) == [SECOND]
    assert [Path(path) for path in drops.files(drops.shop.events, FIRST)] == [before[FIRST]]
    assert drops.files(drops.shop.events, "2024-03-09") == {}


def test_a_day_that_is_named_and_has_no_rows_stops_the_night(night: Night, tmp_path: Path) -> None:
    world = DuckDbWorld(tmp_path)
    world.set_day(FIRST, [LAMP])
    world.days_query = "SELECT day + 1 FROM purchases"
    with pytest.raises(NightError, match="has no rows of 2024-03-09, a day that it names itself") as error:
        read(seen(night, world))
    assert "\n" not in str(error.value)


def test_compacting_a_delta_table_reads_its_days_again_and_changes_no_drop(
    night: Night, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = DeltaWorld(tmp_path)
    world.set_day(FIRST, [LAMP])
    for rows in ([RUG], [VASE]):
        write_deltalake(world.path, purchases(FIRST, rows), mode="append")
    before = read(seen(night, world))
    caplog.set_level(logging.INFO, "jobs.raw.table_snapshots")
    caplog.clear()
    DeltaTable(world.path).optimize.compact()
    assert read(seen(night, world)) == before
    assert [message.partition("ds=")[2] for message in caplog.messages] == [f"{FIRST} rows=3"]


EVERYTHING = pa.table(
    {
        "Twin": pa.array([1, 2, None], pa.int64()),
        "twin": pa.array([0.5, float("nan"), None], pa.float64()),
        "texts": pa.array(["b", "a", None], pa.large_string()),
        "views": pa.array(["ü", "", None], pa.string_view()),
        "words": pa.array(["x", "y", None]).dictionary_encode(),
        "bytes": pa.array([b"\xff", b"", None], pa.large_binary()),
        "exact": pa.array([Decimal("1.50"), Decimal("-2.00"), None], pa.decimal128(38, 2)),
        "list": pa.array([[{"sku": "a", "n": 1}], [], None]),
        "object": pa.array([{"at": datetime(2024, 3, 8)}, None, None]),
        "map": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        "nanoseconds": pa.array([1, 2, None], pa.timestamp("ns")),
        "moment": pa.array([datetime(2024, 3, 8, tzinfo=timezone.utc)] * 2 + [None], pa.timestamp("us", "UTC")),
        "nothing": pa.nulls(3),
    }
)
AS_TEXTS = {
    "wide": (pa.array([Decimal(10**50)], pa.decimal256(60, 0)), str(10**50)),
    "time": (pa.array([time(10, 30)]), "10:30:00.000000"),
    "id": (pa.array([UUID(int=5).bytes], pa.uuid()), str(UUID(int=5))),
    "half": (pa.array([1.5], pa.float16()), "1.5"),
}


def written(rows: pa.Table, target: Path, order_by: Sequence[str] = (), batch: int = 2) -> pa.Table:
    reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(max_chunksize=batch))
    assert write_in_order(reader, order_by, target, "the table") == rows.num_rows
    return pq.read_table(target)


def test_values_are_kept_whatever_their_type(tmp_path: Path) -> None:
    kept = written(EVERYTHING, tmp_path / "rows.parquet").sort_by("nanoseconds")
    for name in EVERYTHING.column_names:
        before, after = EVERYTHING[name].to_pylist(), kept[name].to_pylist()
        assert str(after) == str(before), name
    texts = pa.table({name: values for name, (values, _) in AS_TEXTS.items()})
    assert written(texts, tmp_path / "texts.parquet").to_pylist() == [{k: text for k, (_, text) in AS_TEXTS.items()}]


CELLS = st.tuples(st.one_of(st.none(), st.text(max_size=3)), st.one_of(st.none(), st.floats(width=32)))

ROWS_TWICE = st.lists(CELLS, min_size=1, max_size=30).flatmap(
    lambda rows: st.tuples(st.just(rows), st.permutations(rows))
)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS_TWICE)
@example(rows=([("a", 0.0), ("a", -0.0)], [("a", -0.0), ("a", 0.0)]))
def test_the_same_rows_in_any_order_are_the_same_bytes(
    tmp_path: Path, rows: tuple[list[tuple[str | None, float | None]], list[tuple[str | None, float | None]]]
) -> None:
    files = []
    for number, of in enumerate(rows):
        texts, numbers = zip(*of, strict=True)
        table = pa.table({"a": pa.array(texts, pa.string()), "b": pa.array(numbers, pa.float32())})
        files.append(tmp_path / f"{number}.parquet")
        written(table, files[-1], batch=1 + number)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_rows_stand_in_the_order_that_the_shop_asks_for(tmp_path: Path) -> None:
    rows = pa.table({"item": ["lamp", "lamp", "rug"], "price": [1, 2, 3], "changed": [9, 7, 8]})
    assert written(rows, tmp_path / "rows.parquet", ["changed"])["price"].to_pylist() == [2, 3, 1]
    with pytest.raises(NightError, match="has no column 'changes', which `order_by` names"):
        written(rows, tmp_path / "rows.parquet", ["changes"])


def test_a_column_that_comes_twice_is_refused(tmp_path: Path) -> None:
    rows = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["id", "id"])
    with pytest.raises(NightError, match=r"gives the columns \['id'\] more than once. Name each in the query, with AS"):
        written(rows, tmp_path / "rows.parquet")


def test_a_table_that_fails_halfway_leaves_no_drop(night: Night, tmp_path: Path) -> None:
    world = DeltaWorld(tmp_path)
    world.set_day(FIRST, [LAMP])
    drops = seen(night, world)
    assert drops.days(FIRST) == [FIRST]
    for file in Path(world.path).rglob("*.parquet"):
        file.write_bytes(b"torn")
    with pytest.raises(NightError, match="cannot be read: ") as error:
        read(drops)
    assert "\n" not in str(error.value)
    assert not list(Path(night.lake.root).rglob("raw_tables/*/*/*"))


def test_a_large_day_is_sorted_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.raw.table_snapshots.SORTING_MEMORY", "100MB")
    num_rows, a_batch = 1_200_000, 20_000

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, num_rows, a_batch):
            numbers = pc.subtract(num_rows, pa.array(range(start, start + a_batch)))
            padding = pc.binary_repeat(numbers.cast(pa.string()), 12)
            yield pa.RecordBatch.from_arrays([numbers, padding], names=["n", "text"])

    schema = pa.schema([("n", pa.int64()), ("text", pa.string())])
    target = tmp_path / "rows.parquet"
    assert write_in_order(pa.RecordBatchReader.from_batches(schema, batches()), (), target, "t") == num_rows
    file = pq.ParquetFile(target)
    assert {file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)} == {100_000}
    assert file.read(["n"])["n"].to_pylist() == list(range(1, num_rows + 1))
