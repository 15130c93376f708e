"""The models' lists, as `candidates` and `scores` hold them, read without ever holding all users' at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from expectations.runtime.lake import Version, parquet_dataset
from models.interface.model import NO_ITEM

_COLUMNS = ["user_index", "item_index", "score", "is_seen"]


@dataclass(frozen=True)
class ListRows:
    """Some users' rows of one model, best first within a user: by (user_index, -score, item_index)."""

    user_indices: np.ndarray
    item_indices: np.ndarray
    is_seen: np.ndarray
    scores: np.ndarray


def list_batches(version: Version, columns: list[str], filter: pads.Expression | None = None) -> pads.Scanner:
    """A scanner over a version, for `to_batches()`: one batch in memory at a time, not the partition."""
    return parquet_dataset(version.path).scanner(
        columns=columns, filter=filter, batch_readahead=1, fragment_readahead=1
    )


def read_list_rows(version: Version, user_indices: np.ndarray) -> ListRows:
    """Reads all rows of some users.

    Args:
        user_indices: ascending integers; the nearer they lie, the less is read in vain. Shape (num_users,).
    """
    lies_between = (pc.field("user_index") >= int(user_indices[0])) & (pc.field("user_index") <= int(user_indices[-1]))
    kept = []
    for batch in list_batches(version, _COLUMNS, lies_between).to_batches():
        kept.append(batch.filter(pa.array(np.isin(batch.column("user_index").to_numpy(), user_indices))))
    rows = pa.Table.from_batches(kept) if kept else pa.table({name: [] for name in _COLUMNS})
    users, items, scores, is_seen = (rows[name].to_numpy() for name in _COLUMNS)
    order = np.lexsort((items, -scores, users))  # NaN comes last
    return ListRows(users[order], items[order], is_seen[order].astype(bool), scores[order])


def top_items(rows: ListRows, user_indices: np.ndarray, depth: int, exclude_seen: bool) -> np.ndarray:
    """The users' best items.

    Args:
        user_indices: ascending; may hold users without rows, whose lists are empty, but rows of others are ignored.

    Returns:
        Item indices, NO_ITEM where a list has ended. int64, shape (num_users, depth).
    """
    places = top_places(rows, user_indices, depth, exclude_seen)
    return np.where(places >= 0, np.append(rows.item_indices, NO_ITEM)[places], NO_ITEM).astype(np.int64)


def top_places(rows: ListRows, user_indices: np.ndarray, depth: int, exclude_seen: bool) -> np.ndarray:
    """Where in `rows` the users' best items stand, -1 where a list has ended; see `top_items`.

    Returns:
        int64, shape (num_users, depth).
    """
    places = np.minimum(np.searchsorted(user_indices, rows.user_indices), len(user_indices) - 1)
    is_wanted = user_indices[places] == rows.user_indices
    if exclude_seen:
        is_wanted &= ~rows.is_seen
    wanted = np.flatnonzero(is_wanted)
    places = places[wanted]
    first_of_user = np.searchsorted(places, np.arange(len(user_indices)))
    ranks = np.arange(len(places)) - first_of_user[places]  # from 0
    ranked = np.full((len(user_indices), depth), -1)
    is_top = ranks < depth
    ranked[places[is_top], ranks[is_top]] = wanted[is_top]
    return ranked
