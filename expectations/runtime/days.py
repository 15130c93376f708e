"""Days as numbers, for arithmetic."""

from __future__ import annotations

from datetime import date

SECONDS_OF_A_DAY = 86_400.0


def day_number(ds: str) -> int:
    """Days since 1970 at which `ds` begins."""
    return date.fromisoformat(ds).toordinal() - date(1970, 1, 1).toordinal()
