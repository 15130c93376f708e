"""Times of a shop: from the texts of its files to moments in UTC, and back for files that hold times as times."""

from __future__ import annotations

import re

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from expectations.shop.raw_files import UNIX_TIMES, RawFile

_NANOSECONDS_PER_MICROSECOND = 1000
"""Spark keeps microseconds, where Parquet files may hold nanoseconds."""


def time_of_text(text: Column, raw: RawFile) -> Column:
    """Returns the moment that a text means; null when it is none.

    A pattern that holds a zone is read with the zone of the text, any other with the file's `timezone`.
    """
    if raw.time_format in UNIX_TIMES:
        # Seconds may come with a fraction, or as 1.4332225E9 from a table of floats.
        return F.timestamp_micros((text.try_cast("double") * UNIX_TIMES[raw.time_format]).try_cast("bigint"))
    time = F.try_to_timestamp(text, F.lit(raw.time_format))
    return time if _holds_zone(raw.time_format) else F.to_utc_timestamp(time, raw.timezone)


def text_of_time(column: Column, data_type: T.DataType, raw: RawFile) -> Column:
    """Returns the text from which `time_of_text` reads a time again.

    Args:
        data_type: of the column: a moment, or a date or time without a zone, which is then the file's `timezone`.
    """
    has_zone = isinstance(data_type, T.TimestampType)
    moment = column if has_zone else F.to_utc_timestamp(column.cast("timestamp"), raw.timezone)
    if raw.time_format in UNIX_TIMES:
        return F.call_function("div", F.unix_micros(moment), F.lit(UNIX_TIMES[raw.time_format])).cast("string")
    written = moment if _holds_zone(raw.time_format) else F.from_utc_timestamp(moment, raw.timezone)
    return F.date_format(written, raw.time_format)


def time_of_nanoseconds(column: Column, has_zone: bool) -> Column:
    """Returns the time that is so many nanoseconds after 1970 began; Spark knows none finer than microseconds."""
    time = F.timestamp_micros(F.call_function("div", column, F.lit(_NANOSECONDS_PER_MICROSECOND)))
    return time if has_zone else time.cast("timestamp_ntz")


def _holds_zone(pattern: str) -> bool:
    return bool(re.search(r"[XxZzVO]", re.sub(r"'[^']*'", "", pattern)))
