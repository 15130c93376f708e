"""Counts which items meet in histories: what `jobs.build_graph_edges` runs in executors.

Three kinds of meeting, each a column of counts. `session`: how many sessions hold both items. `window`: how many users
met both within WINDOW_DAYS. `cross_domain`: how many users met both, of different departments, at any time. Only the
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

from expectations.lake import parquet_dataset
from expectations.tables import FIRST_VALUE_INDEX, PADDING_INDEX

WINDOW_DAYS = 7
"""A week: what belongs to one errand, also when it takes two trips."""
MAX_VISITS = 50
"""Beyond it, more pairs say more of a reseller than of taste: 50 are 1,225 pairs already."""
USERS_AT_ONCE = 1024
"""Bounds the pairs that a Python worker holds."""

KINDS = ("session", "window", "cross_domain")
_COUNTS_DDL = ", ".join(f"{kind} bigint" for kind in KINDS)
ITEM_DDL = f"item_index int, {_COUNTS_DDL}"
PAIR_DDL = f"item_index int, other_index int, {_COUNTS_DDL}"
_SECONDS_PER_DAY = 86_400


class Visits(NamedTuple):
    """Items that a group met: a session, or a user. Groups stand together, in order of time. Shape (num_visits,)."""

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
    """How many sessions and how many users hold each item, among the visits that take part in pairs."""
    sessions, users = _visits(histories)
    items, of_sessions = np.unique(sessions.items, return_counts=True)
    # A session takes part with at least what its user does, so that its items are all there are.
    of_users = _counts_at(items, np.unique(np.stack([users.groups, users.items]), axis=1)[1])
    return _record_batch({"item_index": items}, [of_sessions, of_users, of_users])


def pair_counts(histories: pa.RecordBatch, item_features_path: str) -> pa.RecordBatch:
    """How often two items meet, `item_index` below `other_index`. Those that never do are left out."""
    sessions, users = _visits(histories)
    domains = item_domains(item_features_path)
    size = 1 + max(sessions.items.max(initial=0), users.items.max(initial=0), len(domains) - 1)
    domains = np.pad(domains, (0, size - len(domains)), constant_values=PADDING_INDEX)
    earlier, later = _pairs(sessions)
    in_sessions = _pair_keys(sessions, earlier, later, size)
    earlier, later = _pairs(users)
    is_near = users.seconds[later] - users.seconds[earlier] <= WINDOW_DAYS * _SECONDS_PER_DAY
    of_earlier, of_later = domains[users.items[earlier]], domains[users.items[later]]
    is_across = (of_earlier != of_later) & (np.minimum(of_earlier, of_later) >= FIRST_VALUE_INDEX)
    near, across = (_pair_keys(users, earlier[chosen], later[chosen], size) for chosen in (is_near, is_across))
    pairs = np.unique(np.concatenate([in_sessions, near, across]))
    columns = {"item_index": pairs // size, "other_index": pairs % size}
    return _record_batch(columns, [_counts_at(pairs, keys) for keys in (in_sessions, near, across)])


@lru_cache(maxsize=2)
def item_domains(item_features_path: str) -> np.ndarray:
    """The domain_index of each item, by item_index; read once per worker, since a version never changes."""
    table = parquet_dataset(item_features_path).to_table(columns=["item_index", "domain_index"])
    indices = table["item_index"].to_numpy()
    domains = np.full(indices.max(initial=0) + 1, PADDING_INDEX)
    domains[indices] = table["domain_index"].to_numpy()
    return domains


def _visits(histories: pa.RecordBatch) -> tuple[Visits, Visits]:
    """By session, with each item once; by user, with each item once a day. The latest MAX_VISITS of each."""
    lengths = pc.list_value_length(histories["item_indices"]).to_numpy()
    items, seconds, starts = (
        histories[name].flatten().to_numpy().astype(np.int64)
        for name in ("item_indices", "event_times", "session_starts")
    )
    users = np.repeat(np.arange(len(lengths)), lengths)
    starts[np.diff(users, prepend=-1) > 0] = 1
    is_known = items >= FIRST_VALUE_INDEX
    by_session = Visits(*(column[is_known] for column in (np.cumsum(starts), items, seconds)))
    by_user = Visits(users[is_known], by_session.items, by_session.seconds)
    once_a_session = np.zeros_like(by_session.seconds)
    return _latest_once(by_session, once_a_session), _latest_once(by_user, by_user.seconds // _SECONDS_PER_DAY)


def _latest_once(visits: Visits, days: np.ndarray) -> Visits:
    """Of each group, item and day the last visit, and of these each group's latest MAX_VISITS."""
    order = np.lexsort((np.arange(len(days)), days, visits.items, visits.groups))
    keys = np.stack([visits.groups, visits.items, days])[:, order]
    is_last = np.append((keys[:, 1:] != keys[:, :-1]).any(axis=0), True)[: len(order)]
    kept = np.sort(order[is_last])
    groups = visits.groups[kept]
    num_later = np.searchsorted(groups, groups, side="right") - 1 - np.arange(len(groups))
    return Visits(*(column[kept[num_later < MAX_VISITS]] for column in visits))


def _pairs(visits: Visits) -> tuple[np.ndarray, np.ndarray]:
    """The places of every two visits of a group, the earlier one first; not of an item with itself."""
    earlier = [np.empty(0, np.int64)]
    later = [np.empty(0, np.int64)]
    for lag in range(1, MAX_VISITS):
        is_same_group = visits.groups[lag:] == visits.groups[:-lag]
        found = np.flatnonzero(is_same_group & (visits.items[lag:] != visits.items[:-lag]))
        earlier.append(found)
        later.append(found + lag)
    return np.concatenate(earlier), np.concatenate(later)


def _pair_keys(visits: Visits, earlier: np.ndarray, later: np.ndarray, size: int) -> np.ndarray:
    """One number per pair of items and group that holds it: the lower item x `size` + the higher."""
    low = np.minimum(visits.items[earlier], visits.items[later])
    high = np.maximum(visits.items[earlier], visits.items[later])
    of_groups = np.unique(np.stack([visits.groups[earlier], low * size + high]), axis=1)
    return np.asarray(of_groups[1])


def _counts_at(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How often each of `places`, which are sorted, stands among `values`, which are all of them."""
    return np.bincount(np.searchsorted(places, values), minlength=len(places))


def _record_batch(columns: dict[str, np.ndarray], counts: list[np.ndarray]) -> pa.RecordBatch:
    indices = {name: pa.array(column, pa.int32()) for name, column in columns.items()}
    return pa.record_batch({**indices, **dict(zip(KINDS, map(pa.array, counts), strict=True))})
