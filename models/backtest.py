"""Judges every model that was fitted as of `ds - horizon_days` on what users did in the days between.

Reads the models' lists (`candidates`, `scores`) and the features as of that earlier day, and `events` up to `ds`.
Writes partition `ds` of `backtest_slices` (kinds of users and items), of `backtest_gains` (every model against every
other one, user by user) and last of `backtests`: one row per model, task and k, over the full catalogue of the earlier
day. Two tasks: `new_items` asks for items that the user had not met before, and `with_repeats` for anything. A model
without lists is named and left out. A re-run over the same inputs finds its partitions written and only prints them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from expectations.lake import Lake, Version, fingerprint_of
from expectations.program import Night, night_from, night_parser, run_program
from expectations.tables import (
    BACKTEST_GAINS,
    BACKTEST_SLICES,
    BACKTESTS,
    EVENTS,
    FITTED_MODELS,
    INTERACTIONS,
    ITEM_FEATURES,
    USER_FEATURES,
    VOCABULARIES,
    NightError,
)
from models import tracking
from models.arrow_rows import arrow_rows
from models.backtest_report import Backtest, backtest_figures, backtest_text
from models.held_out import catalogue_size, held_out_tasks
from models.judging import backtest_rows, gain_rows, judged_lists, slice_rows
from models.ranked_lists import lists_in_force
from models.shop_traits import shop_traits
from models.slices import slices_of

CUTOFFS = (5, 10, 20)

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Judges, writes, logs to the tracking server and prints."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    lists = lists_to_judge(night)
    fingerprint = _fingerprint(night, lists)
    current = night.lake.current(BACKTESTS, night.ds)
    if current is not None and current.fingerprint == fingerprint:
        logger.info("already built: table=%s ds=%s rows=%d", BACKTESTS.name, night.ds, current.rows)
        backtest = read_backtest(night.lake, night.ds)
    else:
        backtest = judged_night(night, lists)
        write_backtest(night, backtest, fingerprint)
        told = {table.name: rows for table, rows in backtest.by_table().items()}
        tracking.log_backtest(night, told, backtest_figures(backtest, night.shop.top_k))
    missing = [model for model in night.shop.models if model not in lists]
    print(backtest_text(backtest, night.ds, night.shop.horizon_days, night.shop.top_k, missing))


def write_backtest(night: Night, backtest: Backtest, fingerprint: str) -> None:
    """Writes the three tables; `backtests`, which vouches for the others, last."""
    for table, rows in backtest.by_table().items():
        night.lake.write(table, night.ds, arrow_rows(table, night.ds, rows), fingerprint)
        logger.info("built: table=%s ds=%s rows=%d", table.name, night.ds, len(rows))


def read_backtest(lake: Lake, ds: str) -> Backtest:
    """What is written for `ds`."""
    return Backtest(*(lake.read(table, ds).to_pylist() for table in (BACKTESTS, BACKTEST_SLICES, BACKTEST_GAINS)))


def lists_to_judge(night: Night) -> dict[str, Version]:
    """Model -> its lists as of the earlier day, in the order of the shop file.

    Raises:
        NightError: no model has any.
    """
    as_of = night.backtest_as_of
    found = {model: lists_in_force(night.lake, as_of, model) for model in night.shop.models}
    lists = {model: version for model, version in found.items() if version is not None}
    missing = [model for model in night.shop.models if model not in lists]
    if not lists:
        raise NightError(
            f"backtests ds={night.ds}: none of {', '.join(missing)} has lists as of {as_of} under the vocabulary in "
            f"force. Were models.train, jobs.build_candidates and models.score run --as-of {as_of}?"
        )
    for model in missing:
        logger.warning("not judged: model=%s as_of=%s reason=no lists under the vocabulary in force", model, as_of)
    return lists


def judged_night(night: Night, lists: dict[str, Version]) -> Backtest:
    """Judges the lists on every task, and on every slice of a task."""
    lake, as_of, seed, top_k = night.lake, night.backtest_as_of, night.shop.seed, night.shop.top_k
    num_items, traits = catalogue_size(lake, as_of), shop_traits(lake, as_of)
    # A list holds `num_candidates` items and no more: beyond that rank it would be judged for its length.
    ks = sorted(k for k in {*CUTOFFS, top_k} if k <= night.shop.num_candidates)
    tasks = held_out_tasks(night)
    slices = [part for task in tasks for part in slices_of(task, traits)]
    asked = [*((task, ks) for task in tasks), *((part, [top_k]) for part in slices)]
    judged = {model: judged_lists(model, version, asked, traits) for model, version in lists.items()}
    backtest = Backtest([], [], [])
    for place, (part, _) in enumerate(asked):
        of_part = {model: judgements[place] for model, judgements in judged.items()}
        if part.slice:
            backtest.slices.extend(slice_rows(part, of_part, top_k, seed))
        else:
            backtest.rows.extend(backtest_rows(part, of_part, ks, traits, num_items, seed))
            backtest.gains.extend(gain_rows(part, of_part, top_k, seed))
    return backtest


def _fingerprint(night: Night, lists: dict[str, Version]) -> str:
    lake, shop, as_of = night.lake, night.shop, night.backtest_as_of
    days = list(lake.versions(EVENTS, until=night.ds, since=as_of).values())
    features = [lake.require(table, as_of) for table in (VOCABULARIES, INTERACTIONS, ITEM_FEATURES, USER_FEATURES)]
    fitted = [lake.require(FITTED_MODELS, as_of, model) for model in lists]
    versions = [version.fingerprint for version in (*days, *features, *fitted, *lists.values())]
    settings = [list(lists), shop.target_events, shop.horizon_days, shop.num_candidates, shop.top_k, shop.seed]
    return fingerprint_of(BACKTESTS.name, night.ds, night.code, versions, settings)


if __name__ == "__main__":
    run_program(main)
