"""Rows of the first sheet of an Excel workbook (.xlsx), read below the row that names the mapped columns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
from pyarrow import fs
from python_calamine import CalamineError, CalamineWorkbook

from expectations.shop.raw_files import RawFile
from jobs.raw.reading.cells import RowBuilder, missing_columns, resolved_columns
from jobs.raw.reading.nested_values import text_of
from jobs.raw.reading.opened_file import UnreadableFileError
from jobs.raw.reading.typed_texts import moments_of, plain_value

_HEADER_WITHIN_ROWS = 50


def workbook_rows(path: str, kind: str, raw: RawFile, builder: RowBuilder) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a workbook's first sheet; `line` is the number of the row in the sheet.

    Raises:
        UnreadableFileError: it is no workbook, or no row of its beginning names the columns of `builder.columns`.
    """
    rows = sheet_rows(path)
    header, names = _header(rows, builder, kind)
    body = [(number, row) for number, row in enumerate(rows[header:], header + 1) if any(cell != "" for cell in row)]
    if not body:
        return
    places = resolved_columns(builder.columns, names)
    cells = {name: pa.array([_text(row[place]) for _, row in body], pa.string()) for name, place in places.items()}
    moment = None
    if (column := raw.columns.get("event_time")) in places:
        times = [_local_time(row[places[column]]) for _, row in body]
        if None not in times:
            moment = moments_of(pa.array(times, pa.timestamp("us")), raw.timezone)
    raws = None
    if builder.keeps_raw:
        raws = pa.array([text_of({n: _text(c) for n, c in zip(names, row, strict=False)}) for _, row in body])
    yield builder.batch(pa.array([number for number, _ in body], pa.int64()), cells, moment=moment, raw=raws)


def sheet_rows(path: str) -> list[list[Any]]:
    """Returns the cells of a workbook's first sheet, row by row; an empty cell is an empty text.

    Raises:
        UnreadableFileError: it is no workbook.
    """
    filesystem, local = fs.FileSystem.from_uri(path)
    with filesystem.open_input_file(local) as stream:
        try:
            workbook = CalamineWorkbook.from_filelike(stream)
            return workbook.get_sheet_by_index(0).to_python(skip_empty_area=False)
        except (CalamineError, OSError) as err:
            raise UnreadableFileError(f"cannot be read as a workbook: {err}. Drop it again, whole.") from err


def _header(rows: list[list[Any]], builder: RowBuilder, kind: str) -> tuple[int, list[str]]:
    """Returns the number of the row that names the columns, and its names."""
    first: list[str] = []
    for number, row in enumerate(rows[:_HEADER_WITHIN_ROWS], 1):
        names = [str(cell).strip() for cell in row]
        if len(resolved_columns(builder.columns, names)) == len(set(builder.columns)):
            return number, names
        first = first or [name for name in names if name]
    missing = [name for name in builder.columns if name not in first]
    raise missing_columns(missing, kind, first)


def _local_time(cell: Any) -> datetime | None:
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return datetime.combine(cell, time())
    return cell if isinstance(cell, datetime) else None


def _text(cell: Any) -> str | None:
    return None if cell == "" else text_of(plain_value(cell))
