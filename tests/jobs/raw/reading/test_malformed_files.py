"""Files that are damaged in any way: every one is read or refused by a sentence, and no row is lost in silence."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.raw.reading.cells import UNREADABLE_FILE
from tests.worlds.read_raw_file import MAPPING, rows_read

ROWS: list[dict[str, Any]] = [
    {"time": f"2024-03-09 10:{place:02}:00", "customer": f"u{place}", "article": "a", "price": 9.5}
    for place in range(30)
]


def as_csv() -> bytes:
    lines = [",".join(str(value) for value in row.values()) for row in ROWS]
    return "\n".join(["time,customer,article,price", *lines, ""]).encode()


def as_json() -> bytes:
    return "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def as_array() -> bytes:
    return json.dumps(ROWS, indent=1).encode()


def as_parquet() -> bytes:
    buffer = io.BytesIO()
    table = pa.Table.from_pylist([{**row, "time": datetime(2024, 3, 9, 10)} for row in ROWS])
    pq.write_table(table, buffer)
    return buffer.getvalue()


FILES: list[tuple[str, Callable[[], bytes]]] = [
    ("csv", as_csv),
    ("json", as_json),
    ("json", as_array),
    ("parquet", as_parquet),
    ("csv", as_parquet),
    ("xlsx", as_csv),
    ("parquet", as_csv),
]
DAMAGES = st.lists(
    st.tuples(st.sampled_from(["cut", "insert", "overwrite", "repeat"]), st.integers(0, 10_000), st.binary(max_size=6)),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, damages: list[tuple[str, int, bytes]]) -> bytes:
    for kind, at, piece in damages:
        place = at % (len(content) + 1)
        if kind == "cut":
            content = content[:place] + content[place + len(piece) * 5 :]
        elif kind == "insert":
            content = content[:place] + piece + content[place:]
        elif kind == "overwrite":
            content = content[:place] + piece + content[place + len(piece) :]
        else:
            content = content[:place] + content[max(0, place - 40) :]
    return content


@pytest.mark.parametrize(("file_format", "whole"), FILES, ids=[f"{f}-{whole.__name__}" for f, whole in FILES])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damages=DAMAGES)
def test_a_damaged_file_is_read_or_refused_by_a_sentence(
    tmp_path: Path, file_format: str, whole: Callable[[], bytes], damages: list[tuple[str, int, bytes]]
) -> None:
    path = tmp_path / "e"
    path.write_bytes(damaged(whole(), damages))
    rows = rows_read(path, MAPPING, format=file_format)
    for row in rows:
        if row.get("fault") == UNREADABLE_FILE:
            assert row["raw"].endswith((".", "]")), row["raw"]
            assert "\n" not in row["raw"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(st.sampled_from('abc,;" \t0'), max_size=12), max_size=25))
def test_every_line_of_a_csv_file_is_in_some_row(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "e"
    path.write_text("\n".join(["time,customer,article,price,note", *lines, ""]))
    rows = rows_read(path, MAPPING)
    starts = sorted(row["line"] for row in rows)
    assert len(set(starts)) == len(starts)
    filled = [number for number, line in enumerate(lines, 2) if line.strip()]
    # A row of several lines has a quote that is open at their ends; every other line begins a row.
    within = set(filled) - set(starts)
    assert set(starts) <= set(filled)
    assert all(_is_within_quotes(lines, starts, number) for number in within)


def _is_within_quotes(lines: list[str], starts: list[int], number: int) -> bool:
    start = max(begin for begin in starts if begin < number)
    return "\n".join(lines[start - 2 : number - 2]).count('"') % 2 == 1
