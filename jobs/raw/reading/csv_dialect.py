"""How a CSV file is written, told from its beginning: which line is the header, what separates cells, what quotes mean.

What the shop file says stands; what it leaves open is what makes the columns that it maps appear.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from expectations.shop.raw_files import CsvDialect
from jobs.raw.reading.cells import missing_columns, resolved_columns
from jobs.raw.reading.opened_file import UnreadableFileError

_DELIMITERS = (",", ";", "\t", "|")
_HEADER_WITHIN_LINES = 50
"""Reports put notes above the header; they are not longer than this."""
_SAMPLED_ROWS = 1000
UNIT_SEPARATOR = "\x1f"
"""Stands for a delimiter of several characters while a line is taken apart."""


@dataclass(frozen=True)
class FileDialect:
    """How one file is written.

    Attributes:
        columns: names in the order of the file.
        header_lines: lines up to the header and with it; none of them holds a row.
        places: mapped column -> its place in a row.
        delimiter: between cells, as it stands in the file.
        quote: around cells; empty when quotes are characters as others are.
        escape: before a quote within quotes; empty when a quote is doubled there.
        comment: how lines begin that are no rows; empty when every line is one.
    """

    columns: tuple[str, ...]
    header_lines: int
    places: dict[str, int]
    delimiter: str
    quote: str
    escape: str
    comment: str

    @property
    def cell_delimiter(self) -> str:
        """The one character that separates cells once a longer delimiter is replaced."""
        return self.delimiter if len(self.delimiter) == 1 else UNIT_SEPARATOR

    def plain(self, text: str) -> str:
        """Returns text in which one character separates cells."""
        return text if len(self.delimiter) == 1 else text.replace(self.delimiter, UNIT_SEPARATOR)


def dialect_of(head: str, said: CsvDialect, required: Sequence[str], kind: str) -> FileDialect:
    """Tells how a file is written from its first lines.

    Args:
        head: the beginning of the file, in whole lines.
        said: what the shop file says.
        required: the raw columns that must be there.

    Raises:
        UnreadableFileError: a column is not there.
    """
    lines = head.split("\n")
    if said.column_names:
        dialect = _dialect(
            said.column_names, said.skip_lines, said, said.delimiter or _likeliest_delimiter(lines, said)
        )
        missing = [name for name in required if name not in dialect.columns]
        if missing:
            raise missing_columns(missing, kind, dialect.columns, " `column_names` under its csv table says so.")
    else:
        dialect = _with_header(lines, said, required, kind)
    dialect = replace(dialect, places=resolved_columns(required, dialect.columns))
    sample = "\n".join(lines[dialect.header_lines :])
    return _with_width(_with_escape(dialect, sample, said), sample)


def _dialect(columns: Sequence[str], header_lines: int, said: CsvDialect, delimiter: str) -> FileDialect:
    return FileDialect(tuple(columns), header_lines, {}, delimiter, said.quote, said.escape, said.comment)


def _with_header(lines: Sequence[str], said: CsvDialect, required: Sequence[str], kind: str) -> FileDialect:
    best: FileDialect | None = None
    last = min(len(lines), said.skip_lines + _HEADER_WITHIN_LINES)
    for number in range(said.skip_lines, last):
        if not lines[number].strip() or (said.comment and lines[number].startswith(said.comment)):
            continue
        for delimiter in (said.delimiter,) if said.delimiter else _DELIMITERS:
            dialect = _dialect((), number + 1, said, delimiter)
            dialect = replace(dialect, columns=tuple(name.strip() for name in _cells(dialect, lines[number])))
            if len(resolved_columns(required, dialect.columns)) == len(set(required)):
                return dialect
            if best is None or (number + 1 == best.header_lines and len(dialect.columns) > len(best.columns)):
                best = dialect
    if best is None:
        raise UnreadableFileError("is empty: a drop must have at least one row. Drop it again, or take it away.")
    missing = [name for name in required if name not in resolved_columns(required, best.columns)]
    raise missing_columns(missing, kind, best.columns, _hint(best))


def _hint(best: FileDialect) -> str:
    """What else may be the matter with a file whose first line does not hold the columns."""
    if "\0" in "".join(best.columns):
        return ' There are zero bytes in it: say its encoding, such as encoding = "utf-16".'
    if len(best.columns) == 1:
        return " Its first line is one cell: say what separates cells by `delimiter` under its csv table."
    if any(character.isdigit() for character in best.columns[0]):
        return " If it has no header, say `column_names` under its csv table."
    return ""


def _likeliest_delimiter(lines: Sequence[str], said: CsvDialect) -> str:
    """Returns the one that gives the first row as many cells as there are names."""
    first = next(iter(lines[said.skip_lines :]), "")
    fits = [d for d in _DELIMITERS if len(_cells(_dialect((), 0, said, d), first)) == len(said.column_names)]
    return fits[0] if fits else ","


def _cells(dialect: FileDialect, line: str) -> list[str]:
    return next(csv.reader([dialect.plain(line)], **csv_options(dialect, strict=False)), [])


def csv_options(dialect: FileDialect, strict: bool = True) -> dict[str, Any]:
    """Returns what Python's csv module calls the dialect."""
    return {
        "delimiter": dialect.cell_delimiter,
        "quotechar": dialect.quote or None,
        "quoting": csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        "escapechar": dialect.escape or None,
        "doublequote": True,
        "strict": strict,
    }


def _with_escape(dialect: FileDialect, sample: str, said: CsvDialect) -> FileDialect:
    """Reads quotes behind a backslash as MySQL, Redshift and Hive write them, where rows are right only so."""
    if said.escape or not dialect.quote or f"\\{dialect.quote}" not in sample:
        return dialect
    escaped = replace(dialect, escape="\\")
    return escaped if _num_wrong(escaped, sample) < _num_wrong(dialect, sample) else dialect


def _with_width(dialect: FileDialect, sample: str) -> FileDialect:
    """Names the empty cell behind a delimiter that ends every row but the header."""
    rows = list(_sampled_rows(dialect, sample))
    width = len(dialect.columns)
    if rows and all(row is not None and len(row) == width + 1 and not row[-1].strip() for row in rows):
        return replace(dialect, columns=(*dialect.columns, ""))
    return dialect


def _num_wrong(dialect: FileDialect, sample: str) -> int:
    return sum(row is None or len(row) != len(dialect.columns) for row in _sampled_rows(dialect, sample))


def _sampled_rows(dialect: FileDialect, sample: str) -> list[list[str] | None]:
    """First rows of the sample; None for one that cannot be taken apart."""
    lines = (dialect.plain(line) + "\n" for line in sample.split("\n") if line.strip())
    rows: list[list[str] | None] = []
    while len(rows) < _SAMPLED_ROWS:
        try:
            # A reader takes as many lines as the row has, so that the next one goes on behind it.
            rows.append(next(csv.reader(lines, **csv_options(dialect))))
        except StopIteration:
            break
        except csv.Error:
            rows.append(None)
    # The sample may end within a row.
    return rows[:-1] if rows and rows[-1] is None else rows
