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
    """How many rows of a file of a day came, and how many were turned away, by reason."""

    rows: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        return self.rows - sum(self.rejected.values())


def require_usable_drops(
    shop: Shop, counts: Mapping[str, Mapping[str, DropCounts]], earlier: Mapping[str, Mapping[str, int]]
) -> None:
    """Checks the days of `counts`, in order.

    A file of events and a full one of items are all that there is of a day. A file of what has changed, or of users,
    may hold one row or none, and a row that it is refused leaves what stood: these have no bound.

    Args:
        counts: kind of file -> day -> what was found in it; of each file that came, an empty one among them.
        earlier: kind of file -> day -> rows of the files that the lake already holds.

    Raises:
        NightError: a file without an accepted row, one with too many bad rows, or one that is far too small.
    """
    for kind, by_day in counts.items():
        size_share = min_size_share(shop, kind)
        if size_share is None:
            continue
        sizes = {**earlier.get(kind, {}), **{ds: count.rows for ds, count in by_day.items()}}
        for ds, count in sorted(by_day.items()):
            where = f"{shop.name} drop of {ds}" if kind == "events" else f"{shop.name} {kind} file of {ds}"
            _require_clean(shop, kind, where, count)
            _require_whole(shop, size_share, where, count.rows, [sizes[day] for day in sorted(sizes) if day < ds])


def min_size_share(shop: Shop, kind: str) -> tuple[str, float] | None:
    """Returns which setting bounds the size of a kind of file, and the bound; None: it may be of any size."""
    if kind == "events":
        return "min_rows_share", shop.drops.min_rows_share
    if kind == "items" and shop.items_file == "full":
        return "min_catalogue_share", shop.drops.min_catalogue_share
    return None


def _require_clean(shop: Shop, kind: str, where: str, count: DropCounts) -> None:
    raw = shop.events if kind == "events" else shop.items
    assert raw is not None, "only files of the shop are read"
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(count.rejected.items(), key=lambda r: (-r[1], r[0])))
    if count.accepted == 0:
        raise NightError(
            f"{where}: none of its {count.rows} rows was accepted ({reasons}). Check [{kind}] in the shop file."
        )
    # What the shop turns away itself is its usual business, robots included, and a line sent twice does no harm.
    usual = {rule.reason for rule in raw.reject} | {DUPLICATE, TOO_MANY_EVENTS}
    bad = sum(n for reason, n in count.rejected.items() if reason not in usual)
    if bad > shop.drops.max_reject_share * count.rows:
        raise NightError(
            f"{where}: {bad} of {count.rows} rows break the contract, above max_reject_share="
            f"{shop.drops.max_reject_share} ({reasons}). Correct the drop, or name the rule under [[{kind}.reject]]."
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
