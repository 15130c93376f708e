"""Days as text, as numbers, and the moments at which they end."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

END_OF_TIME = "9999-12-31"
"""A day after every day."""
SECONDS_PER_DAY = 86_400
"""Days are of UTC, which has no summer time."""


def day_number(ds: str) -> int:
    """Days since 1970 at which `ds` begins."""
    return date.fromisoformat(ds).toordinal() - date(1970, 1, 1).toordinal()


def days_before(ds: str, days: int) -> str:
    """The day that lies `days` before `ds`, or after it where they are negative."""
    return (date.fromisoformat(ds) - timedelta(days=days)).isoformat()


def days_between(first: str, last: str) -> list[str]:
    """Every day from `first` to `last`, both included; none where the last one comes before the first."""
    return [days_before(first, -place) for place in range(day_number(last) - day_number(first) + 1)]


def sunday_before(day: str) -> str:
    """The Sunday before a day, or the day itself if it is one."""
    return days_before(day, date.fromisoformat(day).isoweekday() % 7)


def backtest_days(ds: str, horizon_days: int, is_weekly: bool, num_windows: int) -> tuple[str, ...]:
    """The days that the models of a night's backtest may know up to, one a window, the latest first.

    Args:
        is_weekly: whether the latest is a Sunday, which several nights share.
    """
    latest = days_before(ds, horizon_days)
    if is_weekly:
        latest = sunday_before(latest)
    return tuple(days_before(latest, n * horizon_days) for n in range(num_windows))


def end_of(ds: str, day_timezone: str = "UTC") -> datetime:
    """The moment `ds` is over, in UTC: events at or after it belong to the future.

    Args:
        day_timezone: the zone whose day is meant: a region of the tz database, or an offset such as +01:00.
    """
    midnight = datetime.combine(date.fromisoformat(ds) + timedelta(days=1), datetime.min.time())
    return midnight.replace(tzinfo=_zone(day_timezone)).astimezone(timezone.utc)


def _zone(name: str) -> tzinfo:
    if name[0] not in "+-":
        return ZoneInfo(name)
    offset = timedelta(hours=int(name[1:3]), minutes=int(name[4:6]))
    return timezone(-offset if name[0] == "-" else offset)
