"""When a day's drop is so dirty, or so small, that it must not go further."""

from __future__ import annotations

from collections import Counter
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
    shop: Shop, counts: Mapping[str, Mapping[str, DropCounts]], earlier: Mapping[str, Mapping[str, DropCounts]]
) -> None:
    """Checks the days of `counts`, in order.

    A file of events and a full one of items are held against what a day brings. A file of what has changed, or of
    users, may hold one row or none: how dirty these are is asked of the latest ones together.

    Args:
        counts: kind of file -> day -> what was found in it; of each file that came, an empty one among them.
        earlier: kind of file -> day -> what was found in the files that the lake already holds.

    Raises:
        NightError: a file without an accepted row, one with too many bad rows, or one that is far too small.
    """
    for kind, by_day in counts.items():
        found = {**earlier.get(kind, {}), **by_day}
        for ds in sorted(by_day):
            before = [found[day] for day in sorted(found) if day < ds]
            where = f"{shop.name} drop of {ds}" if kind == "events" else f"{shop.name} {kind} file of {ds}"
            size_share = min_size_share(shop, kind)
            if size_share is None:
                _require_clean(shop, kind, f"{where} and those before it", [*before, by_day[ds]], excused=1)
                continue
            if by_day[ds].accepted == 0:
                raise NightError(
                    f"{where}: none of its {by_day[ds].rows} rows was accepted ({_reasons(by_day[ds].rejected)}). "
                    f"Check [{kind}] in the shop file."
                )
            _require_clean(shop, kind, where, [by_day[ds]])
            _require_whole(shop, size_share, where, by_day[ds].rows, [count.rows for count in before])


def min_size_share(shop: Shop, kind: str) -> tuple[str, float] | None:
    """Returns which setting bounds the size of a kind of file, and the bound; None: it may be of any size."""
    if kind == "events":
        return "min_rows_share", shop.drops.min_rows_share
    if kind == "items" and shop.items_file == "full":
        return "min_catalogue_share", shop.drops.min_catalogue_share
    return None


def _require_clean(shop: Shop, kind: str, where: str, counts: Sequence[DropCounts], excused: int = 0) -> None:
    raw = {"events": shop.events, "items": shop.items, "users": shop.users}[kind]
    assert raw is not None, "only files of the shop are read"
    # What the shop turns away itself is its usual business, robots included, and a line sent twice does no harm.
    usual = {rule.reason for rule in raw.reject} | {DUPLICATE, TOO_MANY_EVENTS}
    latest = counts[-shop.drops.compared_drops :]
    rejected = sum((Counter(count.rejected) for count in latest), Counter())
    rows, bad = sum(count.rows for count in latest), sum(n for reason, n in rejected.items() if reason not in usual)
    # Of a few rows, one bad one says nothing of what is to come.
    if bad > max(shop.drops.max_reject_share * rows, excused):
        raise NightError(
            f"{where}: {bad} of {rows} rows break the contract, above max_reject_share="
            f"{shop.drops.max_reject_share} ({_reasons(rejected)}). Correct the drop, or name the rule under "
            f"[[{kind}.reject]]."
        )


def _reasons(rejected: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in sorted(rejected.items(), key=lambda r: (-r[1], r[0])))


def _require_whole(shop: Shop, min_share: tuple[str, float], where: str, rows: int, earlier: Sequence[int]) -> None:
    if len(earlier) < shop.drops.min_earlier_drops:
        return
    usual, (name, share) = median(earlier[-shop.drops.compared_drops :]), min_share
    if rows < share * usual:
        raise NightError(
            f"{where}: {rows} rows, below {name}={share} of the usual {usual:g}. "
            f"Drop the day again, whole, or lower {name} under [drops]."
        )
