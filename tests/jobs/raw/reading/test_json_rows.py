"""JSON files as exporters and interfaces write them; every number keeps its digits."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.shop.raw_files import RawFile
from tests.worlds.read_raw_file import MAPPING, problem_of, rows_read

ROWS: list[dict[str, Any]] = [
    {"time": "t1", "customer": "ann", "article": "a", "price": 9.5},
    {"time": "t2", "customer": "bob", "article": "b"},
]
EXPECTED = [("ann", "a", "9.5"), ("bob", "b", None)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def read(folder: Path, content: str | bytes, raw: RawFile = MAPPING, **changes: Any) -> list[dict[str, Any]]:
    path = folder / "e.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return rows_read(path, raw, format="json", **changes)


def events(rows: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [(row["customer"], row["article"], row["price"]) for row in rows if "fault" not in row]


TEXTS: dict[str, str | bytes] = {
    "one object a line": LINES,
    "a mark and line ends of Windows": "\ufeff" + LINES.replace("\n", "\r\n"),
    "one array": json.dumps(ROWS),
    "an array, one object a line": "[\n" + ",\n".join(json.dumps(row) for row in ROWS) + "\n]\n",
    "an array over many lines": json.dumps(ROWS, indent=2),
    "objects over many lines": "\n".join(json.dumps(row, indent=4) for row in ROWS),
    "two objects on a line": LINES.replace("\n", ""),
    "packed": gzip.compress(LINES.encode()),
}


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS.keys())
def test_objects_are_found_however_they_are_laid_out(tmp_path: Path, content: str | bytes) -> None:
    assert events(read(tmp_path, content)) == EXPECTED


def test_a_line_that_is_no_object_is_malformed_and_takes_no_other_with_it(tmp_path: Path) -> None:
    rows = read(tmp_path, '{"time": "t1", "customer": "ann"\n' + LINES + "[1, 2]\nnonsense\n")
    assert [(row["line"], row.get("fault")) for row in sorted(rows, key=lambda row: row["line"])] == [
        (1, "malformed"),
        (2, None),
        (3, None),
        (4, "malformed"),
        (5, "malformed"),
    ]


def test_an_object_that_is_cut_within_an_array_is_malformed(tmp_path: Path) -> None:
    rows = read(tmp_path, "[\n" + json.dumps(ROWS[0]) + ',\n{"time": "t2", "cust\n')
    assert events(rows) == EXPECTED[:1]
    assert [row["fault"] for row in rows if "fault" in row] == ["malformed"]


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    texts = ["9223372036854775807", "18446744073709551616", "1e7", "-5", "12345678.0", "true", '"x"']
    content = "".join(f'{{"time": 1, "customer": {text}, "article": 17850123.0, "price": NaN}}\n' for text in texts)
    rows = read(tmp_path, content)
    assert [row["customer"] for row in rows] == [text.strip('"') for text in texts]
    assert {(row["article"], row["price"]) for row in rows} == {("17850123", None)}


ORDER: dict[str, Any] = {
    "order": {"at": "t1", "customer": {"id": "c1", "email": "a@example.com"}},
    "lines": [{"sku": "a", "prices": {"net": 9.5}}, {"sku": "b", "prices": {"net": 3}}],
    "params": [
        {"key": "page", "value": {"int_value": 4}},
        {"key": "visit", "value": {"int_value": 77, "string_value": None}},
    ],
}
PATHS = {
    "event_time": "order.at",
    "user_id": "order.customer.id",
    "item_id": "lines[].sku",
    "price": "lines[].prices.net",
    "session_id": "params[key=visit].value",
}


def test_paths_lead_into_objects_and_lists(tmp_path: Path) -> None:
    rows = read(tmp_path, json.dumps(ORDER) + "\n", RawFile("{ds}", columns=PATHS))
    assert [[row[path] for path in PATHS.values()] for row in rows] == [
        ["t1", "c1", "a", "9.5", "77"],
        ["t1", "c1", "b", "3", "77"],
    ]
    without_brackets = {name: path.replace("[]", "") for name, path in PATHS.items()}
    same = read(tmp_path, json.dumps(ORDER) + "\n", RawFile("{ds}", columns=without_brackets))
    assert [row["lines.sku"] for row in same] == ["a", "b"]


def test_an_object_without_elements_is_no_event_and_is_counted(tmp_path: Path) -> None:
    rows = read(tmp_path, json.dumps({**ORDER, "lines": []}) + "\n" + json.dumps(ORDER), RawFile("{ds}", columns=PATHS))
    assert sorted(row.get("fault", "") for row in rows) == ["", "", "empty_list"]


def test_two_lists_cannot_be_unrolled_together(tmp_path: Path) -> None:
    row = {"at": "t", "who": "u", "items": [{"id": 1}], "gifts": [{"name": 2}]}
    columns = {"event_time": "at", "user_id": "who", "item_id": "items[].id", "session_id": "gifts[].name"}
    path = tmp_path / "e.json"
    path.write_text(json.dumps(row))
    assert "lists ['gifts', 'items']" in problem_of(path, RawFile("{ds}", "json", columns=columns))


def test_a_list_or_an_object_is_marked_where_a_text_is_needed(tmp_path: Path) -> None:
    rows = read(tmp_path, json.dumps({**ROWS[0], "customer": {"id": 1}}) + "\n" + LINES)
    assert rows[0]["not_text"] == ["customer"]
    assert "not_text" not in rows[1]


def test_a_key_that_no_object_has_is_named_beside_those_found(tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    path.write_text('{"time": 1}\nnonsense\n{"customer": 2, "price": 1}\n')
    assert "no column 'article'" in problem_of(path, MAPPING, format="json")
    assert "Found: time, customer, price" in problem_of(path, MAPPING, format="json")


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"one": VALUES, "two": VALUES}), min_size=1, max_size=8),
    indent=st.sampled_from([None, 1]),
)
def test_lines_arrays_and_spread_objects_read_alike(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], indent: int | None
) -> None:
    folder = tmp_path_factory.mktemp("json")
    raw = RawFile("{ds}", columns={"title": "one", "brand": "two"}, null_words=())
    contents = [
        "".join(json.dumps(row) + "\n" for row in rows),
        json.dumps(rows, indent=indent),
        "\n".join(json.dumps(row, indent=2) for row in rows),
    ]
    found = [[(row["one"], row["two"]) for row in read(folder, content, raw)] for content in contents]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == len(rows)
