"""The users that a session model knows: what each did last and what they bought, in one SQLite file.

A request asks for one user by id, so the file is read where it lies and memory does not grow with users. Ids are data:
they are bound to queries, never written into them. Arrays are kept as their bytes, 32-bit integers in little-endian
order.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.runtime.lake import Lake, parquet_dataset
from expectations.tables import VOCABULARIES
from models.data.dataset import Dataset
from models.data.mmap_arrays import ROWS_AT_ONCE
from models.serving.repurchase_days import ReturnDays

_SCHEMA = """
CREATE TABLE about (vocabulary_hash TEXT NOT NULL);
CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    last_seconds INTEGER NOT NULL,
    events BLOB NOT NULL,
    purchases BLOB NOT NULL
) WITHOUT ROWID;
"""
_INTEGER = np.dtype("<i4")


@dataclass(frozen=True)
class KnownUser:
    """What the night knows of a user.

    Attributes:
        last_seconds: the time of the last event, in seconds since 1970 UTC.
        items, event_types, gaps: the latest events, in time order, as `histories` has them.
        return_day: item_index of what the user bought -> the day from which it may be recommended again.
    """

    last_seconds: int
    items: np.ndarray
    event_types: np.ndarray
    gaps: np.ndarray
    return_day: dict[int, int]


class SessionUsers:
    """Reads the file, from any thread."""

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        self._of_thread = threading.local()

    @property
    def vocabulary_hash(self) -> str:
        return str(self._connection().execute("SELECT vocabulary_hash FROM about").fetchone()[0])

    def find(self, user_id: str) -> KnownUser | None:
        """The user; None for one who did nothing lately, or who is new."""
        query = "SELECT last_seconds, events, purchases FROM users WHERE user_id = ?"
        row = self._connection().execute(query, (user_id,)).fetchone()
        if row is None:
            return None
        items, event_types, gaps = np.frombuffer(row[1], _INTEGER).reshape(3, -1)
        bought, days = np.frombuffer(row[2], _INTEGER).reshape(2, -1)
        return KnownUser(row[0], items, event_types, gaps, dict(zip(bought.tolist(), days.tolist(), strict=True)))

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._of_thread, "connection"):
            self._of_thread.connection = sqlite3.connect(self._uri, uri=True)
        connection: sqlite3.Connection = self._of_thread.connection
        return connection


def write_session_users(
    path: Path, lake: Lake, dataset: Dataset, return_days: ReturnDays, num_events: int, active_days: int
) -> int:
    """Writes everybody with an event within `active_days` (0: with any). Returns how many they are.

    Args:
        num_events: of each user, how many events are kept at most, the latest.
    """
    since = dataset.end - active_days * SECONDS_PER_DAY if active_days else 0
    with sqlite3.connect(path) as connection:
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO about VALUES (?)", (dataset.vocabulary_hash,))
        rows = _rows(lake, dataset, return_days, num_events, since)
        connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?)", rows)
        count = int(connection.execute("SELECT count(*) FROM users").fetchone()[0])
    connection.close()
    return count


def _rows(
    lake: Lake, dataset: Dataset, return_days: ReturnDays, num_events: int, since: int
) -> Iterator[tuple[str, int, bytes, bytes]]:
    events = dataset.events
    for user_id, user_index in _user_ids(lake, dataset.as_of):
        first, end = int(events.history_starts[user_index]), int(events.offsets[user_index + 1])
        if first == end or events.time[end - 1] < since:
            continue
        latest = slice(max(first, end - num_events), end)
        read = np.stack([events.item_index[latest], events.event_type[latest], events.gap_bucket[latest]])
        bought = np.stack(return_days.of_user(user_index))
        yield user_id, int(events.time[end - 1]), read.astype(_INTEGER).tobytes(), bought.astype(_INTEGER).tobytes()


def _user_ids(lake: Lake, as_of: str) -> Iterator[tuple[str, int]]:
    """Ids and indices, few at a time."""
    vocabularies = parquet_dataset(lake.require(VOCABULARIES, as_of).path)
    for batch in vocabularies.to_batches(
        columns=["value", "index"], filter=pc.field("field") == "user_id", batch_size=ROWS_AT_ONCE, batch_readahead=1
    ):
        yield from zip(batch["value"].to_pylist(), batch["index"].to_pylist(), strict=True)
