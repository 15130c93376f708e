"""Counts which items meet in histories: what `jobs.features.graph_edges` runs in executors.

Three kinds of meeting, each a column of counts. `session`: how many sessions hold both items. `window`: how many users
met both within `window_days`. `cross_domain`: how many users met both, of different departments, at any time. Only the
latest MAX_VISITS of a session or a user take part, so that the work grows with the number of users, not with the
square of the longest history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.runtime.lake import parquet_dataset
from expectations.tables import FIRST_VALUE_INDEX, PADDING_INDEX

MAX_VISITS = 30
"""They make 435 pairs, which is most of what a night pays for; more say more of a reseller than of a taste."""
USERS_AT_ONCE = 1024
"""Bounds the pairs that a Python worker holds."""

KINDS = ("session", "window", "cross_domain")
_COUNTS_DDL = ", ".join(f"{kind} bigint" for kind in KINDS)
ITEM_DDL = f"item_index int, {_COUNTS_DDL}"
PAIR_DDL = f"item_index int, other_index int, {_COUNTS_DDL}"


class UserVisits(NamedTuple):
    """Items that groups met, which are sessions or users. A group's stand together, in order of time.

    Attributes:
        items: places among the items at hand. Each of shape (num_visits,).
    """

    groups: np.ndarray
    items: np.ndarray
    seconds: np.ndarray


def counted(
    batches: Iterable[pa.RecordBatch], count: Callable[[pa.RecordBatch], pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Applies `count` to a bounded number of histories at a time. What it gives still has to be summed."""
    for batch in batches:
        for start in range(0, batch.num_rows, USERS_AT_ONCE):
            yield count(batch.slice(start, USERS_AT_ONCE))


def item_counts(histories: pa.RecordBatch) -> pa.RecordBatch:
    """Counts how many sessions and how many users hold each item, among the visits that take part in pairs.

    Args:
        histories: rows with the columns `item_indices`, `event_times` and `session_starts`.

    Returns:
        One row per item, with the columns of ITEM_DDL.
    """
    items, sessions, users = _visits(histories)
    of_sessions = np.bincount(sessions.items, minlength=len(items))
    of_users = np.bincount(np.unique(users.groups * len(items) + users.items) % len(items), minlength=len(items))
    # A session takes part with at least what its user does, so that no item has users and no sessions.
    held = np.flatnonzero(of_sessions)
    return _record_batch({"item_index": items[held]}, [of_sessions[held], of_users[held], of_users[held]])


def pair_counts(histories: pa.RecordBatch, item_features_path: str, window_days: int) -> pa.RecordBatch:
    """Counts how often two items meet, `item_index` below `other_index`. Those that never do are left out."""
    items, sessions, users = _visits(histories)
    domains = domains_of(items, item_features_path)
    in_sessions = _pair_keys(sessions, *_pairs(sessions), len(items))
    earlier, later = _pairs(users)
    is_near = users.seconds[later] - users.seconds[earlier] <= window_days * SECONDS_PER_DAY
    of_earlier, of_later = domains[users.items[earlier]], domains[users.items[later]]
    is_across = (of_earlier != of_later) & (np.minimum(of_earlier, of_later) >= FIRST_VALUE_INDEX)
    near, across = (_pair_keys(users, earlier[chosen], later[chosen], len(items)) for chosen in (is_near, is_across))
    pairs, places = np.unique(np.concatenate([in_sessions, near, across]), return_inverse=True)
    of_kinds = np.split(places, np.cumsum([len(in_sessions), len(near)]))
    low, high = np.divmod(pairs, max(1, len(items)))
    columns = {"item_index": items[low], "other_index": items[high]}
    return _record_batch(columns, [np.bincount(places, minlength=len(pairs)) for places in of_kinds])


def domains_of(items: np.ndarray, item_features_path: str) -> np.ndarray:
    """Returns the domain_index of items, PADDING_INDEX for those without features. Shape (num_items,), int."""
    domains = item_domains(item_features_path)
    is_inside = items < len(domains)
    return np.where(is_inside, domains[np.where(is_inside, items, PADDING_INDEX)], PADDING_INDEX)


@lru_cache(maxsize=2)
def item_domains(item_features_path: str) -> np.ndarray:
    """Returns the domain_index of each item, by item_index; read once per worker, since a version never changes.

    Args:
        item_features_path: a version of `item_features`.

    Returns:
        Shape (largest item_index + 1,), int; PADDING_INDEX for an index that no item has.
    """
    table = parquet_dataset(item_features_path).to_table(columns=["item_index", "domain_index"])
    indices = table["item_index"].to_numpy()
    domains = np.full(indices.max(initial=0) + 1, PADDING_INDEX)
    domains[indices] = table["domain_index"].to_numpy()
    return domains


def _visits(histories: pa.RecordBatch) -> tuple[np.ndarray, UserVisits, UserVisits]:
    """The indices of the items that are met; visits by session, with an item once; by user, with an item once a day."""
    lengths = pc.list_value_length(histories["item_indices"]).to_numpy()
    indices, seconds, starts = (
        histories[name].flatten().to_numpy().astype(np.int64)
        for name in ("item_indices", "event_times", "session_starts")
    )
    users = np.repeat(np.arange(len(lengths)), lengths)
    starts[np.diff(users, prepend=-1) > 0] = 1
    is_known = indices >= FIRST_VALUE_INDEX
    sessions, users, seconds = (column[is_known] for column in (np.cumsum(starts), users, seconds))
    # Places among the items at hand are small numbers, so that a pair and its group fit into one of 64 bits.
    items, places = np.unique(indices[is_known], return_inverse=True)
    days = seconds // SECONDS_PER_DAY
    by_session = _latest_once(UserVisits(sessions, places, seconds), len(items), np.zeros_like(days))
    return items, by_session, _latest_once(UserVisits(users, places, seconds), len(items), days)


def _latest_once(visits: UserVisits, num_items: int, days: np.ndarray) -> UserVisits:
    """Of each group, item and day the last visit, and of these each group's latest MAX_VISITS."""
    keys = (visits.groups * num_items + visits.items) * (days.max(initial=0) + 1) + days
    kept = np.sort(len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1])
    groups = visits.groups[kept]
    num_later = np.searchsorted(groups, groups, side="right") - 1 - np.arange(len(groups))
    return UserVisits(*(column[kept[num_later < MAX_VISITS]] for column in visits))


def _pairs(visits: UserVisits) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of every two visits of a group, the earlier one first; not of an item with itself."""
    earlier = [np.empty(0, np.int64)]
    later = [np.empty(0, np.int64)]
    for lag in range(1, MAX_VISITS):
        is_same_group = visits.groups[lag:] == visits.groups[:-lag]
        found = np.flatnonzero(is_same_group & (visits.items[lag:] != visits.items[:-lag]))
        earlier.append(found)
        later.append(found + lag)
    return np.concatenate(earlier), np.concatenate(later)


def _pair_keys(visits: UserVisits, earlier: np.ndarray, later: np.ndarray, num_items: int) -> np.ndarray:
    """Returns one number per pair of items and group that holds it: the lower item x `num_items` + the higher."""
    low = np.minimum(visits.items[earlier], visits.items[later])
    high = np.maximum(visits.items[earlier], visits.items[later])
    once = np.unique((visits.groups[earlier] * num_items + low) * num_items + high)
    return np.asarray(once % max(1, num_items**2))


def _record_batch(columns: dict[str, np.ndarray], counts: list[np.ndarray]) -> pa.RecordBatch:
    indices = {name: pa.array(column, pa.int32()) for name, column in columns.items()}
    return pa.record_batch({**indices, **dict(zip(KINDS, map(pa.array, counts), strict=True))})
