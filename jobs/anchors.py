"""Calendar anchors: the days on which a week's vocabularies are fitted, and its sums begin.

An anchor depends on the calendar and on how far the log reaches back, never on which night ran last. So nights and
backfills may come in any order, and whatever hangs on an anchor is the same for all days until the next one.
"""

from __future__ import annotations

from datetime import date

from expectations.lake import Lake
from expectations.program import days_before
from expectations.tables import EVENTS, ITEM_UPDATES


def anchor(lake: Lake, as_of: str) -> str:
    """The Sunday on or before `as_of`; `as_of` itself while the log does not reach back so far."""
    return anchor_of(as_of, first_day(lake, as_of))


def anchor_of(as_of: str, first: str | None) -> str:
    """The anchor of `as_of` in a log whose first day is `first`."""
    sunday = days_before(as_of, date.fromisoformat(as_of).isoweekday() % 7)
    return sunday if first is not None and first <= sunday else as_of


def previous_anchor(anchor_day: str, first: str | None) -> str | None:
    """The anchor a week before an anchor; None where the log does not reach back so far."""
    before = days_before(anchor_day, 7)
    is_sunday = date.fromisoformat(anchor_day).isoweekday() == 7
    return before if is_sunday and first is not None and first <= before else None


def first_day(lake: Lake, until: str) -> str | None:
    """The first day that the log holds; None when it is empty up to `until`."""
    firsts = [days[0] for table in (EVENTS, ITEM_UPDATES) if (days := lake.days(table, until))]
    return min(firsts, default=None)
