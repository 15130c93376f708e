"""Scores one block of users over all items and keeps their best: what `jobs.build_candidates` runs in executors.

Tables of items are read from the lake once per worker process, by path, and kept: a version never changes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from expectations.runtime.lake import parquet_dataset
from jobs.lists.exact_top_k import exact_top_k

LISTS_DDL = "user_index int, item_index int, score float, is_seen boolean"
_LISTS_SCHEMA = pa.schema(
    [("user_index", pa.int32()), ("item_index", pa.int32()), ("score", pa.float32()), ("is_seen", pa.bool_())]
)


def lists_from_vectors(users: pa.Table, met: pa.Table, item_vectors_path: str, num_candidates: int) -> pa.Table:
    """Returns lists of the block's users by the product of their vectors with all item vectors.

    Args:
        users: columns user_index, vector.
        met: columns user_index, item_index; pairs of users without a vector are left aside.
    """
    if users.num_rows == 0:
        return _LISTS_SCHEMA.empty_table()
    users = users.sort_by("user_index")
    user_indices = users["user_index"].to_numpy()
    items, is_item = item_vectors(item_vectors_path)
    scores = matrix_of(users["vector"]) @ items.T  # (num_users, num_items)
    scores[:, ~is_item] = -np.inf
    seen = met_matrix(met, user_indices, len(items))
    return _as_table(user_indices, scores, seen, num_candidates)


def lists_from_neighbours(met: pa.Table, neighbours_path: str, num_candidates: int) -> pa.Table:
    """Returns lists of the block's users by the summed weights from the items they met. Score 0 is no candidate.

    Args:
        met: columns user_index, item_index.
    """
    user_indices = np.unique(met["user_index"].to_numpy())
    weights = neighbour_weights(neighbours_path)
    seen = met_matrix(met, user_indices, weights.shape[0])
    scores = (seen @ weights).toarray()  # (num_users, num_items)
    scores[scores <= 0] = -np.inf
    return _as_table(user_indices, scores, seen, num_candidates)


@lru_cache(maxsize=2)
def item_vectors(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads the vectors of items, by item_index, and whether an index has one; each version once per worker process.

    Returns:
        The vectors, 0 where an item has none. Shape (num_items, dim), float32.
        Whether an item has one. Shape (num_items,), bool.
    """
    table = _read(path, ["item_index", "vector"])
    indices = table["item_index"].to_numpy()
    vectors = matrix_of(table["vector"])
    items = np.zeros((indices.max() + 1, vectors.shape[1]), np.float32)
    items[indices] = vectors
    is_item = np.zeros(len(items), bool)
    is_item[indices] = True
    return items, is_item


@lru_cache(maxsize=2)
def neighbour_weights(path: str) -> csr_matrix:
    """Reads the weight of each item and neighbour, by their indices; each version once per worker process.

    Returns:
        Shape (num_items, num_items), float32, column indices sorted.
    """
    table = _read(path, ["item_index", "neighbour_index", "weight"])
    item, neighbour = table["item_index"].to_numpy(), table["neighbour_index"].to_numpy()
    size = int(max(item.max(initial=0), neighbour.max(initial=0))) + 1
    weights = csr_matrix((table["weight"].to_numpy().astype(np.float32), (item, neighbour)), shape=(size, size))
    weights.sort_indices()
    return weights


def matrix_of(vectors: pa.ChunkedArray) -> np.ndarray:
    """Returns a column of vectors, all as long as the first, as a matrix. Shape (num_vectors, dim), float32."""
    flat = vectors.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(vectors), -1).astype(np.float32)


def met_matrix(met: pa.Table, user_indices: np.ndarray, num_items: int) -> csr_matrix:
    """Returns 1 where a user met an item below `num_items`, else 0.

    Args:
        met: columns user_index, item_index; each pair once.
        user_indices: the users of the rows, ascending. Shape (num_users,), int.

    Returns:
        Shape (num_users, num_items), float32, column indices sorted.
    """
    user, item = met["user_index"].to_numpy(), met["item_index"].to_numpy()
    is_inside = np.isin(user, user_indices) & (item < num_items)
    rows = np.searchsorted(user_indices, user[is_inside])
    ones = np.ones(len(rows), np.float32)
    matrix = csr_matrix((ones, (rows, item[is_inside])), shape=(len(user_indices), num_items))
    matrix.sort_indices()
    return matrix


def _as_table(user_indices: np.ndarray, scores: np.ndarray, seen: csr_matrix, num_candidates: int) -> pa.Table:
    lists = exact_top_k(scores, seen, num_candidates)
    columns = [user_indices[lists.rows].astype(np.int32), lists.item_indices, lists.scores, lists.is_seen]
    return pa.table(columns, schema=_LISTS_SCHEMA)


def _read(path: str, columns: list[str]) -> pa.Table:
    return parquet_dataset(path).to_table(columns=columns)
