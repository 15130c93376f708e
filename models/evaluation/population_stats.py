"""What a shop's users and items were like on a day, for telling lists and users apart: no part of any model.

Reads interactions, item_features, user_features and vocabularies of that day, in a stream where they speak of users.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from expectations.runtime.lake import Lake
from expectations.tables import (
    FIRST_VALUE_INDEX,
    INTERACTIONS,
    ITEM_FEATURES,
    UNKNOWN_INDEX,
    USER_FEATURES,
    VOCABULARIES,
    Table,
)
from models.interface.ranked_lists import list_batches

_CONTENT = ("category_indices", "brand_index", "token_indices")


@dataclass(frozen=True)
class PopulationStats:
    """Arrays by user and by item, addressed by their index.

    Attributes:
        num_met: items that a user had met. Shape (num_users,).
        met_by: users who had met an item. Shape (num_items,).
        content: what an item is: categories, brand, words; rows of length 1, or 0 where nothing is known.
        country, domain: their names by user and by item; empty where unknown.
    """

    num_met: np.ndarray
    met_by: np.ndarray
    content: sparse.csr_matrix
    country: np.ndarray
    domain: np.ndarray

    @property
    def num_shoppers(self) -> int:
        """Users who had met anything."""
        return int((self.num_met > 0).sum())


def population_stats(lake: Lake, as_of: str) -> PopulationStats:
    """Of all users and items that the vocabulary of `as_of` knows."""
    vocabulary = lake.read(VOCABULARIES, as_of, columns=["field", "value", "index"])
    names = {field: _names(vocabulary, field) for field in ("user_id", "item_id", "country", "domain")}
    num_users, num_items = len(names["user_id"]), len(names["item_id"])
    num_met, met_by = np.zeros(num_users, dtype=np.int64), np.zeros(num_items, dtype=np.int64)
    for users, items in _columns(lake, INTERACTIONS, as_of, ("user_index", "item_index")):
        num_met += np.bincount(users, minlength=num_users)
        met_by += np.bincount(items, minlength=num_items)
    return PopulationStats(
        num_met=num_met,
        met_by=met_by,
        content=_content(lake, as_of, num_items),
        country=_one_of(lake, USER_FEATURES, as_of, "user_index", "country_index", names["country"], num_users),
        domain=_one_of(lake, ITEM_FEATURES, as_of, "item_index", "domain_index", names["domain"], num_items),
    )


def _names(vocabulary: pa.Table, field: str) -> np.ndarray:
    """A field's values by their index; empty for padding and the unknown one."""
    rows = vocabulary.filter(pc.equal(vocabulary["field"], field))
    names = np.full(FIRST_VALUE_INDEX + rows.num_rows, "", dtype=object)
    names[rows["index"].to_numpy()] = rows["value"].to_pylist()
    return names


def _one_of(
    lake: Lake, table: Table, as_of: str, key: str, column: str, names: np.ndarray, num_rows: int
) -> np.ndarray:
    index = np.full(num_rows, UNKNOWN_INDEX, dtype=np.int32)
    for keys, values in _columns(lake, table, as_of, (key, column)):
        index[keys] = values
    return names[index]


def _content(lake: Lake, as_of: str, num_items: int) -> sparse.csr_matrix:
    rows = lake.read(ITEM_FEATURES, as_of, columns=["item_index", *_CONTENT])
    items = rows["item_index"].to_numpy()
    parts = []
    for name in _CONTENT:
        column = rows[name]
        owners = items
        if pa.types.is_list(column.type):
            owners = np.repeat(items, pc.list_value_length(column).to_numpy())
            column = pc.list_flatten(column)
        values = column.to_numpy()
        is_known = values >= FIRST_VALUE_INDEX
        shape = (num_items, int(values.max(initial=0)) + 1)
        ones = np.ones(int(is_known.sum()))
        parts.append(sparse.csr_matrix((ones, (owners[is_known], values[is_known])), shape=shape))
    content = sparse.hstack(parts, format="csr")
    content.data[:] = 1.0  # a word twice in a title is one word
    norms = np.sqrt(content.getnnz(axis=1))
    return sparse.diags(1 / np.maximum(norms, 1)) @ content


def _columns(lake: Lake, table: Table, as_of: str, columns: Sequence[str]) -> Iterator[list[np.ndarray]]:
    for batch in list_batches(lake.require(table, as_of), list(columns)).to_batches():
        yield [batch[name].to_numpy() for name in columns]
