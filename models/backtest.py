"""Judges every model that was fitted as of `ds - horizon_days` on what users did in the days between.

Reads the models' lists (`candidates`, `scores`) and the features as of that earlier day, and `events` up to `ds`.
Writes partition `ds` of `backtests`: one row per model, task and k, over the full catalogue of the earlier day. Two
tasks: `new_items` asks for items that the user had not met before, and `with_repeats` for anything. A model without
lists is named and left out. A re-run over the same inputs finds its partition written and only prints it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from expectations.lake import Version, fingerprint_of
from expectations.program import Night, night_from, night_parser, run_program
from expectations.tables import BACKTESTS, EVENTS, FITTED_MODELS, INTERACTIONS, VOCABULARIES, NightError
from models import tracking
from models.arrow_rows import arrow_rows
from models.backtest_report import backtest_figure, backtest_text
from models.held_out import catalogue_size, held_out_tasks
from models.judging import backtest_rows, judged_lists
from models.ranked_lists import lists_in_force

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
        rows = night.lake.read(BACKTESTS, night.ds).to_pylist()
    else:
        rows = judged_night(night, lists)
        night.lake.write(BACKTESTS, night.ds, arrow_rows(BACKTESTS, night.ds, rows), fingerprint)
        logger.info("built: table=%s ds=%s rows=%d", BACKTESTS.name, night.ds, len(rows))
        tracking.log_backtest(night, rows, backtest_figure(rows, night.shop.top_k))
    missing = [model for model in night.shop.models if model not in lists]
    print(backtest_text(rows, night.ds, night.shop.horizon_days, night.shop.top_k, missing))


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


def judged_night(night: Night, lists: dict[str, Version]) -> list[dict[str, Any]]:
    """The rows of `backtests`."""
    num_items = catalogue_size(night.lake, night.backtest_as_of)
    # A list holds `num_candidates` items and no more: beyond that rank it would be judged for its length.
    ks = sorted(k for k in {*CUTOFFS, night.shop.top_k} if k <= night.shop.num_candidates)
    tasks = held_out_tasks(night)
    by_model = {model: judged_lists(model, version, tasks, ks) for model, version in lists.items()}
    rows = []
    for task in tasks:
        judgements = {model: judged[task.task] for model, judged in by_model.items()}
        rows += backtest_rows(task, judgements, ks, num_items, night.shop.seed)
    return rows


def _fingerprint(night: Night, lists: dict[str, Version]) -> str:
    lake, shop, as_of = night.lake, night.shop, night.backtest_as_of
    days = list(lake.versions(EVENTS, until=night.ds, since=as_of).values())
    features = [lake.require(table, as_of) for table in (VOCABULARIES, INTERACTIONS)]
    fitted = [lake.require(FITTED_MODELS, as_of, model) for model in lists]
    versions = [version.fingerprint for version in (*days, *features, *fitted, *lists.values())]
    settings = [list(lists), shop.target_events, shop.horizon_days, shop.num_candidates, shop.top_k, shop.seed]
    return fingerprint_of(BACKTESTS.name, night.ds, night.code, versions, settings)


if __name__ == "__main__":
    run_program(main)
