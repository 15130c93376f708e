"""A look at one raw file: what it is, and what stands in each of its columns, as the readers of ingestion read it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from expectations.shop.raw_files import NULL_WORDS, RawFile
from jobs.raw.drafting.time_forms import TimeForm, time_form, typed_times
from jobs.raw.raw_rows import rows_of_file
from jobs.raw.reading.cells import UNREADABLE_FILE, text_column
from jobs.raw.reading.file_sample import FileSample, sample_of
from jobs.raw.reading.found_columns import FoundColumns, columns_of
from jobs.raw.reading.opened_file import UnreadableFileError

MOST_ROWS = 50_000
_COMPARED_VALUES = 5_000
"""Different values of a column that are compared with patterns; more tell no more."""
_WHOLE = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_AMOUNT = re.compile(r"([^\w\s.,+-]\s*|[A-Z]{3}\s*)?[+-]?\d[\d.,' \u00a0\u202f\u2019]*(\s*[^\w\s.,]|\s*[A-Z]{3})?")
_YES_OR_NO = {"true", "false", "yes", "no", "0", "1", "t", "f", "y", "n"}


@dataclass(frozen=True)
class LookedAtColumn:
    """What stands in a column, of the rows that were looked at.

    Attributes:
        path: as a shop file names it.
        of_list: the list that it leads through; empty where every row has one value.
        num_rows: rows, or elements of the list.
        values: text -> rows that hold it, the most frequent first; words for nothing are left out.
        nulls: word for nothing -> rows that hold it.
        num_nested: rows in which it holds a list or an object.
        times: whether the file holds times there as times: with a zone, without one, or not at all (None).
    """

    path: str
    of_list: str
    num_rows: int
    values: Mapping[str, int]
    nulls: Mapping[str, int] = field(default_factory=dict)
    num_nested: int = 0
    times: bool | None = None

    @cached_property
    def num_filled(self) -> int:
        return sum(self.values.values())

    @property
    def share_filled(self) -> float:
        return self.num_filled / self.num_rows if self.num_rows else 0.0

    @property
    def share_distinct(self) -> float:
        """Of the rows that hold something, how many hold what no other does, roughly."""
        return len(self.values) / self.num_filled if self.num_filled else 0.0

    @cached_property
    def compared(self) -> Mapping[str, int]:
        """The most frequent values."""
        return dict(list(self.values.items())[:_COMPARED_VALUES])

    @cached_property
    def form(self) -> TimeForm | None:
        """How its times are written; None where it holds none."""
        if self.times is not None:
            return typed_times(self.values, self.times)
        return time_form(self.compared)

    def share_like(self, pattern: re.Pattern[str]) -> float:
        """Of the rows that hold something, how many match the pattern."""
        total = sum(self.compared.values())
        return sum(n for text, n in self.compared.items() if pattern.fullmatch(text)) / total if total else 0.0

    @cached_property
    def share_whole(self) -> float:
        return self.share_like(_WHOLE)

    @cached_property
    def share_numbers(self) -> float:
        return self.share_like(_NUMBER)

    @cached_property
    def share_amounts(self) -> float:
        """Of the rows that hold something, how many hold a number, with signs of thousands or of a currency or not."""
        return self.share_like(_AMOUNT)

    @cached_property
    def kind(self) -> str:
        """What its values are, in words."""
        if not self.values:
            return "empty"
        if self.num_nested > 0.5 * self.num_filled:
            return "lists or objects"
        if self.times is not None or (self.form is not None and not self.form.pattern.startswith("unix")):
            return "times" if self.form is None or self.form.has_date else "times of the day"
        if {text.casefold() for text in self.values} <= _YES_OR_NO and len(self.values) == 2:
            return "yes or no"
        if self.share_whole > 0.95:
            return "whole numbers"
        if self.share_amounts > 0.8:
            return "numbers" if self.share_numbers > 0.8 else "amounts"
        return "texts"

    @property
    def examples(self) -> tuple[str, ...]:
        """Its most frequent values, up to three, cut where they are long."""
        return tuple(text if len(text) <= 40 else f"{text[:37]}..." for text in list(self.values)[:3])


@dataclass(frozen=True)
class LookedAtFile:
    """A file that was looked at.

    Attributes:
        sample: what it is, and the part that was looked at.
        num_rows: rows that were read.
        faults: why rows could not be read -> how many.
    """

    sample: FileSample
    found: FoundColumns
    columns: tuple[LookedAtColumn, ...]
    num_rows: int
    faults: Mapping[str, int]

    @property
    def path(self) -> str:
        return self.sample.path

    def column(self, path: str) -> LookedAtColumn | None:
        """The column of that name; None where there is none."""
        return next((column for column in self.columns if column.path == path), None)


def raw_of(sample: FileSample, found: FoundColumns) -> RawFile:
    """What a shop file says of how the file is written, so far without its columns."""
    return RawFile("{ds}", sample.format, encoding=sample.encoding or "utf-8", csv=found.csv)


def look_at(path: str, folder: Path) -> LookedAtFile:
    """Looks at a file, up to `MOST_ROWS` rows of it.

    Args:
        folder: an empty one, for the sample.

    Raises:
        UnreadableFileError: it cannot be read.
    """
    sample = sample_of(path, folder)
    found = columns_of(sample)
    raw = replace(raw_of(sample, found), null_words=())
    columns: list[LookedAtColumn] = []
    num_rows, faults = 0, Counter[str]()
    for of_list, names in {"": found.flat, **found.in_lists}.items():
        if not names:
            continue
        cells = _cells(sample, raw, names)
        columns += cells.columns(names, of_list, found.times)
        num_rows, faults = max(num_rows, cells.num_rows), faults if of_list else cells.faults
    if not num_rows:
        raise UnreadableFileError("has no row that can be read: there is nothing to look at.")
    return LookedAtFile(sample, found, tuple(columns), num_rows, faults)


@dataclass
class _Cells:
    batches: list[pa.RecordBatch]
    faults: Counter[str]

    @property
    def num_rows(self) -> int:
        return sum(batch.num_rows for batch in self.batches)

    def columns(self, names: Sequence[str], of_list: str, times: Mapping[str, bool]) -> Iterator[LookedAtColumn]:
        nested = Counter(name for batch in self.batches for of in batch["not_text"].to_pylist() if of for name in of)
        for name in names:
            counts: Counter[str] = Counter()
            for batch in self.batches:
                for pair in pc.value_counts(batch[text_column(name)].drop_null()).to_pylist():
                    counts[pair["values"]] += pair["counts"]
            ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            yield LookedAtColumn(
                path=name,
                of_list=of_list,
                num_rows=self.num_rows,
                values={text: count for text, count in ordered if text not in NULL_WORDS},
                nulls={text: count for text, count in ordered if text in NULL_WORDS},
                num_nested=nested[name],
                times=times.get(name),
            )


def _cells(sample: FileSample, raw: RawFile, names: Sequence[str]) -> _Cells:
    cells = _Cells([], Counter())
    for batch in rows_of_file(sample.sample, "", "events", raw, sorted(set(names))):
        faults = [fault for fault in batch["fault"].to_pylist() if fault is not None]
        if UNREADABLE_FILE in faults:
            raise UnreadableFileError(str(batch["raw"][0]))
        cells.faults.update(faults)
        if not faults:
            cells.batches.append(batch.slice(0, MOST_ROWS - cells.num_rows))
        if cells.num_rows >= MOST_ROWS:
            break
    if not sample.is_whole and cells.faults["malformed"]:
        cells.faults["malformed"] -= 1  # the sample ends, or a block of it begins, within a row
    return cells
