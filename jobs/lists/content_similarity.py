"""How alike items are by what they are: the cosine of their categories, brand and words, as sets.

The same features tell the backtest how varied lists are. Two items that share nothing have cosine 0, two of the same
categories, brand and title have 1; an item of which nothing is known is like no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.lake import parquet_dataset
from expectations.tables import FIRST_VALUE_INDEX

_COLUMNS = ("category_indices", "brand_index", "token_indices")


@dataclass(frozen=True)
class ItemContent:
    """The features of items, by item_index: those of item i are `features[starts[i]:starts[i + 1]]`, each once."""

    starts: np.ndarray
    features: np.ndarray
    num_features: int


@lru_cache(maxsize=2)
def item_content(path: str) -> ItemContent:
    """Reads the features of a version of `item_features`; each version once per worker process, since none changes."""
    rows = parquet_dataset(path).to_table(columns=["item_index", *_COLUMNS])
    owners, features, num_features = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for name in _COLUMNS:
        owner, value = _known_values(rows["item_index"].to_numpy(), rows[name])
        owners.append(owner)
        features.append(value + num_features)
        num_features += int(value.max(initial=0)) + 1
    item, feature = np.divmod(np.unique(np.concatenate(owners) * num_features + np.concatenate(features)), num_features)
    num_items = int(rows["item_index"].to_numpy().max(initial=0)) + 1
    return ItemContent(np.searchsorted(item, np.arange(num_items + 1)), feature.astype(np.int32), num_features)


class CandidateSimilarity:
    """Cosines between each user's candidates and one of them, for all users of a block at once.

    Exact, and sparse: memory is that of the candidates' features, and a bit per user and feature.
    """

    def __init__(self, items: np.ndarray, content: ItemContent) -> None:
        """Takes item indices, int; 0 where a user has no more. Shape (num_users, num_candidates)."""
        known = np.where(items < len(content.starts) - 1, items, 0)
        lengths = content.starts[known + 1] - content.starts[known]  # (num_users, num_candidates)
        self._shape = items.shape
        self._ends = np.cumsum(lengths.ravel())
        self._starts = self._ends - lengths.ravel()
        self._slot = np.repeat(np.arange(items.size), lengths.ravel())
        within = np.arange(len(self._slot)) - self._starts[self._slot]
        self._feature = content.features[content.starts[known].ravel()[self._slot] + within]
        self._user = self._slot // items.shape[1]
        self._lengths = np.maximum(lengths, 1)
        self._holds = np.zeros((len(items), content.num_features), bool)

    def to(self, places: np.ndarray) -> np.ndarray:
        """Cosine of every candidate with the one at the user's place.

        Args:
            places: the column of a candidate, int; -1 compares with nothing and gives 0. Shape (num_users,).

        Returns:
            Shape (num_users, num_candidates), float64, from 0 to 1.
        """
        users = np.flatnonzero(places >= 0)
        slots = users * self._shape[1] + places[users]
        lengths = self._ends[slots] - self._starts[slots]
        offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        entries = np.repeat(self._starts[slots], lengths) + offsets
        held = self._user[entries], self._feature[entries]
        self._holds[held] = True
        is_shared = self._holds[self._user, self._feature]
        self._holds[held] = False
        shared = np.bincount(self._slot[is_shared], minlength=self._lengths.size).reshape(self._shape)
        own = np.take_along_axis(self._lengths, np.maximum(places, 0)[:, None], axis=1)
        cosines: np.ndarray = shared / np.sqrt(self._lengths * own)
        return cosines


def _known_values(items: np.ndarray, column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the column's values that a vocabulary knows, each with its item."""
    if pa.types.is_list(column.type):
        items = np.repeat(items, pc.list_value_length(column).to_numpy())
        column = pc.list_flatten(column)
    values = column.to_numpy()
    is_known = values >= FIRST_VALUE_INDEX
    return items[is_known].astype(np.int64), values[is_known].astype(np.int64)
