"""What a model may learn from: the feature tables of one `as_of` day as NumPy arrays.

Reads vocabularies, interactions, histories, item_features and user_features through the lake, and graph_edges and
item_images when a model asks for them. What users did is read in a stream and lies on the disk; see
`models.data.event_store`. Every array that speaks of users or items is addressed by its index: row 0 is padding, row 1
the unknown one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from scipy import sparse

from expectations.runtime.days import end_of
from expectations.runtime.lake import Lake, Version
from expectations.shop.shop import Shop
from expectations.tables import (
    FIRST_VALUE_INDEX,
    GRAPH_EDGES,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEM_IMAGES,
    UNKNOWN_INDEX,
    USER_FEATURES,
    VOCABULARIES,
    NightError,
    Table,
)
from models.data.event_store import Events, Interactions, read_events, read_interactions

DATASET_TABLES: tuple[Table, ...] = (
    VOCABULARIES,
    INTERACTIONS,
    HISTORIES,
    ITEM_FEATURES,
    USER_FEATURES,
    GRAPH_EDGES,
    ITEM_IMAGES,
)


@dataclass(frozen=True)
class Edges:
    """What the table graph_edges says, one entry per edge.

    Attributes:
        kind: one of GRAPH_EDGE_KINDS; the source of a `user_item` edge is a user, every other source an item.
    """

    kind: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Pictures:
    """The pictures that could be decoded.

    Attributes:
        row: where an item's picture stands in `pixels`; 0, which is a black one, where it has none. Shape (num_items,).
        pixels: rows from the top, RGB from 0 to 255. Shape (1 + num_pictures, size, size, 3).
    """

    row: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """All that a fit sees.

    Attributes:
        end: the moment `as_of` is over, in seconds since 1970 UTC.
        sizes: vocabulary field -> number of indices, padding and unknown included.
        item_features: column of the table item_features -> array whose rows are item indices; lists are padded with 0.
        user_features: likewise for users.
        read: reads a table of the same day, for what few models ask for.
    """

    as_of: str
    end: int
    horizon_days: int
    seed: int
    vocabulary_hash: str
    sizes: dict[str, int]
    interactions: Interactions
    events: Events
    item_features: dict[str, np.ndarray]
    user_features: dict[str, np.ndarray]
    read: Callable[[Table], pa.Table]

    @property
    def num_users(self) -> int:
        """Rows that an array of users has, padding and unknown included."""
        return self.sizes["user_id"]

    @property
    def num_items(self) -> int:
        """Rows that an array of items has, padding and unknown included."""
        return self.sizes["item_id"]

    def seen_by(self, user_indices: np.ndarray) -> sparse.csr_matrix:
        """1 where the user met the item. float32, shape (len(user_indices), num_items)."""
        return self.interactions.seen_by(user_indices, self.num_items)

    @cached_property
    def edges(self) -> Edges:
        """Who met what and which items go together, by kind, source and target."""
        rows = self.read(GRAPH_EDGES).sort_by(
            [(name, "ascending") for name in ("kind", "source_index", "target_index")]
        )
        return Edges(
            kind=rows["kind"].to_numpy(),
            source=rows["source_index"].to_numpy(),
            target=rows["target_index"].to_numpy(),
            weight=rows["weight"].to_numpy(),
        )

    @cached_property
    def pictures(self) -> Pictures:
        """The pictures of the items."""
        rows = self.read(ITEM_IMAGES)
        rows = rows.filter(pa.compute.is_valid(rows["pixels"])).sort_by("item_index")
        row = np.zeros(self.num_items, dtype=np.int32)
        row[rows["item_index"].to_numpy()] = np.arange(1, len(rows) + 1)
        joined = np.frombuffer(b"".join(rows["pixels"].to_pylist()), dtype=np.uint8)
        size = round((len(joined) / 3 / max(1, len(rows))) ** 0.5) or 1
        black = np.zeros((1, size, size, 3), dtype=np.uint8)
        return Pictures(row, np.concatenate([black, joined.reshape(len(rows), size, size, 3)]))


def dataset_versions(lake: Lake, as_of: str) -> list[Version]:
    """The current versions of all that a dataset is read from; what a fit's fingerprint is taken of."""
    return [lake.require(table, as_of) for table in DATASET_TABLES]


def load_dataset(lake: Lake, shop: Shop, as_of: str) -> Dataset:
    """Reads the feature tables of `as_of`.

    Raises:
        TableContractError: one of them was never built for that day, or speaks of what came after it.
        NightError: nobody met anything yet, so that there is nothing to learn from.
    """
    vocabularies = lake.read(VOCABULARIES, as_of)
    sizes = _vocabulary_sizes(vocabularies)
    end = int(end_of(as_of, shop.drops.day_timezone).timestamp())
    event_types, num_users = _event_types(vocabularies), sizes["user_id"]
    events = read_events(lake.require(HISTORIES, as_of), num_users, end, event_types, shop)
    interactions = read_interactions(lake.require(INTERACTIONS, as_of), num_users, end, shop)
    if not len(interactions.user_index):
        raise NightError(f"interactions ds={as_of} is empty, and a model needs at least one. Is the day right?")
    return Dataset(
        as_of=as_of,
        end=end,
        horizon_days=shop.horizon_days,
        seed=shop.seed,
        vocabulary_hash=vocabularies["vocabulary_hash"][0].as_py(),
        sizes=sizes,
        interactions=interactions,
        events=events,
        item_features=_features(lake.read(ITEM_FEATURES, as_of), "item_index", sizes["item_id"]),
        user_features=_features(lake.read(USER_FEATURES, as_of), "user_index", sizes["user_id"]),
        read=lambda table: lake.read(table, as_of),
    )


def _vocabulary_sizes(vocabularies: pa.Table) -> dict[str, int]:
    largest = vocabularies.group_by("field").aggregate([("index", "max")]).to_pydict()
    sizes = dict.fromkeys(("user_id", "item_id"), FIRST_VALUE_INDEX)
    return sizes | {field: index + 1 for field, index in zip(largest["field"], largest["index_max"], strict=True)}


def _event_types(vocabularies: pa.Table) -> dict[str, int]:
    """Event type -> index."""
    rows = vocabularies.filter(pa.compute.equal(vocabularies["field"], "event_type"))
    return dict(zip(rows["value"].to_pylist(), rows["index"].to_pylist(), strict=True))


def _features(rows: pa.Table, key: str, num_rows: int) -> dict[str, np.ndarray]:
    """The columns as arrays whose row is the index. Rows that the table lacks are unknown: index 1, empty lists."""
    indices = rows[key].to_numpy()
    features = {}
    for name in rows.column_names:
        if name in ("ds", key):
            continue
        column = rows[name]
        if pa.types.is_list(column.type):
            features[name] = _padded(column, indices, num_rows)
        else:
            values = np.full(num_rows, UNKNOWN_INDEX if name.endswith("_index") else 0, dtype=np.int32)
            values[indices] = column.cast(pa.int32()).to_numpy()
            features[name] = values
    return features


def _padded(column: pa.ChunkedArray, indices: np.ndarray, num_rows: int) -> np.ndarray:
    """A list column as a matrix, padded with 0 on the right. Shape (num_rows, longest list, at least 1)."""
    lengths = pa.compute.list_value_length(column).to_numpy()
    padded = np.zeros((num_rows, max(1, int(lengths.max(initial=0)))), dtype=np.int32)
    places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    padded[np.repeat(indices, lengths), places] = pa.compute.list_flatten(column).to_numpy()
    return padded
