"""What the texts of a raw file's settings must be like: paths with days, encodings, zones, patterns of times."""

from __future__ import annotations

import codecs
import re
from difflib import get_close_matches
from zoneinfo import available_timezones

UNIX_TIMES: dict[str, float] = {
    "unix_seconds": 1_000_000,
    "unix_milliseconds": 1_000,
    "unix_microseconds": 1,
    "unix_nanoseconds": 0.001,
}
"""`time_format` of times that count from 1970 in UTC -> microseconds in one of them."""

DAY_OF_PATH = re.compile(r"\{ds(?::([^}]*))?\}")
"""The day in a `path`; its group is how the day is written, if not as YYYY-MM-DD."""


def is_of_a_day(path: str) -> bool:
    """Whether a path holds the day; a file whose path does not stands for all days."""
    return DAY_OF_PATH.search(path) is not None


def require_path(path: str) -> None:
    """Refuses a path that holds what stands for nothing, or a day in a form that no day has."""
    days = list(DAY_OF_PATH.finditer(path))
    unknown = set(re.findall(r"\{([A-Za-z_]\w*)\}", path)) - {"ds", "data", "root"}
    if unknown:
        raise ValueError(f"`path` may hold {{ds}}, {{data}} and {{root}}. Received: {sorted(unknown)}")
    for day in days:
        if day[1] is not None and set(re.findall(r"%(.)", day[1])) != {"Y", "m", "d"}:
            raise ValueError(f"`path`: a day is written with %Y, %m and %d, as in {{ds:%Y%m%d}}. Received: {day[0]!r}")


def require_encoding(encoding: str) -> None:
    """Refuses an encoding that Python does not know."""
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(
            f"`encoding` must be one that Python knows, such as windows-1252. Received: {encoding!r}"
        ) from None


_SAFE_SHORT_ZONES = {"UTC", "GMT", "CET", "EET", "WET", "MET"}
"""Names of three letters that mean one zone wherever they are read."""


def require_timezone(timezone: str, key: str = "timezone") -> None:
    """Java takes CST for Chicago and a Chinese shop for Shanghai; a region's name is the same everywhere."""
    is_short = re.fullmatch(r"[A-Z]{3,4}", timezone) is not None and timezone not in _SAFE_SHORT_ZONES
    if not is_short and (timezone in available_timezones() or re.fullmatch(r"[+-]\d\d:\d\d", timezone)):
        return
    last = [name for name in sorted(available_timezones()) if name.rpartition("/")[2].casefold() == timezone.casefold()]
    close = last or get_close_matches(timezone, sorted(available_timezones()), n=1)
    hope = f" Did you mean {close[0]!r}?" if close and not is_short else ""
    raise ValueError(
        f"`{key}` must be a region of the tz database, such as Europe/Berlin, or an offset such as +01:00; "
        f"short names mean different zones in different places. Received: {timezone!r}.{hope}"
    )


def require_time_format(pattern: str) -> None:
    """Refuses what other tools mean by a pattern, and Spark reads in another way or not at all."""
    if pattern in UNIX_TIMES:
        return
    plain = re.sub(r"'[^']*'", "", pattern)
    if "%" in plain:
        raise ValueError(
            f"`time_format` is a pattern of Spark, such as yyyy-MM-dd HH:mm:ss, not of Python. Received: {pattern!r}"
        )
    if "YY" in plain or "DD" in plain:
        raise ValueError(
            f"`time_format`: YYYY is the year of a week and DD the day of a year; write yyyy and dd. "
            f"Received: {pattern!r}"
        )
    if "h" in plain and "a" not in plain:
        raise ValueError(
            f"`time_format`: hh is an hour of twelve and needs AM or PM (a); write HH. Received: {pattern!r}"
        )
    if pattern.startswith("unix"):
        raise ValueError(f"`time_format` knows {', '.join(UNIX_TIMES)}. Received: {pattern!r}")


def require_regex(pattern: str) -> None:
    """Refuses a pattern that is no regular expression."""
    try:
        re.compile(pattern)
    except re.error as err:
        raise ValueError(f"{pattern!r} is not a regular expression: {err}") from err
