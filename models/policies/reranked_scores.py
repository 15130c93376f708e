"""The published model's lists in the policy's order, as rows of `scores`, and how far they moved.

A list keeps its candidates and its scores: the best score goes to what the policy puts first, and so on. So the rules
and the sampling of `jobs.lists.mmr_selection` mean for re-ranked lists what they mean for the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.days import day_number
from expectations.runtime.lake import Lake, Version
from expectations.shop.policy_settings import POLICY
from expectations.shop.shop import Shop
from expectations.tables import FIRST_VALUE_INDEX, SCORES
from models.data.vocabulary import read_vocabulary
from models.interface.model import NO_ITEM
from models.interface.ranked_lists import read_list_rows, top_places
from models.policies.served_policy import ServedPolicy
from models.slates.event_log import EventLog
from models.slates.exposures import Exposures
from models.slates.slate_candidates import SlateCandidates, history_events
from models.slates.slates import SlatePolicy

DEPTH = 3
"""So many times K slots of a list are the policy's: rules may take some of them out."""
USERS_AT_ONCE = 1_024
"""Users whose lists are re-ranked together: bounds memory."""


@dataclass
class Movement:
    """How far re-ranked lists stand from those that they were made of; grows block by block."""

    top_k: int
    num_users: int = 0
    overlap: float = 0.0
    first_changed: float = 0.0
    displacement: float = 0.0

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Counts the next users' lists in.

        Args:
            before, after: item indices in the model's and in the policy's order; NO_ITEM where a list has ended. Shape
                (num_users, num_candidates), int64.
        """
        has_list = (before >= 0).any(axis=1)
        first, now = before[has_list], after[has_list, : self.top_k]
        is_same = (now[:, :, None] == first[:, None, :]) & (now >= 0)[:, :, None]
        moved = np.abs(is_same.argmax(axis=2) - np.arange(now.shape[1])) * (now >= 0)
        lengths = (now >= 0).sum(axis=1)
        self.num_users += len(now)
        self.overlap += float((is_same[:, :, : self.top_k].any(axis=2).sum(axis=1) / lengths).sum())
        self.first_changed += float((first[:, 0] != now[:, 0]).sum())
        self.displacement += float((moved.sum(axis=1) / lengths).sum())

    def as_dict(self) -> dict[str, float]:
        """Returns means over users with a list."""
        names = ("overlap", "first_changed", "displacement")
        means = {name: round(getattr(self, name) / max(self.num_users, 1), 6) for name in names}
        return {"top_k": self.top_k, "num_users": self.num_users, **means}


def reranked_blocks(
    lake: Lake,
    ds: str,
    source: SlateCandidates,
    lists: Version,
    policy: SlatePolicy,
    exposures: Exposures,
    movement: Movement,
    shop: Shop,
) -> Iterator[pa.Table]:
    """Yields rows of `scores` for all users, block by block; each block is counted into `movement`.

    Args:
        lists: of the published model, as of ds.
        exposures: what the published lists of the days before showed.
    """
    last = int(pc.max(read_vocabulary(lake, ds, "user_id")["index"]).as_py())
    for first in range(FIRST_VALUE_INDEX, last + 1, USERS_AT_ONCE):
        users = np.arange(first, min(last + 1, first + USERS_AT_ONCE))
        event_log = history_events(lake, ds, users, exposures)
        yield _reranked(ds, source, lists, policy, users, event_log, movement, shop)


def _reranked(
    ds: str,
    source: SlateCandidates,
    lists: Version,
    policy: SlatePolicy,
    users: np.ndarray,
    event_log: EventLog,
    movement: Movement,
    shop: Shop,
) -> pa.Table:
    """The best `num_candidates` of each user in the policy's order, the others as they were."""
    rows = read_list_rows(lists, users)
    item_of, score_of = np.append(rows.item_indices, NO_ITEM).astype(np.int64), np.append(rows.scores, np.float32(0))
    places = top_places(rows, users, shop.num_candidates, source.exclude_seen)  # -1 is the last of `item_of`
    day = np.full(len(users), day_number(ds) + 1.0)
    candidates = source.described(ds, users, day, item_of[places], score_of[places], event_log)
    order = ServedPolicy(policy, DEPTH * shop.top_k, 0.0).order(candidates)
    after = np.where(order >= 0, np.take_along_axis(places, np.maximum(order, 0), axis=1), -1)
    movement.add(item_of[places], item_of[after])
    scores = rows.scores.astype(np.float32)
    scores[after[after >= 0]] = falling(score_of[places])[after >= 0]
    return pa.table(
        {
            "ds": pa.repeat(pa.scalar(ds), len(scores)),
            "model": pa.repeat(pa.scalar(POLICY), len(scores)),
            "user_index": rows.user_indices,
            "item_index": rows.item_indices,
            "score": scores,
            "is_seen": rows.is_seen,
        },
        schema=arrow_schema(SCORES),
    )


def falling(scores: np.ndarray) -> np.ndarray:
    """Returns scores that never rise along a row, and fall by the least that they can where they were equal.

    Args:
        scores: best first. Shape (num_users, num_candidates), any float.

    Returns:
        Same shape, float32.
    """
    strict = scores.astype(np.float32).copy()
    for rank in range(1, strict.shape[1]):
        below = np.nextafter(strict[:, rank - 1], np.float32(-np.inf))
        strict[:, rank] = np.minimum(strict[:, rank], below)
    return strict
