"""What a shop file says of its drops: when a day is whole, what a day without one means, and when one is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from expectations.shop.bounds import AtLeastOne, Bounded, Share, ZeroForNoBound, one_of
from expectations.shop.raw_file_rules import require_timezone


@dataclass(frozen=True)
class Drops(Bounded):
    """When a day's drop is complete, and what a day without one means.

    Attributes:
        missing_day: `error`, or `closed`: the shop was shut, and the night publishes from the log so far.
        wait_hours: how long after the end of the day a night waits for its drop.
        settle_seconds: a file counts as written when it has not changed for so long.
        complete_marker: path of a file that appears when the drop is complete; then `settle_seconds` is not used.
        max_reject_share: a day fails if a larger share of the rows of one kind of file goes to `quarantine` by other
            rules than those of the shop; a file of changes, or of users, of fewer than 20 rows excepted.
        max_days_off: events further from the day of their drop than this go to `quarantine`, those of the first drop
            excepted, which may hold all that came before.
        duplicate_days: an event that a drop of so many days before holds, too, is counted there alone: exports that
            repeat the last days. An event that is older than these days goes to `quarantine`, since nobody can tell
            whether it is a repeat. 0: a day in which more than `max_reject_share` of the rows are such repeats fails.
        day_timezone: the zone whose days the drops are: that of 2024-03-09 holds what happened on this day there.
        min_rows_share: a day with fewer rows than this share of the median of the last `compared_drops` drops
            fails.
        min_catalogue_share: a `full` items file with fewer rows than this share of the median of the last
            `compared_drops` items files fails its day: what it does not name is no longer for sale.
        min_users_share: likewise, of a users file. 0 sets no bound, since who is not named stays known.
        max_leaving_share: a `full` items file fails its day if a larger share of the items of the file before it are
            not in it.
        max_entering_share: likewise, if a larger share of its items were not in the file before.
        max_unknown_item_share: a night fails if a larger share of the events of its day are of items that no items
            file ever named, unless `items_from_events` tells of them; above 0.05 it warns.
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
    max_days_off: AtLeastOne = 31
    duplicate_days: ZeroForNoBound = 0
    day_timezone: str = "UTC"
    min_rows_share: float = 0.05
    min_catalogue_share: float = 0.5
    min_users_share: Share = 0.0
    max_leaving_share: Share = 0.5
    max_entering_share: Share = 0.5
    max_unknown_item_share: Share = 0.5
    compared_drops: AtLeastOne = 28
    min_earlier_drops: AtLeastOne = 7
    max_user_events: ZeroForNoBound = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_timezone(self.day_timezone, "day_timezone")
