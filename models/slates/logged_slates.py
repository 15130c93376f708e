"""The lists that users were shown on the days before, from the published tables, with the rewards that came of them.

The list published for a day stands on the day after it. Users who did anything that day count as having seen it; what
they did with its items is its reward. A night for `ds` reads lists that stood until `ds`, and no event after it.

A list is read up to the first of its items that its model did not propose: fallback items and explored ones come last,
and no policy had a say in them. Partitions that a backfill published count as if they had stood: what came of them is
what users did without them, as in a backtest.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from expectations.runtime.days import day_number, days_before
from expectations.runtime.lake import Lake, Version
from expectations.semantics.models_in_force import models_in_force
from expectations.shop.shop import Shop
from expectations.tables import USER_RECOMMENDATIONS
from models.data.vocabulary import indices_of, read_vocabulary
from models.interface.published_lists import published_lists, published_nights
from models.slates.slate_candidates import SlateCandidates
from models.slates.slates import CandidateSets, Slates
from models.slates.training_slates import (
    Examples,
    UserLog,
    candidate_positions,
    joined_candidates,
    rewarded_examples,
    spaced,
)

MAX_LISTS = 4_096
"""What is looked at, over all days."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShownDay:
    """A published partition, and the lists that it was made of.

    Attributes:
        contents: what tells this partition from another publication of the day.
    """

    ds: str
    lists: Version
    contents: tuple[str, ...]


def shown_days(lake: Lake, ds: str, log_days: int) -> list[ShownDay]:
    """Returns the published days of the last `log_days` whose lists, as the gate named them, are still there.

    What was committed and is not in the manifest, or not any more, was not shown.
    """
    nights = published_nights(lake)
    found = []
    for day in (days_before(ds, n) for n in range(log_days, 0, -1)):
        if day not in nights.models:
            continue
        named = models_in_force(lake, day).lists(lake, nights.models[day])
        if named is None:
            logger.warning("shown lists are left out: ds=%s reason=the model's lists of that day are gone", day)
            continue
        found.append(ShownDay(day, named[1], _contents(lake, day, nights.table_versions[day])))
    return found


def _contents(lake: Lake, day: str, table_version: int | None) -> tuple[str, ...]:
    published = DeltaTable(lake.table_path(USER_RECOMMENDATIONS), version=table_version)
    actions = pa.table(published.get_add_actions(flatten=True))
    files = actions.filter(pc.field("partition.ds") == day)["path"].to_pylist()
    # Folders are named by a fingerprint and an attempt (`expectations.runtime.lake`): that the night was tried twice
    # says nothing of what it published.
    return tuple(sorted({path.rpartition("/")[0].rpartition("-")[0] for path in files}))


def shown_lists(
    lake: Lake, ds: str, source: SlateCandidates, days: list[ShownDay], log: UserLog, shop: Shop
) -> Examples | None:
    """Returns what was shown to the users of the log, and what it earned; None where they saw nothing.

    Args:
        days: what `shown_days` gives.
        log: since the day before the first list stood, or earlier.
    """
    parts, events = [], log.events
    for day in days:
        stood_on = day_number(day.ds) + 1
        came = (events.day >= stood_on) & (events.day < stood_on + 1)
        users = spaced(np.unique(events.user[came]), max(1, MAX_LISTS // len(days)))
        if len(users):
            stood = np.full(len(users), float(stood_on))
            candidates = source.of(day.lists, day.ds, users, stood, log.history_events)
            parts.append((candidates, _as_shown(lake, ds, day.ds, candidates, shop.top_k)))
    if not parts:
        return None
    slates = Slates(
        *(np.concatenate(columns) for columns in zip(*((s.slots, s.propensity) for _, s in parts), strict=True))
    )
    return rewarded_examples(joined_candidates([candidates for candidates, _ in parts]), slates, events, shop)


def _as_shown(lake: Lake, ds: str, day: str, candidates: CandidateSets, top_k: int) -> Slates:
    """What the published partition shows the users of `candidates`, who ascend."""
    words = read_vocabulary(lake, ds, "user_id")
    ids = words.filter(pc.is_in(words["index"], pa.array(candidates.user, words["index"].type)))
    columns = ["user_id", "rank", "item_id", "propensity"]
    rows = published_lists(lake, day, ids["value"].combine_chunks(), columns)
    item = indices_of(rows["item_id"], read_vocabulary(lake, ds, "item_id")).fill_null(-1).to_numpy()
    row = np.searchsorted(candidates.user, indices_of(rows["user_id"], words).to_numpy())
    rank = rows["rank"].to_numpy() - 1
    is_in_top_k = rank < top_k
    slots = np.full((len(candidates), top_k), -1)
    propensity = np.full(slots.shape, np.nan)
    slots[row[is_in_top_k], rank[is_in_top_k]] = candidate_positions(candidates, row, item)[is_in_top_k]
    propensity[row[is_in_top_k], rank[is_in_top_k]] = pc.fill_null(rows["propensity"], np.nan).to_numpy()[is_in_top_k]
    has_ended = np.cumsum(slots < 0, axis=1) > 0
    return Slates(np.where(has_ended, -1, slots), np.where(has_ended, 1.0, propensity))
