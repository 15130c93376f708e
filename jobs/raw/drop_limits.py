"""When a day's drop is so dirty, or so small, that it must not go further."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

from expectations.runtime.days import days_before
from expectations.shop.shop import Shop
from expectations.tables import NightError
from jobs.raw.drop_counts import DropCounts
from jobs.raw.ingest_plan import raw_files, source_of
from jobs.raw.reading.cells import EMPTY_LIST, REPEATED_HEADER
from jobs.raw.reject_rules import DUPLICATE, GUEST, OTHER_EVENT, REPEAT, TOO_MANY_EVENTS, UNIT
from jobs.raw.repeated_events import LOOK_BACK_DAYS

FEW_ROWS = 20
"""With fewer rows, or events, a share of them says little."""
_MIN_EVENTS_FOR_GUESTS = 1000
_MAX_GUEST_SHARE = 0.2
"""Of the events of a day, one customer has less, and the guests of a shop that sells to guests have more."""
_DAYS_NEAR = 7
"""A drop may come late, or hold what came late; not all of it."""
_HARMLESS = {DUPLICATE, TOO_MANY_EVENTS, OTHER_EVENT, GUEST, UNIT, REPEAT, REPEATED_HEADER, EMPTY_LIST}
_HINTS = {
    "future": (
        "Events after the end of their day, which is the UTC day, come of a local day (`day_timezone` under [drops] "
        "says of which zone), of another `timezone`, or of another unit (`time_format`: unix_seconds, "
        "unix_milliseconds, unix_microseconds)."
    ),
    "unreadable_time": "`time_format` must be how the file writes times.",
    "unknown_event_type": (
        'Say what these words mean under event_types, or other_event_types = "ignore" for all that you do not name.'
    ),
    "malformed": "Lines that cannot be taken apart come of quotes or delimiters; see the csv table of the shop file.",
}


def require_usable_drops(
    shop: Shop,
    counts: Mapping[str, Mapping[str, DropCounts]],
    earlier: Mapping[str, Mapping[str, int]],
    examples: Callable[[str, str], Mapping[str, Sequence[str]]] = lambda kind, ds: {},
) -> None:
    """Checks the days of `counts`, in order.

    A file of events and a full one of items are all that there is of a day. A file of what has changed, or of users,
    may hold one row or none, and a row that it is refused leaves what stood: of these, some rows must have come before
    the share of bad ones means something.

    Args:
        counts: kind of file -> day -> what was found in it; of each file that came, an empty one among them.
        earlier: kind of file -> day -> rows of the files that the lake already holds.
        examples: tells, for a kind of file and a day, some rejected rows for each reason.

    Raises:
        NightError: a file without an accepted row, one with too many bad rows, or one that is far too small.
    """
    for kind, by_day in counts.items():
        size_share = min_size_share(shop, kind)
        sizes = {**earlier.get(kind, {}), **{ds: count.rows for ds, count in by_day.items()}}
        for ds, count in sorted(by_day.items()):
            where = f"{shop.name} drop of {ds}" if kind == "events" else f"{shop.name} {kind} file of {ds}"
            is_of_events = source_of(kind) == "events"
            if is_of_events and is_closed_day(shop, kind, count):
                continue
            _require_clean(shop, kind, where, count, partial(examples, kind, ds))
            if is_of_events:
                _require_near(shop.event_sources[kind].time_format, where, ds, count)
            if size_share is not None:
                _require_whole(shop, size_share, where, count.rows, [sizes[day] for day in sorted(sizes) if day < ds])


def require_no_repeats(shop: Shop, accepted: Mapping[str, int], repeats: Mapping[str, int]) -> None:
    """Checks that a shop that names no `duplicate_days` has none to name.

    Args:
        accepted: day -> events.
        repeats: day -> how many of them a drop before holds, too.

    Raises:
        NightError: so many events of a day stand in an earlier drop that its export overlaps with the one before.
    """
    for ds, repeated in sorted(repeats.items()):
        if repeated > shop.drops.max_reject_share * accepted[ds]:
            raise NightError(
                f"{shop.name} drop of {ds}: {repeated} of {accepted[ds]} events stand in a drop of the "
                f"{LOOK_BACK_DAYS} days before, too. Where each export repeats some days, set duplicate_days to their "
                "number under [drops]."
            )


def min_size_share(shop: Shop, kind: str) -> tuple[str, float] | None:
    """Returns which setting bounds the size of a kind of file, and the bound; None: it may be of any size."""
    if source_of(kind) == "events":
        return "min_rows_share", shop.drops.min_rows_share
    if kind == "items" and shop.items_file == "full":
        return "min_catalogue_share", shop.drops.min_catalogue_share
    if kind == "users":
        return "min_users_share", shop.drops.min_users_share
    return None


def is_closed_day(shop: Shop, kind: str, count: DropCounts) -> bool:
    """Whether a drop without an accepted event is that of a day on which the shop was shut, as the shop file allows."""
    return shop.drops.missing_day == "closed" and count.accepted == 0 and _num_bad(shop, kind, count) == 0


def guest_warnings(shop: Shop, counts: Mapping[str, DropCounts]) -> list[str]:
    """Returns, for each day on which a word for nobody has an implausible share of the events, a sentence that says so.

    Args:
        counts: day -> what was found in the files of events.
    """
    return [
        f"{shop.name} drop of {ds}: user {user!r} has {num} of {count.accepted} events. Where guests are written so, "
        f'add {user!r} to null_words and say missing_user = "ignore" under [events]; now they are one customer.'
        for ds, count in sorted(counts.items())
        for user, num in sorted(count.guests.items())
        if count.accepted >= _MIN_EVENTS_FOR_GUESTS and num > _MAX_GUEST_SHARE * count.accepted
    ]


def _is_whole(shop: Shop, kind: str) -> bool:
    """Whether a file of this kind is all that there is of a day."""
    return source_of(kind) == "events" or (kind == "items" and shop.items_file == "full")


def _num_bad(shop: Shop, kind: str, count: DropCounts) -> int:
    # What the shop turns away itself is its usual business, robots included, and a line sent twice does no harm.
    usual = {rule.reason for rule in raw_files(shop)[kind].reject} | _HARMLESS
    if not _is_whole(shop, kind):
        # Who writes changes may write two of a day; the last one stands.
        usual.add(f"repeated_{kind[:-1]}_id")
    return sum(n for reason, n in count.rejected.items() if reason not in usual)


def _require_clean(
    shop: Shop, kind: str, where: str, count: DropCounts, examples: Callable[[], Mapping[str, Sequence[str]]]
) -> None:
    if not _is_whole(shop, kind) and count.rows < FEW_ROWS:
        return
    if count.rows == 0:
        raise NightError(f"{where} is empty: a drop must have at least one row. Drop it again, or take it away.")
    ordered = sorted(count.rejected.items(), key=lambda r: (-r[1], r[0]))
    reasons = ", ".join(f"{reason} {n}" for reason, n in ordered)
    if count.accepted == 0:
        raise NightError(
            f"{where}: none of its {count.rows} rows was accepted ({reasons}). Check [{kind}] in the shop file."
            f"{_hints(count)}{_shown(examples())}"
        )
    bad = _num_bad(shop, kind, count)
    if bad > shop.drops.max_reject_share * count.rows:
        raise NightError(
            f"{where}: {bad} of {count.rows} rows break the contract, above max_reject_share="
            f"{shop.drops.max_reject_share} ({reasons}). Correct the drop, or name the rule under [[{kind}.reject]]."
            f"{_hints(count)}{_shown(examples())}"
        )


def _hints(count: DropCounts) -> str:
    """What is most often the matter where many rows are turned away for one reason."""
    found = [hint for reason, hint in _HINTS.items() if count.rejected.get(reason, 0) * 10 > count.rows]
    return "".join(f" {hint}" for hint in found)


def _shown(examples: Mapping[str, Sequence[str]]) -> str:
    rows = "; ".join(f"{reason}: {' | '.join(of)}" for reason, of in examples.items())
    return f" For example: {' '.join(rows.split())}" if rows else ""


def _require_near(time_format: str, where: str, ds: str, count: DropCounts) -> None:
    """A drop holds some event of about its day, or its times were read wrongly, such as days taken for months."""
    first, last = count.times
    if first is None or last is None:
        return
    if last < days_before(ds, _DAYS_NEAR):
        raise NightError(
            f"{where}: none of its {count.accepted} events happened within {_DAYS_NEAR} days of it; the earliest is of "
            f"{first}, the latest of {last}. Check `time_format` under [events] "
            f"(received: {time_format!r}; are day and month in this order, is the unit right?), or the day "
            "in the file's path."
        )


def _require_whole(shop: Shop, min_share: tuple[str, float], where: str, rows: int, earlier: Sequence[int]) -> None:
    if len(earlier) < shop.drops.min_earlier_drops:
        return
    usual, (name, share) = median(earlier[-shop.drops.compared_drops :]), min_share
    if rows < share * usual:
        raise NightError(
            f"{where}: {rows} rows, below {name}={share} of the usual {usual:g}. "
            f"Drop the day again, whole, or lower {name} under [drops]."
        )
