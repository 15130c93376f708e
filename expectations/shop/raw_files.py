"""What a shop file says of its raw drops: where they lie, what columns mean, what is no event, when a day is whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Annotated

from expectations.shop.bounds import AtLeastOne, Bounded, ZeroForNoBound, one_of
from expectations.tables import EVENT_TYPES

UNIX_TIMES = {"unix_seconds": 1_000_000, "unix_milliseconds": 1_000}
"""`time_format` of times that count from 1970 in UTC -> microseconds in one of them."""


@dataclass(frozen=True)
class RejectRule:
    """Rows of a raw file that do not become events, by the value of one raw column.

    Exactly one condition is set. Text that is not a number fails `at_most` and `below` only if it is a number.

    Attributes:
        reason: noted beside each such row in `quarantine`.
        column: the raw column that is looked at.
        is_null: true refuses rows that have no value; false, rows that have one.
        matches: a regular expression that refused values match.
        not_matches: a regular expression that refused values do not match.
        at_most: numbers up to this one are refused.
        below: numbers below this one are refused.
        one_of: these values are refused.
    """

    reason: str
    column: str
    is_null: bool | None = None
    matches: str | None = None
    not_matches: str | None = None
    at_most: float | None = None
    below: float | None = None
    one_of: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        conditions = [f.name for f in fields(self)[2:] if getattr(self, f.name) is not None]
        if len(conditions) != 1:
            raise ValueError(f"rule {self.reason!r} needs exactly one condition. Received: {conditions}")
        for pattern in (self.matches, self.not_matches):
            if pattern is not None:
                _require_regex(pattern)


@dataclass(frozen=True)
class RawFile(Bounded):
    """A kind of file in the drop of a day.

    Attributes:
        path: where the file of a day lies. `{ds}` stands for the day, `{data}` for `NIGHTJAR_DATA`, `{root}` for
            `NIGHTJAR_ROOT`; a relative path starts at the shop file's folder.
        format: how the file is written: csv, json (one object a line) or parquet.
        columns: contract column -> raw column.
        constants: contract column -> the same text in every row.
        event_types: raw word -> one of EVENT_TYPES; empty when the raw column already holds these.
        time_format: how times are written, in Spark's datetime pattern; or one of UNIX_TIMES.
        timezone: the zone that raw times are in.
        separator: between the parts of a category path or a list of interests.
        duplicate_key: contract columns of the events file; two rows of a day that agree in all of them are one event.
            Empty means every column of the contract that the shop maps.
        image_folder: where relative picture paths of the items file start; may hold `{data}`, `{root}` and `{ds}`.
    """

    path: str
    format: Annotated[str, one_of("csv", "json", "parquet"), "must be csv, json (one object a line) or parquet"] = "csv"
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    event_types: dict[str, str] = field(default_factory=dict)
    time_format: str = "yyyy-MM-dd HH:mm:ss"
    timezone: str = "UTC"
    separator: str = ">"
    duplicate_key: tuple[str, ...] = ()
    image_folder: str = "{root}"
    reject: tuple[RejectRule, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if "{ds}" not in self.path:
            raise ValueError(f"`path` must hold {{ds}}, the day of the drop. Received: {self.path!r}")
        unknown = set(re.findall(r"\{(\w*)\}", self.path)) - {"ds", "data", "root"}
        if unknown:
            raise ValueError(f"`path` may hold {{ds}}, {{data}} and {{root}}. Received: {sorted(unknown)}")
        both = set(self.columns) & set(self.constants)
        if both:
            raise ValueError(f"{sorted(both)} stand in `columns` and in `constants`; keep one")
        foreign = set(self.event_types.values()) - set(EVENT_TYPES)
        if foreign:
            raise ValueError(f"`event_types` must lead to {', '.join(EVENT_TYPES)}. Received: {sorted(foreign)}")


@dataclass(frozen=True)
class Drops(Bounded):
    """When a day's drop is complete, and what a day without one means.

    Attributes:
        missing_day: `error`, or `closed`: the shop was shut, and the night publishes from the log so far.
        wait_hours: how long after the end of the day a night waits for its drop.
        settle_seconds: a file counts as written when it has not changed for so long.
        complete_marker: path of a file that appears when the drop is complete; then `settle_seconds` is not used.
        max_reject_share: a day with a larger share of `quarantine` rows that no reject rule of the shop names fails.
        min_rows_share: a day with fewer rows than this share of the median of the last `compared_drops` drops
            fails.
        min_catalogue_share: a `full` items file with fewer rows than this share of the median of the last
            `compared_drops` items files fails its day: what it does not name is no longer for sale.
        compared_drops: so many latest drops before a day say what its usual size is; four weeks of daily drops.
        min_earlier_drops: with fewer earlier drops there is no usual size that an incoming drop is compared with.
        max_user_events: whoever has more events than this on one day is a robot or a reseller: that day's rows of
            theirs go to `quarantine`. 0 sets no bound.
    """

    missing_day: Annotated[str, one_of("error", "closed"), "must be error or closed"] = "error"
    wait_hours: float = 6.0
    settle_seconds: float = 60.0
    complete_marker: str | None = None
    max_reject_share: float = 0.05
    min_rows_share: float = 0.05
    min_catalogue_share: float = 0.5
    compared_drops: AtLeastOne = 28
    min_earlier_drops: AtLeastOne = 7
    max_user_events: ZeroForNoBound = 0


def _require_regex(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as err:
        raise ValueError(f"{pattern!r} is not a regular expression: {err}") from err
