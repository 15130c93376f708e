"""Parquet files of every writer: mapped columns are read or refused by name, others are never looked at."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.shop.raw_files import RawFile
from tests.worlds.read_raw_file import MAPPING, problem_of, rows_read

TEN = datetime(2024, 3, 9, 10)
UTC_TEN = TEN.replace(tzinfo=timezone.utc)


def read(folder: Path, columns: dict[str, Any], raw: RawFile = MAPPING, **writing: Any) -> list[dict[str, Any]]:
    path = folder / "e.parquet"
    rows = len(next(iter(columns.values())))
    whole = {"time": [TEN] * rows, "customer": ["u"] * rows, "article": ["a"] * rows, "price": [1.5] * rows, **columns}
    pq.write_table(pa.table(whole), path, **writing)
    return rows_read(path, raw, format="parquet")


IDS: list[tuple[pa.Array, list[str | None]]] = [
    (pa.array([17850123.0, None, float("nan")], from_pandas=False), ["17850123", None, None]),
    (pa.array([17850124.0, 2.0], pa.float32()), ["1.785012400e+07", "2"]),
    (pa.array([1234567890123456789.0]), ["1.234567890e+18"]),
    (pa.array([2.0**53 - 1, 2.0**53]), ["9007199254740991", "9.007199255e+15"]),
    (pa.array([Decimal("12.00"), Decimal("7.00")]), ["12", "7"]),
    (pa.array([b"u0", b"u1"], pa.binary()), ["u0", "u1"]),
    (pa.array([bytes(range(16))], pa.binary(16)), ["000102030405060708090a0b0c0d0e0f"]),
    (pa.array(["u0", "u0"]).dictionary_encode(), ["u0", "u0"]),
    (pa.array(["u0"], pa.large_string()), ["u0"]),
    (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
    (pa.array([True, False]), ["true", "false"]),
    (pa.nulls(2), [None, None]),
]


@pytest.mark.parametrize(("ids", "texts"), IDS, ids=[str(ids.type) for ids, _ in IDS])
def test_an_id_of_any_type_is_the_text_that_it_was(tmp_path: Path, ids: pa.Array, texts: list[str | None]) -> None:
    assert [row["customer"] for row in read(tmp_path, {"customer": ids})] == texts


def test_a_uuid_is_written_as_people_write_it(tmp_path: Path) -> None:
    one = uuid.UUID("0f1e2d3c-0000-4000-8000-000000000001")
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([one.bytes], pa.binary(16)))
    assert [row["customer"] for row in read(tmp_path, {"customer": ids})] == [str(one)]


TIMES: list[tuple[pa.Array, str, datetime]] = [
    (pa.array([TEN], pa.timestamp("ns")), "UTC", UTC_TEN),
    (pa.array([TEN], pa.timestamp("ms", "Europe/Berlin")), "America/New_York", UTC_TEN),
    (pa.array([TEN], pa.timestamp("us")), "Europe/Berlin", UTC_TEN - timedelta(hours=1)),
    (pa.array([date(2024, 3, 9)]), "UTC", UTC_TEN - timedelta(hours=10)),
    (pa.array([TEN + timedelta(milliseconds=300)], pa.timestamp("us")), "UTC", UTC_TEN + timedelta(milliseconds=300)),
]


@pytest.mark.parametrize(("times", "zone", "moment"), TIMES, ids=[f"{times.type} {zone}" for times, zone, _ in TIMES])
@pytest.mark.parametrize("time_format", ["yyyy-MM-dd", "unix_seconds"])
def test_a_time_is_the_moment_that_it_was_whatever_time_format_says(
    tmp_path: Path, times: pa.Array, zone: str, moment: datetime, time_format: str
) -> None:
    raw = RawFile("{ds}", columns=MAPPING.columns, time_format=time_format, timezone=zone)
    assert [row["moment"] for row in read(tmp_path, {"time": times}, raw)] == [moment]


def test_int96_counts_in_utc(tmp_path: Path) -> None:
    raw = RawFile("{ds}", columns=MAPPING.columns, timezone="Europe/Berlin")
    rows = read(tmp_path, {"time": [TEN]}, raw, use_deprecated_int96_timestamps=True)
    assert [row["moment"] for row in rows] == [UTC_TEN]


def test_what_is_not_mapped_does_not_matter(tmp_path: Path) -> None:
    others = {
        "half": pa.array(np.array([1.5], np.float16)),
        "clock": pa.array([timedelta(hours=1)]),
        "nothing": pa.nulls(1),
        "deep": pa.array([[{"a": 1}]]),
        "price.of": pa.array([3]),
        "Customer": pa.array(["another"]),
    }
    (row,) = read(tmp_path, others)
    assert (row["customer"], row["price"]) == ("u", "1.5")


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
def test_every_compression_is_read(tmp_path: Path, compression: str) -> None:
    assert len(read(tmp_path, {"customer": ["u0", "u1"]}, compression=compression)) == 2


def test_line_items_become_rows_and_keep_the_time_of_their_order(tmp_path: Path) -> None:
    lines = pa.array([[{"sku": 1, "price": 2.0}, {"sku": 2, "price": 2.5}], [], [{"sku": 3, "price": None}]])
    columns = {"event_time": "time", "user_id": "customer", "item_id": "lines[].sku", "price": "lines[].price"}
    rows = read(tmp_path, {"lines": lines}, RawFile("{ds}", columns=columns))
    assert [(row["lines[].sku"], row["lines[].price"], row["moment"]) for row in rows if "fault" not in row] == [
        ("1", "2", UTC_TEN),
        ("2", "2.5", UTC_TEN),
        ("3", None, UTC_TEN),
    ]
    assert [row["fault"] for row in rows if "fault" in row] == ["empty_list"]


def test_a_missing_column_and_a_torn_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    pq.write_table(pa.table({"time": [TEN], "customer": ["u"]}), path)
    assert "no column 'article', 'price'" in problem_of(path, MAPPING, format="parquet")
    path.write_bytes(path.read_bytes()[:-10])
    assert "cannot be read as parquet" in problem_of(path, MAPPING, format="parquet")
