"""The rows of a raw file as the rules read them: every cell a text or nothing, and where in the file it stood."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.raw.reading.opened_file import UnreadableFileError

UNREADABLE_FILE = "unreadable_file"
MALFORMED = "malformed"
REPEATED_HEADER = "repeated_header"
EMPTY_LIST = "empty_list"
MAX_ROWS_A_FILE = 1 << 40
"""A row's place among those of its day counts from so many times the number of its file."""

# A no-break space, and characters without a width, come with texts copied from pages.
_BLANKS = " \t\r\n\u00a0\u2007\u202f\u200b\u200c\u200d\u2060\ufeff"
_WITHOUT_WIDTH = "[\u200b\u200c\u200d\u2060\ufeff]"
_EXCEL_FORMULA = r'^="([^"]*)"$'
_EXCEL_TEXT = r"^'(\d+)$"
_WITH_EXPONENT = r"^-?\d\.\d+[eE]\+?\d+$"
_WHOLE_FLOAT = r"^(-?\d+)\.0$"


def text_column(name: str) -> str:
    """Names the column that holds the texts of a raw column; a shop's own names may hold dots or differ in case."""
    return f"text_{name.encode().hex()}"


def row_schema(columns: Sequence[str]) -> str:
    """Returns the schema, in Spark's words, of the rows that `RowBuilder` makes."""
    texts = "".join(f", {text_column(name)} string" for name in columns)
    where = "ds string, file string, line bigint, place bigint"
    return f"{where}, fault string, raw string, not_text array<string>, moment timestamp{texts}"


@dataclass
class RowBuilder:
    """Turns parsed cells of one file into Arrow batches.

    Attributes:
        columns: the raw columns that the shop file names.
        ids: those of `columns` that hold ids.
        null_words: texts that stand for nothing.
        optional: those of `columns` that another one stands in for, so that no object need have them.
        file_number: of the file among those of its day, so that rows of several have one order.
        keeps_raw: whether somebody asks for the whole row, as JSON, beside its texts.
    """

    ds: str
    file: str
    columns: Sequence[str]
    ids: frozenset[str]
    null_words: Sequence[str]
    keeps_raw: bool = False
    optional: frozenset[str] = frozenset()
    file_number: int = 0
    rows: int = 0
    _is_float: dict[str, bool] = field(default_factory=dict)

    def batch(
        self,
        lines: pa.Array,
        cells: Mapping[str, pa.Array],
        not_text: pa.Array | None = None,
        moment: pa.Array | None = None,
        raw: pa.Array | None = None,
    ) -> pa.RecordBatch:
        """Returns rows that could be taken apart.

        Args:
            lines: int64, the line (or row, where a format has no lines) of the file at which each row begins.
            cells: raw column -> its texts; a column that is absent holds nothing.
            not_text: list of text, the columns of a row whose value is a list or an object.
            moment: timestamp in UTC, where the file holds the time of the row as a time.
            raw: the whole row as JSON, where somebody asks for it.
        """
        size = len(lines)
        texts = {name: self._cleaned(name, cells.get(name, pa.nulls(size, pa.string()))) for name in self.columns}
        return self._assembled(lines, texts, not_text=not_text, moment=moment, raw=raw)

    def faults(self, lines: Sequence[int], fault: str, raw: Sequence[str]) -> pa.RecordBatch:
        """Returns rows that are no rows of the shop, with the text that came."""
        size = len(lines)
        nothing = {name: pa.nulls(size, pa.string()) for name in self.columns}
        return self._assembled(
            pa.array(lines, pa.int64()),
            nothing,
            fault=pa.array([fault] * size, pa.string()),
            raw=pa.array(raw, pa.string()),
        )

    def _assembled(
        self,
        lines: pa.Array,
        texts: Mapping[str, pa.Array],
        fault: pa.Array | None = None,
        raw: pa.Array | None = None,
        not_text: pa.Array | None = None,
        moment: pa.Array | None = None,
    ) -> pa.RecordBatch:
        size = len(lines)

        def or_nothing(array: pa.Array | None, of: pa.DataType) -> pa.Array:
            return pa.nulls(size, of) if array is None else array

        arrays = {
            "ds": pa.repeat(pa.scalar(self.ds), size),
            "file": pa.repeat(pa.scalar(self.file), size),
            "line": lines.cast(pa.int64()),
            "place": self._places(size),
            "fault": or_nothing(fault, pa.string()),
            "raw": or_nothing(raw, pa.string()),
            "not_text": or_nothing(not_text, pa.list_(pa.string())),
            "moment": or_nothing(moment, pa.timestamp("us", "UTC")),
            **{text_column(name): texts[name] for name in self.columns},
        }
        return pa.RecordBatch.from_pydict(arrays)

    def _places(self, size: int) -> pa.Array:
        first = self.file_number * MAX_ROWS_A_FILE + self.rows
        self.rows += size
        return pa.array(np.arange(first, first + size))

    def _cleaned(self, name: str, texts: pa.Array) -> pa.Array:
        texts = pc.utf8_trim(texts.cast(pa.string()), characters=_BLANKS)
        if name in self.ids:
            texts = self._whole_numbers(name, _one_way_to_write(texts))
        return pc.if_else(self._is_nothing(texts), pa.scalar(None, pa.string()), texts)

    def _is_nothing(self, texts: pa.Array) -> pa.Array:
        is_null_word = pc.is_in(texts, value_set=pa.array(self.null_words, pa.string()))
        return pc.or_(pc.fill_null(pc.equal(texts, ""), True), is_null_word)

    def _whole_numbers(self, name: str, texts: pa.Array) -> pa.Array:
        """Takes `.0` off a column of ids that passed through a table of floats: there every value has it.

        Raises:
            UnreadableFileError: a column that looked like one holds other ids, too, so that 12.0 and 12 may be two.
        """
        something = texts.filter(pc.invert(self._is_nothing(texts)))
        if not len(something):
            return texts
        # A float of eight digits and more may be written with an exponent; the rules of ids judge these.
        is_float = pc.or_(
            pc.match_substring_regex(something, _WHOLE_FLOAT), pc.match_substring_regex(something, _WITH_EXPONENT)
        )
        if name not in self._is_float:
            self._is_float[name] = bool(pc.all(is_float).as_py())
        if not self._is_float[name]:
            return texts
        others = something.filter(pc.invert(is_float))
        if len(others):
            raise UnreadableFileError(
                f"has whole numbers with .0 in column {name!r}, and {others[0].as_py()!r} without. Whether 12.0 and 12 "
                "are one is not clear: export the column as text."
            )
        return pc.replace_substring_regex(texts, _WHOLE_FLOAT, r"\1")


def _one_way_to_write(texts: pa.Array) -> pa.Array:
    """Composes letters and their accents, drops characters without a width, and what Excel guards zeros with."""
    if not pc.all(pc.string_is_ascii(texts)).as_py():
        texts = pc.replace_substring_regex(texts, _WITHOUT_WIDTH, "")
        # Arrow's own normalizer takes letters and accents apart where it is asked to compose them (25.0.1).
        composed = (None if text is None else unicodedata.normalize("NFC", text) for text in texts.to_pylist())
        texts = pa.array(list(composed), pa.string())
    if pc.any(pc.match_substring_regex(texts, r"^[='].")).as_py():
        texts = pc.replace_substring_regex(texts, _EXCEL_FORMULA, r"\1")
        texts = pc.replace_substring_regex(texts, _EXCEL_TEXT, r"\1")
    return texts


def resolved_columns(required: Sequence[str], found: Sequence[str]) -> dict[str, int]:
    """Finds each required column among those of a file: by its name, or by the only one that differs in case alone.

    Returns:
        Required column -> its place among `found`; one that is not there is absent.
    """
    places: dict[str, int] = {}
    for name in required:
        exact = [place for place, other in enumerate(found) if other == name]
        alike = exact or [place for place, other in enumerate(found) if other.casefold() == name.casefold()]
        if len(alike) > 1:
            raise UnreadableFileError(f"has several columns named {name!r}. Column names must differ.")
        if alike:
            places[name] = alike[0]
    return places


def missing_columns(missing: Sequence[str], kind: str, found: Sequence[str], hint: str = "") -> UnreadableFileError:
    """Says which columns a file lacks, which it has, and what may be the matter."""
    names = ", ".join(found[:40]) or "none"
    more = f" and {len(found) - 40} more" if len(found) > 40 else ""
    return UnreadableFileError(
        f"has no column {', '.join(map(repr, missing))}, which the shop file maps under [{kind}]. "
        f"Found: {' '.join(names.split())[:600]}{more}. Correct the drop or the shop file.{hint}"
    )
