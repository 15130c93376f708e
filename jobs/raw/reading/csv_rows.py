"""Rows of CSV files, exactly: a block without quotes that need thought goes through Arrow, any other line by line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from expectations.shop.raw_files import RawFile
from jobs.raw.reading.cells import MALFORMED, REPEATED_HEADER, RowBuilder
from jobs.raw.reading.csv_dialect import FileDialect, csv_options, dialect_of
from jobs.raw.reading.opened_file import text_blocks, unpacked

_MAX_LINES_A_ROW = 1000
"""A quote that is open for longer is none: its row is malformed, and the lines after it are rows of their own."""
_ROWS_A_BATCH = 20_000

csv.field_size_limit(1 << 30)


def csv_rows(path: str, kind: str, raw: RawFile, builder: RowBuilder) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a CSV file.

    Raises:
        UnreadableFileError: it cannot be read to its end, or lacks a column of `builder.columns`.
    """
    with unpacked(path) as stream:
        blocks = text_blocks(stream, raw.encoding)
        head = next(blocks, "")
        dialect = dialect_of(head, raw.csv, builder.columns, kind)
        first = head.split("\n", dialect.header_lines)[-1] if dialect.header_lines else head
        lines = _Lines(blocks, first, dialect.header_lines + 1)
        while (block := lines.block()) is not None:
            number = lines.number
            batch = None if builder.keeps_raw else _block_in_arrow(block, number, dialect, builder)
            if batch is not None:
                lines.take_block()
                yield from batch
            else:
                yield from _block_by_line(lines, dialect, builder)


@dataclass
class _Lines:
    """The lines of a file from `number` on: what is left of a block, and the blocks after it."""

    blocks: Iterator[str]
    text: str
    number: int
    _queue: list[str] = field(default_factory=list)
    _place: int = 0

    def block(self) -> str | None:
        """Returns the rest of the current block, or the next one; None at the end of the file."""
        if self._place < len(self._queue):
            return "\n".join(self._queue[self._place :]) + "\n"
        while not self.text:
            following = next(self.blocks, None)
            if following is None:
                return None
            self.text = following
        return self.text

    def take_block(self) -> None:
        """Passes over what `block` returned."""
        if self._place < len(self._queue):
            self.number += len(self._queue) - self._place
        else:
            self.number += self.text.count("\n")
            self.text = ""
        self._queue, self._place = [], 0

    def peek(self, offset: int) -> str | None:
        """Returns the line `offset` lines on, without its end; None behind the last."""
        while self._place + offset >= len(self._queue):
            if self._place:
                self._queue, self._place = self._queue[self._place :], 0
            if not self.text:
                following = next(self.blocks, None)
                if following is None:
                    return None
                self.text = following
            self._queue.extend(self.text[:-1].split("\n"))
            self.text = ""
        return self._queue[self._place + offset]

    def advance(self, count: int) -> None:
        self._place += count
        self.number += count

    @property
    def is_at_start_of_block(self) -> bool:
        return self._place >= len(self._queue)


def _block_in_arrow(block: str, number: int, dialect: FileDialect, builder: RowBuilder) -> list[pa.RecordBatch] | None:
    """Returns the rows of a block in which every line is one of the right width; None for any other."""
    if not _is_plain(block, dialect):
        return None
    data = dialect.plain(block).encode()
    is_wrong = False

    def refuse(_: object) -> str:
        nonlocal is_wrong
        is_wrong = True
        return "skip"

    names = [str(place) for place in range(len(dialect.columns))]
    wanted = sorted({str(place) for place in dialect.places.values()}, key=int)
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
            arrow_csv.ParseOptions(
                delimiter=dialect.cell_delimiter,
                quote_char=dialect.quote or False,
                invalid_row_handler=refuse,
                ignore_empty_lines=False,
            ),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), include_columns=wanted),
        )
    except pa.ArrowInvalid:
        return None
    if is_wrong or table.num_rows != block.count("\n"):
        return None
    batches = []
    for batch in table.combine_chunks().to_batches():
        lines = pa.array(range(number, number + batch.num_rows), pa.int64())
        number += batch.num_rows
        cells = {name: batch.column(str(place)) for name, place in dialect.places.items()}
        is_header = _repeats_header(cells, dialect)
        if is_header is not None and pc.any(is_header).as_py():
            return None
        batches.append(builder.batch(lines, cells))
    return batches


def _is_plain(block: str, dialect: FileDialect) -> bool:
    """Whether no line of the block is blank or a comment, and every quote opens or closes a cell of one line."""
    if block.startswith("\n") or "\n\n" in block or "\n " in block or block.startswith(" "):
        return False
    if dialect.comment and (f"\n{dialect.comment}" in block or block.startswith(dialect.comment)):
        return False
    if not dialect.quote or dialect.quote not in block:
        return True
    if dialect.escape or len(dialect.delimiter) > 1:
        return False
    quote, delimiter = re.escape(dialect.quote), re.escape(dialect.delimiter)
    quoted = rf"(?:(?<=[{delimiter}\n])|\A){quote}(?:[^{quote}\n]|{quote}{quote})*{quote}(?=[{delimiter}\n])"
    return dialect.quote not in re.sub(quoted, "", block)


def _repeats_header(cells: dict[str, pa.Array], dialect: FileDialect) -> pa.Array | None:
    """Tells which rows are the header again, as joined files have it."""
    if not cells or dialect.header_lines == 0:
        return None
    same = [pc.equal(texts, dialect.columns[dialect.places[name]]) for name, texts in cells.items()]
    found = same[0]
    for other in same[1:]:
        found = pc.and_(found, other)
    return found


def _block_by_line(lines: _Lines, dialect: FileDialect, builder: RowBuilder) -> Iterator[pa.RecordBatch]:
    """Reads up to the end of the current block, and of the row that goes on behind it."""
    numbers: list[int] = []
    rows: list[list[str]] = []
    faults: dict[str, tuple[list[int], list[str]]] = {MALFORMED: ([], []), REPEATED_HEADER: ([], [])}
    header = list(dialect.columns)
    lines.peek(0)
    while not lines.is_at_start_of_block and len(rows) < _ROWS_A_BATCH:
        line = lines.peek(0) or ""
        if not line.strip() or (dialect.comment and line.startswith(dialect.comment)):
            lines.advance(1)
            continue
        number = lines.number
        row, taken = _next_row(lines, dialect)
        if row is None:
            numbers_of, texts_of = faults[MALFORMED]
            numbers_of.append(number)
            texts_of.append(json.dumps({"line": line}, ensure_ascii=False))
        elif dialect.header_lines and [cell.strip() for cell in row] == header[: len(row)]:
            numbers_of, texts_of = faults[REPEATED_HEADER]
            numbers_of.append(number)
            texts_of.append(json.dumps({"line": line}, ensure_ascii=False))
        else:
            numbers.append(number)
            rows.append(row)
        lines.advance(taken)
    if rows:
        columns = list(zip(*rows, strict=True))
        cells = {name: pa.array(columns[place], pa.string()) for name, place in dialect.places.items()}
        raw = _as_json(rows, dialect) if builder.keeps_raw else None
        yield builder.batch(pa.array(numbers, pa.int64()), cells, raw=raw)
    for fault, (numbers_of, texts_of) in faults.items():
        if numbers_of:
            yield builder.faults(numbers_of, fault, texts_of)


def _as_json(rows: list[list[str]], dialect: FileDialect) -> pa.Array:
    return pa.array(
        [json.dumps(dict(zip(dialect.columns, row, strict=True)), ensure_ascii=False) for row in rows], pa.string()
    )


def _next_row(lines: _Lines, dialect: FileDialect) -> tuple[list[str] | None, int]:
    """Takes the next row apart. Returns its cells, None when it is malformed, and how many lines it takes."""
    taken = 0

    def following() -> Iterator[str]:
        nonlocal taken
        while taken < _MAX_LINES_A_ROW and (line := lines.peek(taken)) is not None:
            taken += 1
            yield dialect.plain(line) + "\n"

    try:
        row = next(csv.reader(following(), **csv_options(dialect)))
    except (csv.Error, StopIteration):
        return None, 1
    if len(row) != len(dialect.columns):
        return None, 1
    return row, taken
