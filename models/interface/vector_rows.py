"""A model's vectors and neighbours as rows of their tables."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy import sparse

from expectations.tables import FIRST_VALUE_INDEX, HISTORY_VECTORS, ITEM_NEIGHBOURS, ITEM_VECTORS, USER_VECTORS, Table
from models.interface.model import Neighbours, Vectors

ROWS_AT_ONCE = 1_000_000
"""A list's place within its part must be a number of 32 bits."""


def retrieval_rows(found: Vectors | Neighbours, ds: str, model: str) -> dict[Table, pa.Table]:
    """The tables that a retrieval model fills, and their rows, with the columns of each table's contract."""
    if isinstance(found, Neighbours):
        return {ITEM_NEIGHBOURS: neighbour_rows(found, ds, model)}
    rows = {
        USER_VECTORS: vector_rows(found.user, "user_index", ds, model),
        ITEM_VECTORS: vector_rows(found.item, "item_index", ds, model),
    }
    if found.history is not None:
        rows[HISTORY_VECTORS] = vector_rows(found.history, "item_index", ds, model)
    return rows


def vector_rows(vectors: np.ndarray, key: str, ds: str, model: str) -> pa.Table:
    """One row for every index of the vocabulary; padding and unknown are left out.

    Args:
        vectors: float32, or what becomes it. Shape (num_indices, dim).
        key: the column of the indices, `user_index` or `item_index`.
    """
    starts = range(FIRST_VALUE_INDEX, max(FIRST_VALUE_INDEX + 1, len(vectors)), ROWS_AT_ONCE)
    return pa.concat_tables(
        _vectors_from(start, vectors[start : start + ROWS_AT_ONCE], key, ds, model) for start in starts
    )


def _vectors_from(start: int, vectors: np.ndarray, key: str, ds: str, model: str) -> pa.Table:
    """Their elements stay where they are: vectors of all users need not fit into memory."""
    values = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    indices = np.arange(start, start + len(vectors), dtype=np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), values)
    return pa.table({**_constants(ds, model, len(vectors)), key: indices, "vector": lists})


def neighbour_rows(neighbours: Neighbours, ds: str, model: str) -> pa.Table:
    """Rows of the table item_neighbours: one for every weight, with columns item_index, neighbour_index and weight."""
    weights = neighbours.weights.tocoo()
    return pa.table(
        {
            **_constants(ds, model, weights.nnz),
            "item_index": weights.row.astype(np.int32),
            "neighbour_index": weights.col.astype(np.int32),
            "weight": weights.data.astype(np.float32),
        }
    )


def neighbour_matrix(rows: pa.Table, num_items: int) -> sparse.csr_matrix:
    """The weights that `neighbour_rows` wrote, float32, by the item met and the item listed.

    Args:
        rows: columns item_index, neighbour_index and weight of the table item_neighbours.

    Returns:
        Shape (num_items, num_items); see `models.interface.model.Neighbours`.
    """
    places = rows["item_index"].to_numpy(), rows["neighbour_index"].to_numpy()
    return sparse.csr_matrix((rows["weight"].to_numpy(), places), shape=(num_items, num_items), dtype=np.float32)


def _constants(ds: str, model: str, count: int) -> dict[str, pa.Array]:
    return {"ds": pa.repeat(pa.scalar(ds), count), "model": pa.repeat(pa.scalar(model), count)}
