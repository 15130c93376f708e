"""Columns are found in files that nobody has described."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.raw.reading.file_sample import encoding_of, format_of, sample_of
from jobs.raw.reading.found_columns import FoundColumns, columns_of, csv_columns
from jobs.raw.reading.opened_file import UnreadableFileError


def found_in(path: Path) -> FoundColumns:
    folder = path.parent / "sample_folder"
    folder.mkdir()
    return columns_of(sample_of(str(path), folder))


@pytest.mark.parametrize(
    ("text", "delimiter", "columns"),
    [
        ("Datum;Kunde;Preis\n09.03.2024;K1;9,50\n09.03.2024;K2;10,50\n", ";", ("Datum", "Kunde", "Preis")),
        ("a\tb\n1\t2\n", "\t", ("a", "b")),
        ("# report\n# of March\n\ntime,user\n1,u\n2,v\n", ",", ("time", "user")),
        ('a,b\n1,"x|y|z|w"\n2,"x|y|z|w"\n', ",", ("a", "b")),
        ("a,b,,\n1,2,,\n", ",", ("a", "b")),
        ("name,town\nann,Rome\nbob,Oslo\n", ",", ("name", "town")),
    ],
)
def test_a_header_and_a_delimiter_are_told(text: str, delimiter: str, columns: tuple[str, ...]) -> None:
    found = csv_columns(text)
    assert (found.delimiter, found.flat, found.has_header) == (delimiter, columns, True)


def test_a_file_without_a_header_gets_names() -> None:
    found = csv_columns("1::1193::5::978300760\n1::661::3::978302109\n")
    assert (found.has_header, found.flat) == (False, ("column_1", "column_2", "column_3", "column_4"))
    assert (found.csv.delimiter, found.csv.column_names) == ("::", found.flat)


def test_order_numbers_that_begin_with_a_sign_are_no_comments() -> None:
    assert csv_columns("Name,Email\n#1001,a\n#1002,b\n").csv.comment == ""


def test_paths_lead_into_objects_lists_keys_and_typed_values(tmp_path: Path) -> None:
    row = {
        "time": 1,
        "user": {"id": "u"},
        "items": [{"sku": "a", "tags": ["x"]}],
        "params": [{"key": "session", "value": {"int_value": "7", "string_value": None}}],
        "nothing": {},
    }
    path = tmp_path / "e.json"
    path.write_text(json.dumps(row) + "\n")
    found = found_in(path)
    assert found.flat == ("time", "user.id", "params[key=session].value")
    assert found.in_lists == {"items[]": ("items[].sku", "items[].tags")}


def test_columns_of_parquet_tell_which_hold_times(tmp_path: Path) -> None:
    table = pa.table(
        {
            "at": pa.array([0], pa.timestamp("us", "UTC")),
            "day": pa.array([0], pa.date32()),
            "items": pa.array([[{"sku": "a"}]]),
        }
    )
    pq.write_table(table, tmp_path / "e.parquet")
    found = found_in(tmp_path / "e.parquet")
    assert (found.flat, dict(found.times)) == (("at", "day"), {"at": True, "day": False})
    assert found.in_lists == {"items[]": ("items[].sku",)}


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("Müller".encode(), "utf-8"),
        ("Müller, Straße".encode("windows-1252"), "windows-1252"),
        ("用户编号,商品编号,价格".encode("gb18030"), "gb18030"),
        ("Müller".encode("utf-16"), "utf-16"),
        ("Müller, user, item".encode("utf-16-le"), "utf-16-le"),
        ("Müller".encode()[:2], "utf-8"),
    ],
)
def test_an_encoding_is_told(data: bytes, name: str) -> None:
    assert encoding_of(data) == name


def test_a_sample_is_bounded_and_holds_the_end_of_the_file(tmp_path: Path) -> None:
    lines = [f"{number},user\n" for number in range(200_000)]
    text = "number,who\n" + "".join(lines)
    for name, data in (("a.csv", text.encode()), ("b.csv", gzip.compress(text.encode()))):
        (tmp_path / name).write_bytes(data)
        folder = tmp_path / f"of_{name}"
        folder.mkdir()
        sample = sample_of(str(tmp_path / name), folder)
        sampled = Path(sample.sample).read_text().splitlines()
        assert not sample.is_whole and 30_000 < len(sampled) < 50_000
        assert sampled[:2] == ["number,who", "0,user"] and sampled[-1] == "199999,user"
        assert set(sampled[1:]) <= {line.strip() for line in lines}


def test_formats_are_told_by_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "export"
    for data, of in ((b"a,b\n1,2\n", "csv"), (b'[{"a": 1}]', "json"), (bz2.compress(b'{"a": 1}\n'), "json")):
        path.write_bytes(data)
        assert format_of(str(path)) == of
    path.write_bytes(b"\xd0\xcf\x11\xe0rest")
    with pytest.raises(UnreadableFileError, match="old Excel workbook"):
        format_of(str(path))
