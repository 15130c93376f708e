"""CSV files as exporters write them: what can be told from their beginning is told, and no row gets lost or shifted."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.shop.raw_files import CsvDialect, RawFile
from tests.worlds.read_raw_file import problem_of, rows_read

HEADER = "time,customer,article,price\n"
TEN = "2024-03-09 10:00:00"
TWO = f"{TEN},ann,lamp,9.5\n{TEN},bob,rug,20\n"
EXPECTED = [("ann", "lamp", "9.5"), ("bob", "rug", "20")]


def written(folder: Path, content: str | bytes, name: str = "e.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def events(rows: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return [(row["customer"], row["article"], row["price"]) for row in rows if "fault" not in row]


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("export.csv", data)
        archive.writestr("__MACOSX/._export.csv", b"x")
    return buffer.getvalue()


def zstandard(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, zstandard, zipped])
@pytest.mark.parametrize("name", ["e.csv", "e.csv.gz"])
def test_a_packed_file_is_known_by_its_bytes(tmp_path: Path, pack: Callable[[bytes], bytes], name: str) -> None:
    assert events(rows_read(written(tmp_path, pack((HEADER + TWO).encode()), name))) == EXPECTED


TEXTS = {
    "a byte order mark": "\ufeff" + HEADER + TWO,
    "line ends of Windows": (HEADER + TWO).replace("\n", "\r\n"),
    "line ends of old Macs": (HEADER + TWO).replace("\n", "\r"),
    "no end of the last line": (HEADER + TWO).rstrip(),
    "blank lines": "\n\n" + HEADER.replace("\n", "\n\n") + TWO.replace("\n", "\n \n"),
    "semicolons": (HEADER + TWO).replace(",", ";"),
    "tabs": (HEADER + TWO).replace(",", "\t"),
    "bars": (HEADER + TWO).replace(",", "|"),
    "everything in quotes": "".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in (HEADER + TWO).splitlines()
    ),
    "notes above the header": "# ------\n# Report, of March\n\n" + HEADER + TWO,
    "another case in the header": HEADER.title() + TWO,
    "two empty columns at the end": HEADER.replace("\n", ",,\n") + TWO.replace("\n", ",,\n"),
    "a comma behind every row": HEADER + TWO.replace("\n", ",\n"),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_what_the_beginning_of_a_file_tells_need_not_be_said(tmp_path: Path, text: str) -> None:
    assert events(rows_read(written(tmp_path, text))) == EXPECTED


def test_an_encoding_is_told_by_its_mark_or_said(tmp_path: Path) -> None:
    text = HEADER + f"{TEN},Zo\u00eb,lamp,1\n"
    assert events(rows_read(written(tmp_path, text.encode("utf-16")))) == [("Zo\u00eb", "lamp", "1")]
    western = written(tmp_path, text.encode("windows-1252"))
    assert events(rows_read(western, encoding="windows-1252")) == [("Zo\u00eb", "lamp", "1")]
    assert "is not utf-8 in line 2" in problem_of(western)
    assert 'encoding = "windows-1252"' in problem_of(western)


def test_a_damaged_byte_far_behind_the_beginning_is_found(tmp_path: Path) -> None:
    text = (HEADER + TWO * 100_000).encode()
    assert "is not utf-8 in line 200002" in problem_of(written(tmp_path, text + b"\xff\n"))


def test_a_file_without_a_header_needs_names(tmp_path: Path) -> None:
    path = written(tmp_path, TWO)
    assert "column_names" in problem_of(path)
    names = ("time", "customer", "article", "price")
    assert events(rows_read(path, csv=CsvDialect(column_names=names))) == EXPECTED
    assert events(rows_read(written(tmp_path, TWO.replace(",", "\t")), csv=CsvDialect(column_names=names))) == EXPECTED


def test_a_delimiter_may_have_several_characters(tmp_path: Path) -> None:
    path = written(tmp_path, TWO.replace(",", "::"))
    dialect = CsvDialect(delimiter="::", column_names=("time", "customer", "article", "price"))
    assert events(rows_read(path, csv=dialect)) == EXPECTED


def test_a_backslash_before_a_quote_is_told_from_doubled_quotes(tmp_path: Path) -> None:
    header = "title,time,customer,article,price\n"
    rows = "".join(f'"24\\" monitor, {place}",{line}\n' for place, line in enumerate(TWO.splitlines()))
    assert events(rows_read(written(tmp_path, header + rows))) == EXPECTED


def test_a_cell_of_two_lines_belongs_to_its_row(tmp_path: Path) -> None:
    text = f'customer,note,time,article,price\nann,"first\n\n{TEN},ghost,x,y",{TEN},lamp,9.5\nbob,,{TEN},rug,20\n'
    rows = rows_read(written(tmp_path, text))
    assert events(rows) == EXPECTED
    assert [row["line"] for row in rows] == [2, 5]


def test_a_quote_that_is_never_closed_takes_no_other_row_with_it(tmp_path: Path) -> None:
    header = HEADER.replace("\n", ",title\n")
    titles = ['"open', '"Best" lamp', '12" lamp', "plain", '"open']
    lines = "".join(f"{TEN},u{place},lamp,1,{title}\n" for place, title in enumerate(titles))
    rows = rows_read(written(tmp_path, header + lines))
    assert [(row["line"], row.get("fault")) for row in sorted(rows, key=lambda row: row["line"])] == [
        (2, "malformed"),
        (3, "malformed"),
        (4, None),
        (5, None),
        (6, "malformed"),
    ]
    assert rows[-1]["raw"].startswith('{"line": ')


def test_the_header_of_a_joined_file_is_no_event(tmp_path: Path) -> None:
    joined = gzip.compress((HEADER + TWO).encode()) * 2
    rows = rows_read(written(tmp_path, joined, "e.csv.gz"))
    assert events(rows) == EXPECTED * 2
    assert [(row["line"], row["fault"]) for row in rows if "fault" in row] == [(4, "repeated_header")]


def test_a_row_of_another_width_is_malformed_and_named_by_its_line(tmp_path: Path) -> None:
    rows = rows_read(written(tmp_path, HEADER + TWO + f"{TEN},cyd,lamp\n{TEN},dan,lamp,1,more\n"))
    assert [(row["line"], row["fault"]) for row in rows if "fault" in row] == [(4, "malformed"), (5, "malformed")]
    assert events(rows) == EXPECTED


def test_problems_name_what_to_do(tmp_path: Path) -> None:
    torn = gzip.compress((HEADER + TWO * 1000).encode())
    assert "is torn" in problem_of(written(tmp_path, torn[:-20], "e.csv.gz"))
    assert "is empty" in problem_of(written(tmp_path, "\n \n"))
    assert "several columns named 'time'" in problem_of(
        written(tmp_path, "time,time,customer,article,price\n1,2,3,4,5\n")
    )
    missing = problem_of(written(tmp_path, "time,customer,price\n1,2,3\n"))
    assert "no column 'article', which the shop file maps under [events]. Found: time, customer, price" in missing
    assert "a Parquet file" in problem_of(written(tmp_path, b"PAR1xxxx"))
    assert "say what separates cells" in problem_of(written(tmp_path, "time~customer~article~price\n1~2~3~4\n"))


IDS = {
    '="00123"': "00123",
    "'00123": "00123",
    " u 1\u00a0": "u 1",
    "u\u200b1": "u1",
    "cafe\u0301": "caf\u00e9",
    "(not set)": None,
    "NULL": None,
    "\\N": None,
    "0": "0",
}


def test_an_id_keeps_its_identity(tmp_path: Path) -> None:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([TEN, text, "lamp", "1"] for text in IDS)
    rows = rows_read(written(tmp_path, HEADER + buffer.getvalue()))
    assert [row["customer"] for row in rows] == list(IDS.values())


def test_a_point_and_a_zero_are_taken_off_a_column_of_floats_alone(tmp_path: Path) -> None:
    def read(*ids: str) -> list[object]:
        path = written(tmp_path, HEADER + "".join(f"{TEN},{text},lamp,1\n" for text in ids))
        return [row["customer"] for row in rows_read(path)]

    assert read("17850123.0", "", "7.0") == ["17850123", None, "7"]
    assert read("12.0", "12", "v1.0") == ["12.0", "12", "v1.0"]
    without_words = written(tmp_path, HEADER + f"{TEN},7.0,lamp,1\n")
    assert [row["customer"] for row in rows_read(without_words, null_words=())] == ["7"]
    many = written(tmp_path, HEADER + f"{TEN},12.0,lamp,1\n" * 150_000 + f"{TEN},12,lamp,1\n" * 100_000)
    assert "whole numbers with .0 in column 'customer', and '12' without" in problem_of(many)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    delimiter=st.sampled_from(",;\t|"),
)
def test_what_a_csv_writer_writes_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], quoting: int, delimiter: str
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=quoting, delimiter=delimiter)  # type: ignore[arg-type]
    writer.writerow(["one", "two", "three"])
    writer.writerows(rows)
    path = written(tmp_path_factory.mktemp("csv"), buffer.getvalue())
    raw = RawFile("{ds}", columns={"title": "one", "brand": "two", "description": "three"}, null_words=())
    blanks = " \t\r\n\u00a0\u2007\u202f\u200b\u200c\u200d\u2060\ufeff"
    expected = [tuple(cell.strip(blanks) or None for cell in row) for row in rows]
    found = [row for row in rows_read(path, raw) if row.get("fault") != "repeated_header"]
    assert [(row["one"], row["two"], row["three"]) for row in found] == expected
