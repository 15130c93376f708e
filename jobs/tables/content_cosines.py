"""How alike items are by what the catalogue says of them; computed in executors, from `item_features`.

An item is the set of its title's pieces, of its category and all that lie above it, and of its brand. What fewer items
have says more: each weighs the log of the catalogue's size over the number of items that have it, and two items are as
alike as the cosine between them. It needs no fit, so that a new item has neighbours from its first night on.

Source: Salton & Buckley, "Term-weighting approaches in automatic text retrieval", 1988 (binary counts, cosine).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from expectations.runtime.lake import parquet_dataset
from expectations.tables import FIRST_VALUE_INDEX

WORDS = ("token_indices", "category_indices", "brand_index")
"""Columns of `item_features` that tell what an item is."""


def content_cosines(owners: np.ndarray, item_features_path: str) -> np.ndarray:
    """Returns how alike each of some items is to every other.

    Args:
        owners: item indices, int. Shape (num_owners,).
        item_features_path: a version of `item_features`.

    Returns:
        Cosines from 0, where nothing is shared, to 1. Shape (num_owners, num_indices), float32.
    """
    words = content_matrix(item_features_path)
    return np.asarray((words[owners] @ words.T).toarray(), np.float32)


@lru_cache(maxsize=2)
def content_matrix(item_features_path: str) -> sparse.csr_matrix:
    """Reads the weights of the words of items, by item_index; each version once per worker process.

    Returns:
        Rows of length 1, or 0 where nothing is known of an item. Shape (num_indices, num_words), float32.
    """
    table = parquet_dataset(item_features_path).to_table(columns=["item_index", *WORDS])
    indices = table["item_index"].to_numpy()
    size = int(indices.max(initial=0)) + 1
    met = sparse.hstack([_incidence(indices, table[name].combine_chunks(), size) for name in WORDS], format="csr")
    met.data[:] = 1
    num_items = np.bincount(met.indices, minlength=met.shape[1])
    weights = np.log(max(1, len(indices)) / np.maximum(num_items, 1))
    words = met @ sparse.diags(weights.astype(np.float32))
    lengths = np.sqrt(words.multiply(words).sum(axis=1)).A1
    return sparse.csr_matrix(sparse.diags(1 / np.where(lengths > 0, lengths, 1)) @ words, dtype=np.float32)


def _incidence(indices: np.ndarray, values: pa.Array, size: int) -> sparse.csr_matrix:
    """1 or more where an item has a value of the vocabulary; lists or single values."""
    if pa.types.is_list(values.type):
        rows, columns = np.repeat(indices, pc.list_value_length(values).to_numpy()), values.flatten().to_numpy()
    else:
        rows, columns = indices, values.to_numpy()
    is_known = columns >= FIRST_VALUE_INDEX
    ones = np.ones(int(is_known.sum()), np.float32)
    shape = (size, int(columns.max(initial=0)) + 1)
    return sparse.csr_matrix((ones, (rows[is_known], columns[is_known])), shape=shape)
