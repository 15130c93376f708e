"""Judges every model that was fitted as of the backtest's day on what users did in the `horizon_days` after it.

That day is `ds - horizon_days` or, with `weekly_backtest`, the Sunday before; with `num_windows` also as many horizons
earlier, each time with the `horizon_days` that followed; figures are those of all windows together. Reads the models'
lists (`candidates`, `scores`) and the features as of those earlier days, and `events` up to `ds`.
Writes partition `ds` of `backtest_slices` (kinds of users and items), of `backtest_gains` (every model against every
other one, user by user) and last of `backtests`: one row per model, task and k, over the full catalogue of the
earlier day. Two tasks: `new_items` asks for items that the user had not met before, and `with_repeats` for anything. A
model without lists is named and left out. A re-run over the same inputs finds its partitions written and only prints
them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from expectations.runtime.input_fingerprint import MADE_FROM, made_from_log
from expectations.runtime.lake import Lake, Version
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.tables import BACKTEST_GAINS, BACKTEST_SLICES, BACKTESTS, EVENTS, NightError
from models.data.arrow_rows import arrow_rows
from models.evaluation.backtest_report import Backtest, backtest_figures, backtest_text
from models.evaluation.held_out import catalogue_size, held_out_tasks
from models.evaluation.judged_lists import backtest_fingerprint, judged_lists, lists_by_day
from models.evaluation.list_evaluation import EvaluatedTask, backtest_rows, evaluated_tasks, gain_rows, slice_rows
from models.evaluation.population_stats import population_stats
from models.evaluation.slices import slices_of
from models.interface import tracking

CUTOFFS = (5, 10, 20)
"""List lengths that are reported beside the shop's `top_k`, so that shops with other lengths can be compared."""

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Judges, writes, logs to the tracking server and prints."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    lists = lists_to_evaluate(night)
    fingerprint = backtest_fingerprint(night.lake, night.shop, night.ds, night.backtest_days, lists)
    tables = (BACKTESTS, BACKTEST_SLICES, BACKTEST_GAINS)
    noted: dict[str, Any] = {MADE_FROM: made_from_log(night.lake.versions(EVENTS, night.ds), night.shop)}
    if all(night.lake.reuse(table, night.ds, fingerprint, **noted) for table in tables):
        logger.info("already built: table=%s ds=%s", BACKTESTS.name, night.ds)
        backtest = read_backtest(night.lake, night.ds)
    else:
        backtest = judged_night(night, lists)
        write_backtest(night, backtest, fingerprint, **noted)
        details = {table.name: rows for table, rows in backtest.by_table().items()}
        tracking.log_backtest(
            night.tracking,
            night.run_tags,
            night.backtest_days,
            details,
            backtest_figures(backtest, night.shop.top_k),
            {"horizon_days": night.shop.horizon_days, "num_windows": night.shop.num_windows},
        )
    print(backtest_text(backtest, night.ds, night.shop, [model for model in night.shop.models if model not in lists]))


def write_backtest(night: Night, backtest: Backtest, fingerprint: str, **noted: Any) -> None:
    """Writes the three tables; `backtests`, which vouches for the others, last. What is noted goes with each."""
    for table, rows in backtest.by_table().items():
        night.lake.write(table, night.ds, arrow_rows(table, night.ds, rows), fingerprint, **noted)
        logger.info("built: table=%s ds=%s rows=%d", table.name, night.ds, len(rows))


def read_backtest(lake: Lake, ds: str) -> Backtest:
    """What is written for `ds`."""
    return Backtest(*(lake.read(table, ds).to_pylist() for table in (BACKTESTS, BACKTEST_SLICES, BACKTEST_GAINS)))


def lists_to_evaluate(night: Night) -> dict[str, dict[str, Version]]:
    """Model -> its lists as of each of the earlier days, in the order of the shop file.

    Raises:
        NightError: no model has lists of all windows.
    """
    days = night.backtest_days
    found = lists_by_day(night.lake, night.shop, days)
    for model, by_day in found.items():
        missing_days = [day for day, version in by_day.items() if version is None]
        if missing_days:
            where = ", ".join(missing_days)
            logger.warning("not judged: model=%s as_of=%s reason=no lists of what is there now", model, where)
    lists = judged_lists(found)
    if not lists:
        raise NightError(
            f"backtests ds={night.ds}: none of {', '.join(found)} has lists as of {', '.join(days)} of what the lake "
            "and the shop file say now. Were models.train, jobs.build_candidates and models.score run --as-of backtest?"
        )
    return lists


def judged_night(night: Night, lists: Mapping[str, Mapping[str, Version]]) -> Backtest:
    """Judges the lists on every task, and on every slice of a task, over all windows.

    Args:
        lists: what `lists_to_evaluate` gives.
    """
    seed, top_k = night.shop.seed, night.shop.top_k
    # A list holds `num_candidates` items and no more: beyond that rank it would be judged for its length.
    ks = sorted(k for k in {*CUTOFFS, top_k} if k <= night.shop.num_candidates)
    windows: dict[tuple[str, str], list[EvaluatedTask]] = {}
    for as_of in night.backtest_days:
        of_day = {model: by_day[as_of] for model, by_day in lists.items()}
        for part in evaluated_window(night, as_of, of_day, ks):
            windows.setdefault((part.held_out.task, part.held_out.slice), []).append(part)
    backtest = Backtest([], [], [])
    for (_, name), parts in windows.items():
        if name:
            backtest.slices.extend(slice_rows(parts, top_k, seed))
        else:
            backtest.rows.extend(backtest_rows(parts, ks, seed))
            backtest.gains.extend(gain_rows(parts, top_k, seed, night.shop.primary_metric))
    return backtest


def evaluated_window(night: Night, as_of: str, lists: Mapping[str, Version], ks: Sequence[int]) -> list[EvaluatedTask]:
    """The tasks and slices of the days after `as_of`."""
    stats = population_stats(night.lake, as_of)
    tasks = held_out_tasks(night.lake, night.ds, as_of, night.shop)
    slices = [part for task in tasks for part in slices_of(task, stats)]
    asked = [*((task, ks) for task in tasks), *((part, [night.shop.top_k]) for part in slices)]
    return evaluated_tasks(lists, asked, stats, catalogue_size(night.lake, as_of))


if __name__ == "__main__":
    run_program(main)
