"""Arrays that lie on the disk, so that memory holds what a step looks at and not the log.

A table is read batch by batch, twice: once to count each user's entries, once to put them in their places. The
operating system keeps in memory what is in use, and takes it back where something else needs the room.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.lake import parquet_dataset

ROWS_AT_ONCE = 65_536
"""Rows of a Parquet file that are read at a time: bounds the memory beside the arrays."""
ENTRIES_AT_ONCE = 2_000_000
"""What a walk over all entries holds in memory at a time."""


def disk_array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Makes an array of zeros, of any shape and dtype, in a file without a name, which goes when the array does."""
    if 0 in shape:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(prefix="nightjar-") as file:
        return np.asarray(np.memmap(file, dtype, "w+", shape=shape))


def spans(num_entries: int) -> Iterator[slice]:
    """All entries, so many at once."""
    for start in range(0, num_entries, ENTRIES_AT_ONCE):
        yield slice(start, min(start + ENTRIES_AT_ONCE, num_entries))


def spans_of_users(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """All users, from the first up to the last, in parts of about `ENTRIES_AT_ONCE` entries.

    Args:
        offsets: the entries of user `u` are offsets[u] to offsets[u + 1]; int64. Shape (num_users + 1,).
    """
    first, num_users = 0, len(offsets) - 1
    while first < num_users:
        last = int(np.searchsorted(offsets, offsets[first] + ENTRIES_AT_ONCE, side="right")) - 1
        last = min(max(last, first + 1), num_users)
        yield first, last
        first = last


def batches(path: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a version, few at a time, and no more read ahead than that."""
    yield from parquet_dataset(path).to_batches(
        columns=list(columns), batch_size=ROWS_AT_ONCE, batch_readahead=1, fragment_readahead=1
    )


def grouped_by_user(
    path: str,
    num_users: int,
    columns: Mapping[str, Any],
    entries: Callable[[pa.RecordBatch], Mapping[str, np.ndarray]],
    reads: Sequence[str],
    counts: Sequence[str] = (),
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The entries of a table, those of each user together, in the order in which they are read.

    Args:
        path: of a version with a column `user_index`.
        columns: name -> dtype of what `entries` returns.
        entries: a batch's entries, in the order of its rows.
        reads: columns of the table that `entries` looks at.
        counts: columns of lists, of which a row has an entry for each element; `entries` returns those of the first
            column for all rows, then those of the next. Without, a row is one entry.

    Returns:
        Offsets of shape (num_users + 1,): the entries of user `u` are offsets[u] to offsets[u + 1]; and the columns,
        `user_index` the first of them.
    """
    lengths = np.zeros(num_users, dtype=np.int64)
    for batch in batches(path, ["user_index", *counts]):
        lengths += np.bincount(_users_of_entries(batch, counts), minlength=num_users)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    columns = {"user_index": np.int32, **columns}
    arrays = {name: disk_array((int(offsets[-1]),), dtype) for name, dtype in columns.items()}
    filled = offsets[:-1].copy()
    for batch in batches(path, ["user_index", *reads]):
        users = _users_of_entries(batch, counts)
        order = np.argsort(users, kind="stable")
        users = users[order]
        found, starts, num_found = np.unique(users, return_index=True, return_counts=True)
        places = filled[users] + np.arange(len(users)) - np.repeat(starts, num_found)
        filled[found] += num_found
        arrays["user_index"][places] = users
        for name, values in entries(batch).items():
            arrays[name][places] = values[order]
    return offsets, arrays


def _users_of_entries(rows: pa.RecordBatch, counts: Sequence[str]) -> np.ndarray:
    users = rows["user_index"].to_numpy()
    if not counts:
        return users
    return np.concatenate([np.repeat(users, pc.list_value_length(rows[name]).to_numpy()) for name in counts])
