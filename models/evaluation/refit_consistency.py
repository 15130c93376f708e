"""Does a refit still say what the fit said that was judged? Asked of users who did nothing in between.

A backtest vouches for the fit of an earlier day, and what is published comes from another one. Whoever did nothing
since should be offered much the same by both: on the demo shop the deep models keep .31 to .80 of such a list, and a
refit whose scores are shuffled .05 to .10.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from expectations.runtime.lake import Lake, Version
from expectations.tables import INTERACTIONS
from models.data.vocabulary import NOT_KNOWN, indices_on
from models.interface.model import NO_ITEM
from models.interface.ranked_lists import list_batches, read_list_rows, top_items

MAX_USERS = 2_000
"""Users whose lists are compared, evenly spaced: bounds the lists that are read."""


@dataclass(frozen=True)
class RefitConsistency:
    """How far the lists of a refit agree with those that were evaluated.

    Attributes:
        kept_share: mean share of an evaluated list that is still in the list of the refit.
        variety: number of different items in all lists of the refit, over that in all evaluated lists.
    """

    kept_share: float
    variety: float


@dataclass(frozen=True)
class Refit:
    """The day of the fit that was judged and the day of its refit. Whom to ask is the same for every model."""

    lake: Lake
    earlier: str
    later: str

    def consistency(
        self, judged: Version, refitted: Version, top_k: int, exclude_seen: bool
    ) -> RefitConsistency | None:
        """How the lists of the refit stand beside those that were judged; None without idle users who had one.

        Args:
            judged, refitted: a model's lists as of the two days.
            exclude_seen: whether lists leave out what a user met.
        """
        if not len(self._idle_users):
            return None
        before = _tops(judged, self._idle_users[:, 0], top_k, exclude_seen)
        after = _tops(refitted, self._idle_users[:, 1], top_k, exclude_seen)
        before = np.where(before == NO_ITEM, NO_ITEM, self._new_item_index[before])  # indices of the later day
        is_kept = (before[:, :, None] == after[:, None, :]) & (before != NO_ITEM)[:, :, None]
        lengths = (before != NO_ITEM).sum(axis=1)
        shares = is_kept.any(axis=2).sum(axis=1)[lengths > 0] / lengths[lengths > 0]
        if not len(shares):
            return None
        num_items, num_items_judged = (len(np.unique(tops[tops != NO_ITEM])) for tops in (after, before))
        return RefitConsistency(float(shares.mean()), num_items / num_items_judged)

    @cached_property
    def _idle_users(self) -> np.ndarray:
        """Users with as many events on both days, evenly spaced. Shape (num_users, 2): their indices of either day."""
        new_index = indices_on(self.lake, self.earlier, self.later, "user_id")
        before, after = (_events_of_users(self.lake, day) for day in (self.earlier, self.later))
        users = np.flatnonzero(before > 0)
        users = users[new_index[users] != NOT_KNOWN]
        after = np.pad(after, (0, max(0, int(new_index.max(initial=0)) + 1 - len(after))))
        idle = users[before[users] == after[new_index[users]]]
        chosen = idle[:: max(1, -(-len(idle) // MAX_USERS))]
        return np.stack([chosen, new_index[chosen]], axis=1)

    @cached_property
    def _new_item_index(self) -> np.ndarray:
        return indices_on(self.lake, self.earlier, self.later, "item_id")


def _events_of_users(lake: Lake, day: str) -> np.ndarray:
    """How many events each user has. Shape (largest index + 1,)."""
    num_events = np.zeros(0, dtype=np.int64)
    for batch in list_batches(lake.require(INTERACTIONS, day), ["user_index", "num_events"]).to_batches():
        counts = np.bincount(batch["user_index"].to_numpy(), batch["num_events"].to_numpy()).astype(np.int64)
        longer, shorter = (counts, num_events) if len(counts) > len(num_events) else (num_events, counts)
        num_events = longer.copy()
        num_events[: len(shorter)] += shorter
    return num_events


def _tops(version: Version, user_indices: np.ndarray, top_k: int, exclude_seen: bool) -> np.ndarray:
    """The users' lists, in their order. Shape (num_users, top_k)."""
    order = np.argsort(user_indices)
    ranked = top_items(read_list_rows(version, user_indices[order]), user_indices[order], top_k, exclude_seen)
    tops = np.empty_like(ranked)
    tops[order] = ranked
    return tops
