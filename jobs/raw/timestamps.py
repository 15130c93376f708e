"""Times of a shop: from the texts of its files to moments in UTC, and back."""

from __future__ import annotations

import re

from pyspark.sql import Column
from pyspark.sql import functions as F

from expectations.shop.raw_file_rules import UNIX_TIMES
from expectations.shop.raw_files import RawFile

_RFC_3339 = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"


def time_of_text(text: Column, raw: RawFile) -> Column:
    """Returns the moment that a text means; null when it is none.

    A pattern that holds a zone is read with the zone of the text, any other with the file's `timezone`.
    """
    if raw.time_format in UNIX_TIMES:
        # As a decimal, since a double has no room for nanoseconds; 1.4332225E9 comes from a table of floats.
        counted = F.coalesce(text.try_cast("decimal(38,9)"), text.try_cast("double").try_cast("decimal(38,9)"))
        per_count = F.lit(UNIX_TIMES[raw.time_format]).cast("decimal(10,3)")
        return F.timestamp_micros(F.floor(F.try_multiply(counted, per_count)).try_cast("bigint"))
    time = F.try_to_timestamp(text, F.lit(raw.time_format))
    if not _holds_zone(raw.time_format):
        return F.to_utc_timestamp(time, raw.timezone)
    # Go, Java and Python leave out a fraction that is none, and write Z for +00:00: a pattern fits some rows only.
    return F.coalesce(time, F.when(text.rlike(_RFC_3339), text.try_cast("timestamp")))


def start_of_day(day: Column, timezone: str) -> Column:
    """Returns the moment in UTC at which a date begins in a zone."""
    midnight = day.cast("timestamp")
    return midnight if timezone == "UTC" else F.to_utc_timestamp(midnight, timezone)


def day_of(moment: Column, timezone: str) -> Column:
    """Returns the date of a moment in a zone."""
    return F.to_date(moment if timezone == "UTC" else F.from_utc_timestamp(moment, timezone))


def text_of_moment(moment: Column, raw: RawFile) -> Column:
    """Returns the text from which `time_of_text` reads a moment again."""
    if raw.time_format in UNIX_TIMES:
        counted = F.unix_micros(moment).cast("decimal(38,3)") / F.lit(UNIX_TIMES[raw.time_format]).cast("decimal(10,3)")
        return F.floor(counted).cast("string")
    written = moment if _holds_zone(raw.time_format) else F.from_utc_timestamp(moment, raw.timezone)
    return F.date_format(written, raw.time_format)


def _holds_zone(pattern: str) -> bool:
    return bool(re.search(r"[XxZzVO]", re.sub(r"'[^']*'", "", pattern)))
