"""A model's vectors and neighbours as rows of their tables."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from expectations.tables import FIRST_VALUE_INDEX, ITEM_NEIGHBOURS, ITEM_VECTORS, USER_VECTORS, Table
from models.model import Neighbours, Vectors


def retrieval_rows(found: Vectors | Neighbours, ds: str, model: str) -> dict[Table, pa.Table]:
    """The tables that a retrieval model fills, and their rows."""
    if isinstance(found, Neighbours):
        return {ITEM_NEIGHBOURS: neighbour_rows(found, ds, model)}
    return {
        USER_VECTORS: vector_rows(found.user, "user_index", ds, model),
        ITEM_VECTORS: vector_rows(found.item, "item_index", ds, model),
    }


def vector_rows(vectors: np.ndarray, key: str, ds: str, model: str) -> pa.Table:
    """One row for every index of the vocabulary; padding and unknown are left out. Shape (num_indices, dim)."""
    known = np.ascontiguousarray(vectors[FIRST_VALUE_INDEX:], dtype=np.float32)
    offsets = np.arange(len(known) + 1, dtype=np.int32) * known.shape[1]
    indices = np.arange(FIRST_VALUE_INDEX, len(vectors), dtype=np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(known.ravel()))
    return pa.table({**_constants(ds, model, len(known)), key: indices, "vector": lists})


def neighbour_rows(neighbours: Neighbours, ds: str, model: str) -> pa.Table:
    """One row for every weight, by item and neighbour."""
    weights = neighbours.weights.tocoo()
    return pa.table(
        {
            **_constants(ds, model, weights.nnz),
            "item_index": weights.row.astype(np.int32),
            "neighbour_index": weights.col.astype(np.int32),
            "weight": weights.data.astype(np.float32),
        }
    )


def _constants(ds: str, model: str, count: int) -> dict[str, pa.Array]:
    return {"ds": pa.repeat(pa.scalar(ds), count), "model": pa.repeat(pa.scalar(model), count)}
