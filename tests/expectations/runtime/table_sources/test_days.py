"""Which days a table has, and when one of them counts as changed, whatever its column of days is."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog import load_catalog
from pyiceberg.transforms import DayTransform
from pyroaring import BitMap64

from expectations.runtime.table_sources.day_files import DayFile, day_range, days_of_files
from expectations.runtime.table_sources.opened_table import opened_table
from expectations.runtime.table_sources.source_table import SourceTable
from expectations.runtime.table_sources.sql_query import days_of_query
from expectations.shop.raw_files import RawFile
from expectations.shop.table_source import TableSource
from expectations.tables import NightError
from tests.worlds.postgres_server import postgres_server
from tests.worlds.source_tables import PostgresWorld

_BASE85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
UTC = pa.timestamp("us", "UTC")
MORNING = datetime(2024, 3, 8, 0, 0, tzinfo=timezone.utc)
TIMES = [MORNING, MORNING + timedelta(days=1, microseconds=-1), MORNING + timedelta(days=1), MORNING]
COLUMNS: Mapping[str, tuple[pa.Array, str]] = {
    "date": (pa.array([time.date() for time in TIMES]), "%Y-%m-%d"),
    "time": (pa.array(TIMES, UTC), "%Y-%m-%d"),
    "time without a zone": (pa.array([time.replace(tzinfo=None) for time in TIMES], pa.timestamp("us")), "%Y-%m-%d"),
    "text": (pa.array([f"{time:%Y-%m-%d}" for time in TIMES]), "%Y-%m-%d"),
    "text from the day on": (pa.array([f"{time:%d.%m.%Y}" for time in TIMES]), "%d.%m.%Y"),
    "number": (pa.array([int(f"{time:%Y%m%d}") for time in TIMES]), "%Y%m%d"),
}


def written(kind: str, folder: Path, values: pa.Array, day_format: str, *, is_partitioned: bool = False) -> SourceTable:
    """A table whose column of days has a name that must be quoted."""
    rows = pa.table({'a "day"': values, "place": list(range(len(values)))})
    source = TableSource("CATALOG" if kind == "iceberg" else "", "shop.t", 'a "day"', day_format)
    if kind == "delta":
        write_deltalake(folder / "t", rows, partition_by=['a "day"'] if is_partitioned else None, mode="append")
        raw = RawFile(str(folder / "t"), "delta", table=TableSource(day_column='a "day"', day_format=day_format))
        return opened_table(raw, raw.path, {})
    uri = f"sqlite:///{folder}/catalog.db"
    catalog = load_catalog("default", type="sql", uri=uri, warehouse=f"file://{folder}")
    catalog.create_namespace_if_not_exists("shop")
    catalog.create_table_if_not_exists("shop.t", rows.schema).append(rows)
    return opened_table(RawFile("", "iceberg", table=source), "", {"CATALOG": uri})


def places(table: SourceTable, ds: str) -> list[int]:
    with table.rows_of(ds) as reader:
        return sorted(reader.read_all()["place"].to_pylist())


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
@pytest.mark.parametrize("column", COLUMNS)
def test_days_are_found_in_columns_of_any_type(kind: str, column: str, tmp_path: Path) -> None:
    table = written(kind, tmp_path, *COLUMNS[column])
    assert list(table.days()) == ["2024-03-08", "2024-03-09"]
    assert places(table, "2024-03-08") == [0, 1, 3]
    assert places(table, "2024-03-09") == [2]
    assert places(table, "2024-03-10") == []


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
@pytest.mark.parametrize("column", COLUMNS)
def test_rows_of_a_new_day_leave_the_others_as_they_were(kind: str, column: str, tmp_path: Path) -> None:
    values, day_format = COLUMNS[column]
    before = written(kind, tmp_path, values.take([0, 1]), day_format).days()
    after = written(kind, tmp_path, values.take([2]), day_format).days()
    assert list(before) == ["2024-03-08"] and list(after) == ["2024-03-08", "2024-03-09"]
    assert after["2024-03-08"] == before["2024-03-08"]
    changed = written(kind, tmp_path, values.take([3]), day_format).days()
    assert changed["2024-03-08"] != after["2024-03-08"] and changed["2024-03-09"] == after["2024-03-09"]


def test_days_of_a_partitioned_table_are_told_without_reading_a_row(tmp_path: Path) -> None:
    table = written("delta", tmp_path, *COLUMNS["date"], is_partitioned=True)
    for file in (tmp_path / "t").rglob("*.parquet"):
        file.unlink()
    assert list(table.days()) == ["2024-03-08", "2024-03-09"]
    with pytest.raises(NightError, match="cannot be read") as error, table.rows_of("2024-03-08") as reader:
        reader.read_all()
    assert "\n" not in str(error.value)


def test_a_time_that_the_table_is_partitioned_by_days_of_tells_them(tmp_path: Path) -> None:
    catalog = load_catalog("default", type="sql", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}")
    catalog.create_namespace("shop")
    rows = pa.table({"at": pa.array(TIMES, UTC), "place": [0, 1, 2, 3]})
    table = catalog.create_table("shop.t", rows.schema)
    with table.update_spec() as spec:
        spec.add_field("at", DayTransform())
    table.append(rows)
    raw = RawFile("", "iceberg", table=TableSource("CATALOG", "shop.t", "at"))
    source = opened_table(raw, "", {"CATALOG": f"sqlite:///{tmp_path}/c.db"})
    assert list(source.days()) == ["2024-03-08", "2024-03-09"]
    assert places(source, "2024-03-08") == [0, 1, 3]


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_rows_without_a_day_are_told(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = written(kind, tmp_path, pa.array([date(2024, 3, 8), None]), "%Y-%m-%d")
    assert list(table.days()) == ["2024-03-08"]
    assert "rows without a day are in no drop" in caplog.text and "rows=1" in caplog.text


def test_a_table_stays_as_it_was_when_it_was_first_looked_at(tmp_path: Path) -> None:
    table = written("delta", tmp_path, *COLUMNS["date"])
    assert places(table, "2024-03-09") == [2]
    DeltaTable(tmp_path / "t").delete("place = 2")
    assert places(table, "2024-03-09") == [2]


def mark_deleted(path: Path, rows: Sequence[int]) -> None:
    """Writes a commit that deletes rows of a table's only file by a deletion vector, as Spark does."""
    log = path / "_delta_log"
    entries = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
    added = next(entry["add"] for entry in entries if "add" in entry)
    bitmap = struct.pack("<I", 1681511377) + BitMap64(rows).serialize()
    in_ascii85 = base64.b85encode(bitmap).decode().translate(str.maketrans(_BASE85, _Z85))
    vector = {"storageType": "i", "pathOrInlineDv": in_ascii85, "sizeInBytes": len(bitmap), "cardinality": len(rows)}
    before = added.get("deletionVector")
    removed = {"path": added["path"], "deletionTimestamp": 1, "dataChange": True, "deletionVector": before}
    commit = [{"remove": removed}, {"add": {**added, "deletionVector": vector}}]
    version = len(list(log.glob("*.json")))
    (log / f"{version:020}.json").write_text("\n".join(map(json.dumps, commit)))


def test_rows_that_a_deletion_vector_takes_away_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t"
    rows = pa.table({"day": ["2024-03-08"] * 3 + ["2024-03-09"] * 2, "place": [0, 1, 2, 3, 4]})
    write_deltalake(path, rows, configuration={"delta.enableDeletionVectors": "true"})

    def now() -> SourceTable:
        return opened_table(RawFile(str(path), "delta", table=TableSource(day_column="day")), str(path), {})

    whole = now().days()
    mark_deleted(path, [0, 2])
    fewer = now().days()
    assert list(fewer) == ["2024-03-08", "2024-03-09"] and fewer["2024-03-08"] != whole["2024-03-08"]
    assert places(now(), "2024-03-08") == [1]


def test_a_file_with_deletions_is_looked_into() -> None:
    deleted = DayFile(("a", "deletions-1"), "2024-03-08", "2024-03-08", has_deletions=True)
    whole = DayFile(("b",), "2024-03-09", "2024-03-09")
    assert list(days_of_files([deleted, whole], lambda: ["2024-03-09"])) == ["2024-03-09"]
    assert list(days_of_files([deleted, whole], lambda: ["2024-03-08"])) == ["2024-03-08", "2024-03-09"]
    more = DayFile(("a", "deletions-2"), "2024-03-08", "2024-03-08", has_deletions=True)
    before, after = (days_of_files([file, whole], lambda: ["2024-03-08"]) for file in (deleted, more))
    assert before["2024-03-08"] != after["2024-03-08"] and before["2024-03-09"] == after["2024-03-09"]


@pytest.mark.parametrize(
    ("lowest", "highest", "day_format", "days"),
    [
        ("2024-03-08", "2024-03-10", "%Y-%m-%d", ("2024-03-08", "2024-03-10")),
        ("01.03.2024", "31.01.2024", "%d.%m.%Y", (None, None)),
        ("08.03.2024", "08.03.2024", "%d.%m.%Y", ("2024-03-08", "2024-03-08")),
        (date(2024, 3, 8), date(2024, 3, 9), "%d.%m.%Y", ("2024-03-08", "2024-03-09")),
        (None, None, "%Y-%m-%d", (None, None)),
    ],
)
def test_the_days_of_a_file_lie_between_its_lowest_and_highest_value(
    lowest: Any, highest: Any, day_format: str, days: tuple[str | None, str | None]
) -> None:
    assert day_range(lowest, highest, day_format) == days


def test_days_of_a_query_change_by_what_stands_beside_them() -> None:
    marked = days_of_query([(date(2024, 3, 8), 5, "noon"), ("2024-03-09 00:00:00+00", 1, None)])
    assert list(marked) == ["2024-03-08", "2024-03-09"] and None not in marked.values()
    assert days_of_query([(date(2024, 3, 8), 6, "noon")])["2024-03-08"] != marked["2024-03-08"]
    # Without DISTINCT a day comes several times, in any order.
    parts = [("2024-03-08", "view", 1), ("2024-03-08", "buy", 2)]
    assert days_of_query(parts) == days_of_query(parts[::-1])
    assert days_of_query([("2024-03-08",), ("2024-03-08",)]) == {"2024-03-08": None}


@pytest.mark.parametrize("value", [None, "2024-03-08 10:00:00", "08.03.2024", 20240308, "2024-02-30"])
def test_what_is_no_day_in_a_query_of_days_is_shown(value: object) -> None:
    with pytest.raises(NightError, match="must give days such as 2026-03-06") as error:
        days_of_query([(value,)])
    assert repr(value) in str(error.value)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresWorld]:
    with postgres_server() as address:
        yield PostgresWorld(address)


def query_of(world: PostgresWorld, select: str, *, day: bool = True) -> pa.Table:
    query = f"SELECT {select} WHERE $1::date IS NOT NULL" if day else f"SELECT {select}"
    raw = RawFile("", "postgres", table=TableSource("SHOP_DATABASE", query=query, days_query="SELECT '2024-03-08'"))
    table = opened_table(raw, "", world.connections)
    assert table.days() == {"2024-03-08": None}
    with table.rows_of("2024-03-08") as reader:
        return reader.read_all()


def test_values_of_postgres_keep_what_they_are(postgres: PostgresWorld) -> None:
    rows = query_of(
        postgres,
        "'a%b' AS text, 9007199254740993::bigint AS number, 12.50::numeric AS price, 12.00::numeric(9, 2) AS whole, "
        "0.1::float8 AS share, true AS yes, NULL::int AS nothing, date '2024-03-08' AS day, "
        "timestamptz '2024-03-08 10:00:00.123456+02' AS moment, timestamp '2024-03-08 10:00:00' AS local, "
        "timestamptz 'infinity' AS ever, timestamp '0044-03-15 BC' AS ides, "
        "'{\"a\": 1}'::jsonb AS object, ARRAY['x', NULL, 'y'] AS list, "
        "'6ECD8C99-4036-403D-BF84-CF8400F67836'::uuid AS id",
    )
    moment = rows["moment"][0].as_py()
    assert moment == datetime(2024, 3, 8, 8, 0, 0, 123456, timezone.utc)
    assert rows.drop(["moment"]).to_pylist() == [
        {
            "text": "a%b",
            "number": 9007199254740993,
            "price": "12.50",
            "whole": "12",
            "share": 0.1,
            "yes": True,
            "nothing": None,
            "day": date(2024, 3, 8),
            "local": datetime(2024, 3, 8, 10, 0),
            "ever": None,
            "ides": None,
            "object": '{"a": 1}',
            "list": ["x", None, "y"],
            "id": "6ecd8c99-4036-403d-bf84-cf8400f67836",
        }
    ]


def test_a_query_need_not_name_the_day(postgres: PostgresWorld) -> None:
    assert query_of(postgres, "'$10' AS price", day=False).to_pylist() == [{"price": "$10"}]


def test_a_day_of_any_size_comes_in_small_pieces(postgres: PostgresWorld) -> None:
    queries = TableSource("SHOP_DATABASE", query="SELECT generate_series(1, 50000) AS n", days_query="SELECT 'x'")
    with opened_table(RawFile("", "postgres", table=queries), "", postgres.connections).rows_of("2024-03-08") as reader:
        sizes = [batch.num_rows for batch in reader]
    assert sizes == [20_000, 20_000, 10_000]
