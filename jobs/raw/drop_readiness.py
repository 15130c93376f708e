"""Whether the drop of a day is there, whole: read from file names and times alone."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from expectations.runtime.days import END_OF_TIME
from expectations.runtime.drops import DropFolder
from expectations.tables import NightError


class DropNotReadyError(NightError):
    """The drop may still come or is still being written: whoever can wait, waits."""


def require_drop(drops: DropFolder, ds: str, now: datetime) -> Literal["complete", "closed"]:
    """Says how the drop of `ds` stands at `now`: `complete`, or `closed` when the shop was shut that day.

    Raises:
        DropNotReadyError: it may still come, or is still being written.
        NightError: it is absent, its time has passed, and the shop says that this is an error; or only a part came.
    """
    state = drops.state(ds, now)
    if state == "complete":
        return "complete"
    shop, path = drops.shop, drops.path(drops.shop.events, ds)
    deadline = f"{drops.deadline(ds):%Y-%m-%d %H:%M} UTC"
    is_late = now > drops.deadline(ds)
    if state == "being_written" and (not is_late or _will_settle(drops, ds)):
        raise DropNotReadyError(f"the drop of {ds} is still being written: {path} ({_awaited(drops, ds)})")
    if state == "being_written" and _is_half_closed(drops, ds):
        return "complete"
    if state == "being_written":
        raise NightError(
            f"{shop.name} drop of {ds} is not whole, and its time passed at {deadline}: "
            f"{_what_is_missing(drops, ds)} is not there. Drop it, or take the other files of that day away."
        )
    if not is_late and not _a_later_drop_exists(drops, ds):
        raise DropNotReadyError(f"no drop of {ds} yet at {path}; waiting until {deadline}")
    if shop.drops.missing_day == "closed":
        return "closed"
    what_to_do = "Fill the table" if shop.events.table else "Drop the file"
    raise NightError(
        f"{path}: no drop of {ds}, and shop {shop.name} says missing_day=error. "
        f'{what_to_do}, or set missing_day = "closed" under [drops] if the shop was shut.{drops.other_place(ds)}'
    )


def _will_settle(drops: DropFolder, ds: str) -> bool:
    """Tells whether time alone makes the drop complete: all is there but quiet."""
    return drops.shop.drops.complete_marker is None and not drops.missing(ds)


def _is_half_closed(drops: DropFolder, ds: str) -> bool:
    """Tells whether a shop that may be shut has some files of events and not all: people look where they cannot buy."""
    may_be_shut = drops.shop.drops.missing_day == "closed" and drops.shop.drops.complete_marker is None
    return may_be_shut and any(drops.exists(raw, ds) for raw in drops.shop.event_sources.values())


def _awaited(drops: DropFolder, ds: str) -> str:
    """Tells what makes the drop complete, in words."""
    if _will_settle(drops, ds) and drops.shop.events.table:
        return f"read settle_seconds = {drops.shop.drops.settle_seconds} after the end of the day"
    if _will_settle(drops, ds):
        return f"read when its files have not changed for settle_seconds = {drops.shop.drops.settle_seconds}"
    return f"waiting for {_what_is_missing(drops, ds)}"


def _what_is_missing(drops: DropFolder, ds: str) -> str:
    marker = drops.shop.drops.complete_marker
    return marker.replace("{ds}", ds) if marker is not None else " and ".join(drops.missing(ds))


def _a_later_drop_exists(drops: DropFolder, ds: str) -> bool:
    return any(day > ds for day in drops.days(END_OF_TIME))
