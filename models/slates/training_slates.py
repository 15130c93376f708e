"""The lists that a policy of the night learns from: what was chosen on each, and the rewards that came of it.

There are two kinds. *Visits* of the backtest's days hold what a user met on a day of theirs, in the order of time,
among the candidates that the published model had for them when these days began. Nobody was shown that list, so the
policy under which it came about is estimated (`Slates.propensity` is NaN). *Shown lists*
(`models.slates.logged_slates`) carry the propensities that were published with them.

A list counts if the log goes on for `sight_days` after it, half of the shop's horizon: future rewards are a part of its
return.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from expectations.runtime.days import day_number
from expectations.runtime.lake import Lake, Version
from expectations.shop.shop import Shop
from expectations.tables import NightError
from models.data.pair_keys import pair_keys
from models.slates.event_log import EventLog
from models.slates.exposures import Exposures
from models.slates.rewards import future_rewards, slot_rewards
from models.slates.slate_candidates import SlateCandidates, active_users, history_events, logged_events
from models.slates.slates import CandidateSets, Slates

MAX_LISTS = 4_096
"""What a policy learns from, of each kind: some 40 MB of candidates."""
MAX_USERS = 4_096
"""Users whose lists and events a policy learns from, evenly spaced: bounds memory and time."""


@dataclass(frozen=True)
class UserLog:
    """What some users did, evenly picked of all who did anything lately: as many as a program can hold.

    Attributes:
        events: of the days after `since`, with prices: what lists earned.
        history_events: of their histories, which features are made of.
    """

    events: EventLog
    history_events: EventLog

    @classmethod
    def of(cls, lake: Lake, shop: Shop, ds: str, since: str, exposures: Exposures) -> UserLog:
        """Reads what at most MAX_USERS users did after the day `since`.

        Raises:
            NightError: nobody did anything.
        """
        users = spaced(active_users(lake, shop, ds, since), MAX_USERS)
        if not len(users):
            raise NightError(
                f"ds={ds}: nobody did anything after {since}, so that there is nothing to learn a policy from."
            )
        events = logged_events(lake, shop, ds, since, users, exposures)
        return cls(events, history_events(lake, ds, users, exposures))


@dataclass(frozen=True)
class Examples:
    """Lists and what they earned.

    Attributes:
        immediate_reward: what each slot earned while the list stood; 0 where it has ended. Shape (num_lists, top_k).
        future_reward: what the user earned in the days after, discounted to the list's day. Shape (num_lists,).
        is_organic: which candidates the user met on that day, without having been shown them. Shape (num_lists,
            num_candidates).
    """

    candidates: CandidateSets
    slates: Slates
    immediate_reward: np.ndarray
    future_reward: np.ndarray
    is_organic: np.ndarray

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def returns(self) -> np.ndarray:
        """What each slot earned on the day, and all that came later. Shape (num_lists, top_k), float64."""
        return np.where(self.slates.slots >= 0, self.immediate_reward + self.future_reward[:, None], 0.0)

    @property
    def items(self) -> np.ndarray:
        """Item indices at each rank; -1 where a list has ended. Shape (num_lists, top_k), int64."""
        return items_at(self.candidates, self.slates.slots)

    def rows(self, rows: np.ndarray) -> Examples:
        """Returns some of the lists.

        Args:
            rows: shape (num_rows,), int64, or (num_lists,), bool.
        """
        columns = (self.immediate_reward[rows], self.future_reward[rows], self.is_organic[rows])
        return Examples(self.candidates.rows(rows), self.slates.rows(rows), *columns)

    @classmethod
    def joined(cls, parts: Sequence[Examples]) -> Examples:
        """Returns the lists of all parts."""
        columns = [
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("immediate_reward", "future_reward", "is_organic")
        ]
        slates = Slates(*(np.concatenate([getattr(p.slates, f.name) for p in parts]) for f in fields(Slates)))
        return cls(joined_candidates([part.candidates for part in parts]), slates, *columns)


def joined_candidates(parts: Sequence[CandidateSets]) -> CandidateSets:
    """Returns the lists of all parts."""
    columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(CandidateSets)}
    # A column is None in all parts, or in none.
    joined: dict[str, Any] = {n: None if c[0] is None else np.concatenate(c) for n, c in columns.items()}
    return replace(parts[0], **joined)


def sight_days(shop: Shop) -> int:
    """Returns how many days a policy looks ahead."""
    return max(1, shop.horizon_days // 2)


def visits(ds: str, as_of: str, source: SlateCandidates, lists: Version, log: UserLog, shop: Shop) -> Examples:
    """Returns the visits of the `horizon_days` after `as_of`, by the model's lists of that day.

    Args:
        lists: as of `as_of`; of a model that learns from what the backtest asks, its answers out of fold.
    """
    user, day = log.events.visits()
    begins, ends = day_number(as_of) + 1, day_number(ds) + 1
    is_within = (day >= begins) & (day < begins + shop.horizon_days)
    is_seen = is_within & (day + sight_days(shop) <= ends)
    rows = spaced(np.flatnonzero(is_seen), MAX_LISTS)
    user, day = user[rows], day[rows]
    candidates = source.of(lists, as_of, user, day, log.history_events)
    slots = taken(candidates, log.events, shop.top_k)
    return rewarded_examples(candidates, Slates(slots, np.full(slots.shape, np.nan)), log.events, shop)


def taken(candidates: CandidateSets, events: EventLog, top_k: int) -> np.ndarray:
    """Returns which candidates each list's user met on its day, in the order of time, each once.

    Returns:
        Shape (num_lists, top_k), int64; -1 after the last.
    """
    row, position = met_candidates(candidates, events)
    _, first = np.unique(pair_keys(row, position), return_index=True)
    first.sort()  # back to the order of time
    row, position = row[first], position[first]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    found = np.full((len(candidates), top_k), -1)
    found[row[rank < top_k], rank[rank < top_k]] = position[rank < top_k]
    return found


def organic_candidates(candidates: CandidateSets, events: EventLog) -> np.ndarray:
    """Returns which candidates each list's user met on its day without having been shown them.

    Returns:
        Shape (num_lists, num_candidates), bool.
    """
    is_organic = np.zeros(candidates.item.shape, dtype=bool)
    is_organic[met_candidates(candidates, events.where(~events.is_exposed))] = True
    return is_organic


def met_candidates(candidates: CandidateSets, events: EventLog) -> tuple[np.ndarray, np.ndarray]:
    """Returns the events of each list's day with one of its candidates, those of a row in the order of time.

    Returns:
        Row and position among the candidates. Both of shape (num_events,), int64.
    """
    row, event = events.between(candidates.user, candidates.day, candidates.day + 1)
    position = candidate_positions(candidates, row, events.item[event])
    return row[position >= 0], position[position >= 0]


def candidate_positions(candidates: CandidateSets, row: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Returns where items stand among the candidates of a row; -1 where they are none.

    Args:
        row, item: shape (num_asked,), int64.

    Returns:
        Shape (num_asked,), int64.
    """
    rows, positions = np.nonzero(candidates.is_candidate)
    keys = pair_keys(rows, candidates.item[rows, positions])
    order = np.argsort(keys)
    asked = pair_keys(row, item)
    nth = np.minimum(np.searchsorted(keys, asked, sorter=order), max(len(keys) - 1, 0))
    if not len(keys):
        return np.full(len(row), -1)
    return np.where(keys[order[nth]] == asked, positions[order[nth]], -1)


def rewarded_examples(candidates: CandidateSets, slates: Slates, events: EventLog, shop: Shop) -> Examples:
    """Returns lists with their rewards, of those that hold any of their candidates."""
    kept = np.flatnonzero((slates.slots >= 0).any(axis=1))
    candidates, slates = candidates.rows(kept), slates.rows(kept)
    reward, items = shop.reward, items_at(candidates, slates.slots)
    immediate_reward = slot_rewards(candidates.user, candidates.day, items, events, reward)
    future_reward = future_rewards(candidates.user, candidates.day, events, reward, sight_days(shop))
    return Examples(candidates, slates, immediate_reward, future_reward, organic_candidates(candidates, events))


def items_at(candidates: CandidateSets, slots: np.ndarray) -> np.ndarray:
    """Returns the items of slots; -1 where there is none.

    Args:
        slots: shape (num_slates, top_k), int64.

    Returns:
        Shape (num_slates, top_k), int64.
    """
    return np.where(slots >= 0, np.take_along_axis(candidates.item, np.maximum(slots, 0), axis=1), -1)


def spaced(values: np.ndarray, most: int) -> np.ndarray:
    """Returns at most so many of the values, evenly spaced.

    Args:
        values: shape (num_values,), any dtype, which the result keeps.
    """
    return values[:: max(1, -(-len(values) // most))]
