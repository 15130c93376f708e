"""What do the nights of a backfill share? Prints one line of JSON: {"days": [...], "deep": [...]}.

With `warm_start`, `refit = "weekly"` or `weekly_backtest`, the nights of a week need the features and the deep fits of
one Sunday. Several nights at once would each make them; the DAG `prepare_backfill` makes them ahead, once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from expectations.runtime.days import backtest_days, days_between, sunday_before
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, NightError, ds_from_text
from models.interface.registry import deep_models, require_known


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the plan."""
    parser = night_parser(__doc__)
    parser.add_argument("--first-ds", required=True, help="the first day of the backfill, YYYY-MM-DD; --ds is its last")
    arguments = parser.parse_args(argv)
    print(json.dumps(plan(night_from(arguments), ds_from_text(arguments.first_ds))))


def plan(night: Night, first_ds: str) -> dict[str, list[str]]:
    """The Sundays that several nights of the range need, the earliest first, and the deep models of the shop.

    Args:
        night: of the last day of the range.

    Raises:
        NightError: the range ends before it begins.
        SettingsError: a model does not exist.
    """
    nights = days_between(first_ds, night.ds)
    if not nights:
        raise NightError(f"--first-ds must not come after --ds. Received: {first_ds} and {night.ds}. Exchange them.")
    require_known(night.shop.models)
    deep = deep_models(night.shop.models)
    log = night.lake.days(EVENTS, until=night.ds)
    days = [day for day in shared_sundays(night.shop, nights) if log and log[0] <= day]
    return {"days": days if deep else [], "deep": deep}


def shared_sundays(shop: Shop, nights: Sequence[str]) -> list[str]:
    """The Sundays on which models of several of these nights stand, in order."""
    counts: Counter[str] = Counter()
    for ds in nights:
        of_backtest = backtest_days(ds, shop.horizon_days, shop.weekly_backtest, shop.num_windows)
        needed = {day for day in of_backtest if shop.weekly_backtest and day == sunday_before(day)}
        if shop.uses_anchor_weights:
            needed |= {sunday_before(day) for day in (ds, *of_backtest)}
        counts.update(needed)
    return sorted(day for day, num_nights in counts.items() if num_nights > 1)


if __name__ == "__main__":
    run_program(main)
