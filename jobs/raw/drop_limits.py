"""When a day's drop is so dirty, or so small, that it must not go further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from expectations.shop.shop import Shop
from expectations.tables import NightError
from jobs.raw.reject_rules import DUPLICATE, TOO_MANY_EVENTS


@dataclass(frozen=True)
class DropCounts:
    """How many rows of the events file of a day came, and how many were turned away, by reason."""

    rows: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        return self.rows - sum(self.rejected.values())


def require_usable_drops(shop: Shop, counts: Mapping[str, DropCounts], earlier: Mapping[str, int]) -> None:
    """Checks the days of `counts`, in order.

    Args:
        counts: day -> what was found in its events file.
        earlier: day -> rows of the drops that the lake already holds.

    Raises:
        NightError: a day without an accepted row, one with too many bad rows, or one that is far too small.
    """
    sizes = {**earlier, **{ds: count.rows for ds, count in counts.items()}}
    for ds in sorted(counts):
        where = f"{shop.name} drop of {ds}"
        _require_clean(shop, where, counts[ds])
        _require_whole(shop, where, counts[ds].rows, [sizes[day] for day in sorted(sizes) if day < ds])


def _require_clean(shop: Shop, where: str, count: DropCounts) -> None:
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(count.rejected.items(), key=lambda r: (-r[1], r[0])))
    if count.accepted == 0:
        raise NightError(
            f"{where}: none of its {count.rows} rows was accepted ({reasons}). Check [events] in the shop file."
        )
    # What the shop turns away itself is its usual business, robots included, and a line sent twice does no harm.
    usual = {rule.reason for rule in shop.events.reject} | {DUPLICATE, TOO_MANY_EVENTS}
    bad = sum(n for reason, n in count.rejected.items() if reason not in usual)
    if bad > shop.drops.max_reject_share * count.rows:
        raise NightError(
            f"{where}: {bad} of {count.rows} rows break the contract, above max_reject_share="
            f"{shop.drops.max_reject_share} ({reasons}). Correct the drop, or name the rule under [[events.reject]]."
        )


def _require_whole(shop: Shop, where: str, rows: int, earlier: Sequence[int]) -> None:
    if len(earlier) < shop.drops.min_earlier_drops:
        return
    usual = median(earlier[-shop.drops.compared_drops :])
    if rows < shop.drops.min_rows_share * usual:
        raise NightError(
            f"{where}: {rows} rows, below min_rows_share={shop.drops.min_rows_share} of the usual {usual:g}. "
            "Drop the day again, whole, or lower min_rows_share under [drops]."
        )
