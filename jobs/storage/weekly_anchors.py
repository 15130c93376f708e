"""Calendar anchors: the days on which a week's vocabularies are fitted, and its sums begin.

An anchor depends on the calendar and on how far the log reaches back, never on which night ran last. So nights and
backfills may come in any order, and whatever hangs on an anchor is the same for all days until the next one.
"""

from __future__ import annotations

from expectations.runtime.days import days_before, sunday_before


def anchor_for(as_of: str, first: str | None) -> str:
    """The Sunday on or before `as_of`; `as_of` itself while the log, whose first day is `first`, starts later."""
    sunday = sunday_before(as_of)
    return sunday if first is not None and first <= sunday else as_of


def previous_anchor(anchor_day: str, first: str | None) -> str | None:
    """Returns the anchor a week before an anchor; None where the log does not reach back so far."""
    before = days_before(anchor_day, 7)
    is_sunday = sunday_before(anchor_day) == anchor_day
    return before if is_sunday and first is not None and first <= before else None
