"""Rows of JSON files: one object a line, objects over several lines, or one array of them.

Numbers keep the digits that stand in the file. Of a key that comes twice the last one counts, as JSON readers have it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from expectations.shop.raw_files import RawFile
from jobs.raw.reading.cells import EMPTY_LIST, MALFORMED, RowBuilder, missing_columns
from jobs.raw.reading.nested_values import SeveralListsError, found_columns, is_text, text_of, unrolled
from jobs.raw.reading.opened_file import UnreadableFileError, text_blocks, unpacked

_ROWS_A_BATCH = 20_000
_MAX_OBJECT_CHARACTERS = 1 << 26
_LONGEST_WORD = len("-Infinity")
"""Characters of a value that may be cut and is no text in quotes."""
_BETWEEN = " \t\n\r,"
"""Between the objects of an array, or of a file of objects over several lines."""

_Parsed = tuple[int, Mapping[str, Any] | None, str]
"""Line at which it begins; the object, None when there is none; its text."""


def _constant(name: str) -> str | None:
    # Python writes NaN for what is missing.
    return None if name == "NaN" else name


_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_constant, strict=False)


def json_rows(path: str, kind: str, raw: RawFile, builder: RowBuilder) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a JSON file.

    Raises:
        UnreadableFileError: it cannot be read to its end, or no object of it has some column of `builder.columns`.
    """
    with unpacked(path) as stream:
        blocks = text_blocks(stream, raw.encoding)
        parsed = parsed_objects(blocks)
        missing, others = set(builder.columns) - builder.optional, dict[str, None]()
        rows = _Rows(builder)
        num_objects = 0
        for number, value, text in parsed:
            if value is None:
                rows.fault(number, MALFORMED, text)
            else:
                num_objects += 1
                if missing:
                    missing -= found_columns(value, builder.columns)
                    others.update(dict.fromkeys(value) if len(others) < 100 else {})
                try:
                    rows.add(number, value, text)
                except SeveralListsError as err:
                    raise UnreadableFileError(f"line {number}: {err}. Map the columns of one list.") from err
            if rows.are_many:
                yield from rows.taken()
        yield from rows.taken()
        if missing and num_objects:
            raise missing_columns(sorted(missing), kind, list(others))


class _Rows:
    """Collects rows until they are enough for a batch."""

    def __init__(self, builder: RowBuilder) -> None:
        self.builder = builder
        self._clear()

    def _clear(self) -> None:
        self.lines: list[int] = []
        self.texts: dict[str, list[str | None]] = {name: [] for name in self.builder.columns}
        self.not_text: list[list[str] | None] = []
        self.raw: list[str] = []
        self.faults: dict[str, tuple[list[int], list[str]]] = {}

    @property
    def are_many(self) -> bool:
        return len(self.lines) >= _ROWS_A_BATCH

    def add(self, number: int, value: Mapping[str, Any], text: str) -> None:
        before = len(self.lines)
        for row in unrolled(value, self.builder.columns):
            self.lines.append(number)
            self.not_text.append([name for name, cell in row.items() if not is_text(cell)] or None)
            for name, texts in self.texts.items():
                texts.append(text_of(row[name]))
            self.raw.append(text)
        if len(self.lines) == before:
            self._fault(number, EMPTY_LIST, text)

    def fault(self, number: int, fault: str, text: str) -> None:
        self._fault(number, fault, json.dumps({"line": text}, ensure_ascii=False))

    def _fault(self, number: int, fault: str, raw: str) -> None:
        numbers, texts = self.faults.setdefault(fault, ([], []))
        numbers.append(number)
        texts.append(raw)

    def taken(self) -> Iterator[pa.RecordBatch]:
        if self.lines:
            yield self.builder.batch(
                pa.array(self.lines, pa.int64()),
                {name: pa.array(texts, pa.string()) for name, texts in self.texts.items()},
                not_text=pa.array(self.not_text, pa.list_(pa.string())),
                raw=pa.array(self.raw, pa.string()) if self.builder.keeps_raw else None,
            )
        for fault, (numbers, texts) in self.faults.items():
            yield self.builder.faults(numbers, fault, texts)
        self._clear()


def begins_as_json(text: str) -> bool:
    """Whether a text begins with an object, or with an array of objects, also where the text is cut."""
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("["):
        start = start[1:].lstrip()
        return start.startswith("{") or start == "]"
    return start.startswith("{") and start[1:].lstrip()[:1] in ('"', "}", "")


def parsed_objects(blocks: Iterator[str]) -> Iterator[_Parsed]:
    """Yields the objects of a file, and what is none, each with the line at which it begins and its text."""
    head = next(blocks, "")
    start = head.lstrip()
    is_array = start.startswith("[")
    first_line = start.partition("\n")[0]
    is_spread = start.startswith("{") and not is_array and _parsed(first_line) is None and _is_cut(first_line)

    def all_blocks() -> Iterator[str]:
        yield head
        yield from blocks

    if is_array or is_spread:
        yield from _spread_objects(all_blocks())
    else:
        yield from _objects_by_line(all_blocks())


def _parsed(line: str) -> Mapping[str, Any] | None:
    try:
        value = _DECODER.decode(line)
    except ValueError:
        return None
    return value if isinstance(value, Mapping) else None


def _is_cut(line: str) -> bool:
    """Whether a line is the beginning of an object that goes on, as pretty printers write it."""
    try:
        _DECODER.decode(line)
    except json.JSONDecodeError as err:
        return err.pos >= len(line.rstrip())
    return False


def _objects_by_line(blocks: Iterator[str]) -> Iterator[_Parsed]:
    number = 0
    for block in blocks:
        for line in block[:-1].split("\n"):
            number += 1
            line = line.strip().removeprefix("\ufeff")
            if not line:
                continue
            value = _parsed(line)
            if value is not None:
                yield number, value, line
            else:
                yield from _several_on_a_line(number, line)


def _several_on_a_line(number: int, line: str) -> Iterator[_Parsed]:
    """Objects between which the end of the line was lost; a line with anything else in it is malformed as a whole."""
    found: list[_Parsed] = []
    place = 0
    while place < len(line):
        try:
            value, end = _DECODER.raw_decode(line, place)
        except ValueError:
            value, end = None, len(line)
        if not isinstance(value, Mapping) or not value:
            yield number, None, line
            return
        found.append((number, value, line[place:end]))
        place = end
        while place < len(line) and line[place] in _BETWEEN:
            place += 1
    yield from found


def _spread_objects(blocks: Iterator[str]) -> Iterator[_Parsed]:
    """Objects of one array, or over several lines: each ends where it ends."""
    text, place, number = "", 0, 1
    is_first = True
    for block in blocks:
        text, place = text[place:] + block, 0
        while True:
            place, number = _behind_blanks(text, place, number)
            if is_first and text.startswith("[", place):
                place, is_first = place + 1, False
                continue
            is_first = is_first and place >= len(text)
            if place >= len(text):
                break
            if text[place] == "]":
                place += 1
                continue
            try:
                value, end = _DECODER.raw_decode(text, place)
            except json.JSONDecodeError as err:
                is_cut = err.msg.startswith("Unterminated") or err.pos >= len(text.rstrip()) - _LONGEST_WORD
                if is_cut and len(text) - place < _MAX_OBJECT_CHARACTERS:
                    break  # the object goes on in the next block
                value, end = None, _end_of_line(text, place)
            yield number, value if isinstance(value, Mapping) else None, text[place:end]
            number += text.count("\n", place, end)
            place = end
    if rest := text[place:].strip(_BETWEEN + "]"):
        yield number, None, rest.partition("\n")[0]


def _behind_blanks(text: str, place: int, number: int) -> tuple[int, int]:
    while place < len(text) and text[place] in _BETWEEN:
        number += text[place] == "\n"
        place += 1
    return place, number


def _end_of_line(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end
