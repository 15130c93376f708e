"""What users did, as arrays on the disk: the tables interactions and histories of a day, by user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.runtime.lake import Version
from expectations.shop.shop import Shop
from expectations.tables import FIRST_VALUE_INDEX, PADDING_INDEX, TableContractError
from models.data.mmap_arrays import grouped_by_user, spans_of_users


@dataclass(frozen=True)
class Interactions:
    """Users and the items that they met, one entry per pair, by user and then by item, as of the dataset's day.

    Attributes:
        offsets: the pairs of user `u` are entries offsets[u] to offsets[u + 1]. Shape (num_users + 1,).
        demand: how often the user did with the item what the shop wants (its target events).
        age_days: days from the last event of the pair to the end of `as_of`.
    """

    offsets: np.ndarray
    user_index: np.ndarray
    item_index: np.ndarray
    weight: np.ndarray
    demand: np.ndarray
    age_days: np.ndarray

    def seen_by(self, user_indices: np.ndarray, num_items: int) -> sparse.csr_matrix:
        """1 where the user met the item. float32, shape (len(user_indices), num_items)."""
        places, lengths = ranges(self.offsets[user_indices], self.offsets[user_indices + 1])
        ones, indptr = np.ones(len(places), dtype=np.float32), np.concatenate([[0], np.cumsum(lengths)])
        return sparse.csr_matrix((ones, self.item_index[places], indptr), shape=(len(lengths), num_items))


@dataclass(frozen=True)
class Events:
    """The events of all histories and the purchases before them, by user and then by time.

    What learns sequences reads a user's history, which ends somewhere; what counts reads all that is known.

    Attributes:
        offsets: the events of user `u` are entries offsets[u] to offsets[u + 1]. Shape (num_users + 1,).
        history_starts: where the history of each user begins among them; before it are purchases alone. Shape
            (num_users,).
        user_index, item_index, time: one entry per event; time in seconds since 1970 UTC.
        is_target: the event is one that a good recommendation leads to.
        weight: what the shop says that such an event tells of a taste.
        event_type: index in the vocabulary.
        gap_bucket: log2 of the minutes since the user's event before, plus 1; 0 for the first of a history, and for
            what is before it.
    """

    offsets: np.ndarray
    history_starts: np.ndarray
    user_index: np.ndarray
    item_index: np.ndarray
    time: np.ndarray
    is_target: np.ndarray
    weight: np.ndarray
    event_type: np.ndarray
    gap_bucket: np.ndarray

    def in_history(self, part: slice) -> np.ndarray:
        """Whether each event of a part is of its user's history. Shape (length of the part,)."""
        return np.arange(part.start, part.stop) >= self.history_starts[self.user_index[part]]


def ranges(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lists all places from each start up to its end, one range after another, and how many places each range has.

    Args:
        starts, ends: of the ranges, int64. Shape (num_ranges,).

    Returns:
        Places of shape (total length,) and lengths of shape (num_ranges,), both int64.
    """
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum()), lengths


def takes_back() -> pc.Expression:
    """Whether a row of `events` takes a purchase back; the quantity of every other event says nothing."""
    return (pc.field("event_type") == "purchase") & (pc.field("quantity") <= 0)


def read_interactions(version: Version, num_users: int, end: int, shop: Shop) -> Interactions:
    """Reads the pairs of user and item, in the order of users, then of items.

    Args:
        end: the moment at which the day is over, in seconds since 1970 UTC.
    """
    demand = "num_purchases" if "purchase" in shop.target_events else "num_events"

    def entries(rows: pa.RecordBatch) -> Mapping[str, np.ndarray]:
        last_time = rows["last_time"].cast(pa.timestamp("s", "UTC"), safe=False).cast(pa.int64()).to_numpy()
        return {
            "item_index": rows["item_index"].to_numpy(),
            "weight": rows["weight"].to_numpy(),
            "demand": rows[demand].to_numpy(),
            "age_days": (end - last_time) / SECONDS_PER_DAY,
        }

    columns = {"item_index": np.int32, "weight": np.float32, "demand": np.float32, "age_days": np.float32}
    reads = ["item_index", "weight", "last_time", demand]
    offsets, arrays = grouped_by_user(version.path, num_users, columns, entries, reads)
    interactions = Interactions(offsets, **arrays)
    _sort_by_item(interactions)
    return interactions


def _sort_by_item(interactions: Interactions) -> None:
    """Puts each user's pairs in order, in place: a user's rows may come from several files."""
    arrays = [getattr(interactions, field.name) for field in fields(Interactions) if field.name != "offsets"]
    for first, last in spans_of_users(interactions.offsets):
        part = slice(int(interactions.offsets[first]), int(interactions.offsets[last]))
        order = np.lexsort((interactions.item_index[part], interactions.user_index[part]))
        for values in arrays:
            values[part] = values[part][order]


def read_events(version: Version, num_users: int, end: int, event_types: Mapping[str, int], shop: Shop) -> Events:
    """Reads histories and the purchases before them, user by user in the order of time.

    Args:
        end: the moment at which the day is over, in seconds since 1970 UTC.
        event_types: event type -> index.

    Raises:
        TableContractError: an event happened after `end`.
    """
    older = ("older_purchase_indices", "older_purchase_times")
    latest = ("item_indices", "event_times", "event_type_indices", "gap_buckets")
    weight_of = np.zeros(max(event_types.values(), default=0) + 1, dtype=np.float32)
    for event_type, weight in shop.event_weights.items():
        weight_of[event_types.get(event_type, PADDING_INDEX)] = weight
    weight_of[:FIRST_VALUE_INDEX] = 0
    targets = [index for event_type, index in event_types.items() if event_type in shop.target_events]
    num_older = np.zeros(num_users, dtype=np.int64)

    def entries(rows: pa.RecordBatch) -> Mapping[str, np.ndarray]:
        num_older[rows["user_index"].to_numpy()] = pc.list_value_length(rows[older[0]]).to_numpy()
        older_items, older_times = (pc.list_flatten(rows[name]).to_numpy() for name in older)
        items, times, types, gaps = (pc.list_flatten(rows[name]).to_numpy() for name in latest)
        items, times = np.concatenate([older_items, items]), np.concatenate([older_times, times])
        types = np.concatenate([np.full(len(older_items), event_types.get("purchase", PADDING_INDEX)), types])
        gaps = np.pad(gaps, (len(older_items), 0))
        last = int(times.max(initial=0))
        if last >= end:
            raise TableContractError(
                f"histories hold an event after their day ended (latest {last}, end {end}): {version.path}; "
                f"a model must not know the future. Was jobs.features.histories run for this ds?"
            )
        return {
            "item_index": items,
            "time": times,
            "is_target": np.isin(types, targets),
            "weight": weight_of[types],
            "event_type": types,
            "gap_bucket": gaps,
        }

    columns = {
        "item_index": np.int32,
        "time": np.int64,
        "is_target": np.bool_,
        "weight": np.float32,
        "event_type": np.int32,
        "gap_bucket": np.int32,
    }
    counts = (older[0], latest[0])
    offsets, arrays = grouped_by_user(version.path, num_users, columns, entries, [*older, *latest], counts)
    return Events(offsets, offsets[:-1] + num_older, **arrays)
