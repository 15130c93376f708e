"""Every column that a file holds, found without a shop file: by its header, its schema, or the keys of its objects.

Columns of JSON and Parquet are paths as a shop file writes them (`jobs.raw.reading.nested_values`): into objects,
through one list (`items[].item_id`), and to the value beside a key (`event_params[key=ga_session_id].value`).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from expectations.shop.raw_files import CsvDialect
from jobs.raw.reading.file_sample import FileSample
from jobs.raw.reading.json_rows import parsed_objects
from jobs.raw.reading.nested_values import TYPED_VALUE
from jobs.raw.reading.opened_file import UnreadableFileError, text_blocks, unpacked
from jobs.raw.reading.typed_texts import plain_value
from jobs.raw.reading.workbook_rows import sheet_rows

_OBJECTS = 20_000
_MAX_COLUMNS = 400
_MAX_KEYS = 60
"""Of one list of keys and values."""
_MAX_DEPTH = 6
_LINES = 200
_HEADER_WITHIN = 50
_DELIMITERS = (",", ";", "\t", "|", "::", "^", "\x01")
_NUMBER = re.compile(r"[+-]?\d+([.,:/ -]\d+)*")


@dataclass(frozen=True)
class FoundColumns:
    """The columns of a file.

    Attributes:
        flat: those with one value a row, in the order of the file.
        in_lists: list -> the paths through it, which have a value for each of its elements.
        csv: what a shop file must say of a CSV file, so that it is read.
        delimiter: of a CSV file; empty for others.
        has_header: false for a CSV file whose columns have no names; `csv` then makes some up.
        times: columns that hold times as times, and whether these count from a zone.
    """

    flat: tuple[str, ...]
    in_lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    csv: CsvDialect = field(default_factory=CsvDialect)
    delimiter: str = ""
    has_header: bool = True
    times: Mapping[str, bool] = field(default_factory=dict)


def columns_of(sample: FileSample) -> FoundColumns:
    """Finds all columns.

    Raises:
        UnreadableFileError: there is none, or the file cannot be taken apart.
    """
    if sample.format == "csv":
        with unpacked(sample.sample) as stream:
            return csv_columns(next(text_blocks(stream, sample.encoding), ""))
    if sample.format == "json":
        found = _json_columns(sample)
    elif sample.format == "parquet":
        found = _parquet_columns(sample.sample)
    else:
        found = _workbook_columns(sample.sample)
    if not found.flat and not found.in_lists:
        raise UnreadableFileError("holds no columns.")
    return found


def csv_columns(head: str) -> FoundColumns:
    """Tells the columns of a CSV file by its first lines."""
    lines = head.split("\n", _LINES)[:_LINES]
    delimiter, width = _delimiter(lines)
    comment = _comment(lines, delimiter, width)
    rows = _rows(lines, delimiter, comment)
    start = next(place for place, (_, row) in enumerate(rows) if len(row) in (width, width - 1))
    names = [cell.strip() for cell in rows[start][1]]
    below = [row for _, row in rows[start + 1 :] if len(row) == width]
    if start < _HEADER_WITHIN and _is_header(names, below):
        repeated = sorted({name for name in names if name and names.count(name) > 1})
        flat = [name for name in names if name and name not in repeated]
        said = CsvDialect(delimiter="" if delimiter in _DELIMITERS[:4] else delimiter, comment=comment)
        return FoundColumns(tuple(flat), csv=said, delimiter=delimiter)
    made = tuple(f"column_{number}" for number in range(1, width + 1))
    skipped = 0 if comment else rows[start][0]
    said = CsvDialect(delimiter=delimiter, column_names=made, skip_lines=skipped, comment=comment)
    return FoundColumns(made, csv=said, delimiter=delimiter, has_header=False)


def _delimiter(lines: Sequence[str]) -> tuple[str, int]:
    """The delimiter that cuts most lines into equally many cells, of several the one into most; and how many."""
    best, best_rank = (",", 1), (0.0, False, 0)
    for delimiter in _DELIMITERS:
        widths = [len(row) for _, row in _rows(lines, delimiter, "")]
        width, count = Counter(widths).most_common(1)[0] if widths else (1, 0)
        if width == 1:
            continue
        # Notes above the header, and rows that a text with a line end cuts in two, are few.
        rank = (round(count / len(widths) * 5) / 5, widths[0] in (width, width - 1), width)
        if rank > best_rank:
            best, best_rank = (delimiter, width), rank
    return best


def _rows(lines: Sequence[str], delimiter: str, comment: str) -> list[tuple[int, list[str]]]:
    """Number of the line at which it ends, from 0, and cells of each row that is not blank."""
    cell_delimiter = delimiter if len(delimiter) == 1 else "\x1f"
    reader = csv.reader((line.replace(delimiter, cell_delimiter) + "\n" for line in lines), delimiter=cell_delimiter)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            is_comment = bool(comment) and bool(row) and row[0].startswith(comment)
            if any(cell.strip() for cell in row) and not is_comment:
                rows.append((reader.line_num - 1, row))
    except csv.Error:
        pass  # a quote that is never closed, or a zero byte: what came before tells enough
    return rows


def _comment(lines: Sequence[str], delimiter: str, width: int) -> str:
    """Returns `#` where lines that begin so are no rows. Order numbers may begin so, too."""
    marked = [len(row) for _, row in _rows(lines, delimiter, "") if row[0].startswith("#")]
    return "#" if marked and width not in marked else ""


def _is_header(names: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: it holds no number, and something else than the rows below."""
    named = [name for name in names if name]
    if not named or any(_NUMBER.fullmatch(name) for name in named):
        return False
    if not below:
        return True
    columns = list(zip(*below, strict=False))
    if any(_are_numbers(column) for column in columns):
        return True
    return not any(name in column for name, column in zip(names, columns, strict=False) if name)


def _are_numbers(cells: Sequence[str]) -> bool:
    something = [cell for cell in cells if cell.strip()]
    return bool(something) and sum(bool(_NUMBER.match(cell.strip())) for cell in something) > 0.8 * len(something)


def _json_columns(sample: FileSample) -> FoundColumns:
    with unpacked(sample.sample) as stream:
        objects = (value for _, value, _ in parsed_objects(text_blocks(stream, sample.encoding)) if value is not None)
        return _paths_of(islice(objects, _OBJECTS))


def _parquet_columns(path: str) -> FoundColumns:
    filesystem, local = fs.FileSystem.from_uri(path)
    with filesystem.open_input_file(local) as stream:
        try:
            file = pq.ParquetFile(stream)
            schema = file.schema_arrow
            nested = [of.name for of in schema if pa.types.is_nested(of.type)]
            first = next(file.iter_batches(batch_size=1000, columns=nested), None) if nested else None
        except (pa.ArrowException, OSError, ValueError) as err:
            reason = " ".join(str(err).split())
            raise UnreadableFileError(f"cannot be read as parquet: {reason[:300]}. Drop it again, whole.") from err
    rows = first.to_pylist() if first is not None else []
    inside = _paths_of({name: plain_value(value) for name, value in row.items()} for row in rows)
    times = {of.name: getattr(of.type, "tz", None) is not None for of in schema if pa.types.is_temporal(of.type)}
    plain = [of.name for of in schema if not pa.types.is_nested(of.type) and schema.names.count(of.name) == 1]
    return FoundColumns((*plain, *inside.flat), inside.in_lists, times=times)


def _workbook_columns(path: str) -> FoundColumns:
    rows = list(islice(sheet_rows(path), _HEADER_WITHIN))
    names = [[str(cell).strip() for cell in row] for row in rows]
    header = max(names, key=lambda row: len({cell for cell in row if cell and not _NUMBER.fullmatch(cell)}), default=[])
    return FoundColumns(tuple(dict.fromkeys(name for name in header if name and header.count(name) == 1)))


def _paths_of(objects: Iterator[Mapping[str, Any]]) -> FoundColumns:
    """Returns the paths of all values in the objects, each where it was first met."""
    flat: dict[str, None] = {}
    in_lists: dict[str, dict[str, None]] = {}
    for value in objects:
        for of_list, path in _walked(value, "", "", 0):
            known = in_lists.setdefault(of_list, {}) if of_list else flat
            if len(known) < _MAX_COLUMNS:
                known[path] = None
    return FoundColumns(tuple(flat), {name: tuple(paths) for name, paths in in_lists.items() if paths})


def _walked(value: Mapping[str, Any], prefix: str, of_list: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yields the list that each value inside an object lies in, empty where in none, and its path."""
    for name, inner in value.items():
        # A name with dots or brackets would be read as a path, but for one at the top.
        if prefix and re.search(r"[.\[\]]", name):
            continue
        path = f"{prefix}{name}"
        if isinstance(inner, Mapping) and not _is_typed(inner) and depth < _MAX_DEPTH:
            yield from _walked(inner, f"{path}.", of_list, depth + 1)
        elif isinstance(inner, list) and inner and all(isinstance(element, Mapping) for element in inner):
            if all({"key", "value"} <= set(element) for element in inner):
                keys = [str(element["key"]) for element in inner[:_MAX_KEYS]]
                yield from ((of_list, f"{path}[key={key}].value") for key in keys if not re.search(r"[\[\]=]", key))
            elif not of_list:
                for element in inner[:_MAX_KEYS]:
                    yield from _walked(element, f"{path}[].", f"{path}[]", depth + 1)
        elif inner != {} and inner != []:
            yield of_list, path


def _is_typed(value: Mapping[str, Any]) -> bool:
    """Whether an object has a field for each type, of which one holds the value."""
    return bool(value) and all(name.endswith(TYPED_VALUE) for name in value)
