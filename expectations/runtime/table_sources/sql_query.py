"""What queries of a shop file have in common, whichever database answers them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from expectations.runtime.lake import fingerprint_of
from expectations.tables import NightError, ds_from_text

_MIDNIGHT = re.compile(r"(\d{4}-\d{2}-\d{2})([ T]00:00:00(\.0+)?(\+00(:?00)?)?)?")


def days_of_query(rows: Iterable[Sequence[Any]]) -> dict[str, str | None]:
    """Returns the days that `days_query` gives -> a hash of what its other columns say; None where it has no others.

    Raises:
        NightError: what stands in the first column is no day.
    """
    by_day: dict[str, list[list[str]]] = {}
    for row in rows:
        told = _MIDNIGHT.fullmatch(str(row[0]))
        try:
            day = ds_from_text(told[1] if told else "")
        except NightError:
            raise NightError(
                f"the first column of `days_query` must give days such as 2026-03-06; leave out rows without one. "
                f"Received: {row[0]!r}"
            ) from None
        by_day.setdefault(day, []).append([str(value) for value in row[1:]])
    return {day: fingerprint_of(sorted(marks)) if any(marks) else None for day, marks in sorted(by_day.items())}


def asks_for_day(query: str) -> bool:
    """Whether a query names the day; a driver refuses one for a query that does not."""
    return re.search(r"\$1(?!\d)", query) is not None


def statement(query: str) -> str:
    """Returns the one statement of a query, without the end that people type."""
    return query.strip().rstrip(";").rstrip()
