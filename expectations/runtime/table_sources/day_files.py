"""Which days a table has, and what tells that one has changed, from what its metadata says of its files."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.lake import fingerprint_of
from expectations.runtime.table_sources.source_table import day_of_value
from expectations.tables import NightError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DayFile:
    """A data file of a table.

    Attributes:
        identity: of the file and of what was deleted from it; files are never changed in place.
        first_day: no row is of an earlier day; None where metadata does not tell.
        last_day: no row is of a later day.
        has_deletions: whether rows of it no longer count, perhaps all of a day.
    """

    identity: tuple[str, ...]
    first_day: str | None
    last_day: str | None
    has_deletions: bool = False

    @property
    def day(self) -> str | None:
        """The one day of which it has rows; None where it may have rows of several days, or none."""
        return self.first_day if self.first_day == self.last_day and not self.has_deletions else None

    def may_hold(self, ds: str) -> bool:
        """Whether rows of a day may be in it."""
        return self.first_day is None or self.last_day is None or self.first_day <= ds <= self.last_day


def days_of_files(files: Sequence[DayFile], scanned_days: Callable[[], Iterable[str]]) -> dict[str, str]:
    """Returns the days that have rows -> a hash of the files in which rows of the day may be.

    Args:
        scanned_days: reads the column of days; asked only where some file may hold several.
    """
    told = [file.day for file in files]
    days = sorted({day for day in told if day} | (set(scanned_days()) if None in told else set()))
    by_day: dict[str, list[tuple[str, ...]]] = {day: [] for day in days}
    for file, day in zip(files, told, strict=True):
        if day is not None:
            by_day[day].append(file.identity)
    several = [file for file, day in zip(files, told, strict=True) if day is None]
    for day, identities in by_day.items():
        identities += [file.identity for file in several if file.may_hold(day)]
    return {day: fingerprint_of(sorted(identities)) for day, identities in by_day.items()}


def day_range(lowest: Any, highest: Any, day_format: str) -> tuple[str | None, str | None]:
    """Returns the first and the last day of a file by its lowest and highest value; None where they do not tell."""
    first, last = day_of_value(lowest, day_format), day_of_value(highest, day_format)
    # Between 01.03. and 31.03. as texts lie days of every month.
    is_in_order = isinstance(lowest, date) or re.findall(r"%(.)", day_format) == ["Y", "m", "d"]
    return (first, last) if first == last or (first and last and is_in_order) else (None, None)


def days_in(batches: Iterable[pa.RecordBatch], place: str, day_format: str) -> set[str]:
    """Returns the days in batches of the one column that tells them.

    Rows without a day are in no drop, which is said in the log.
    """
    days: set[str] = set()
    num_without = 0
    for batch in batches:
        values = batch.column(0)
        if pa.types.is_timestamp(values.type):
            utc = pa.timestamp("us", "UTC" if values.type.tz else None)
            values = values.cast(utc, safe=False).cast(pa.date32())
        num_without += values.null_count
        days |= {day for day in (day_of_value(value, day_format) for value in pc.unique(values).to_pylist()) if day}
    if num_without:
        logger.warning("rows without a day are in no drop: table=%s rows=%d", place, num_without)
    return days


def require_day_column(place: str, column: str, types: Mapping[str, pa.DataType]) -> pa.DataType:
    """Returns the type of the column that tells the day.

    Raises:
        NightError: there is none of this name, or it holds neither times nor texts nor whole numbers.
    """
    if column not in types:
        raise NightError(f"{place} has no column {column!r}, the `day_column`. Found: {', '.join(types)}")
    of = types[column]
    is_text = pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_string_view(of)
    if not (is_text or pa.types.is_date(of) or pa.types.is_timestamp(of) or pa.types.is_integer(of)):
        raise NightError(
            f"{place}: `day_column` must hold dates, times, texts or whole numbers. Received: {column!r}, which is {of}"
        )
    return of
