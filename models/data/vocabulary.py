"""The shop's own ids and the indices that models know them by."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.lake import Lake
from expectations.tables import VOCABULARIES

NOT_KNOWN = -1
"""In place of an index, where the vocabulary of another day does not hold the value."""


def read_vocabulary(lake: Lake, as_of: str, field: str) -> pa.Table:
    """Columns `value` and `index` of one field."""
    return lake.read(VOCABULARIES, as_of, columns=["value", "index"], filter=pc.field("field") == field)


def indices_of(values: pa.ChunkedArray, vocabulary: pa.Table) -> pa.ChunkedArray:
    """The values' indices; null for a value that the vocabulary does not hold.

    Args:
        vocabulary: columns `value` and `index`, as `read_vocabulary` returns them.
    """
    places = pc.index_in(values, value_set=vocabulary["value"].combine_chunks())
    return vocabulary["index"].combine_chunks().take(places.combine_chunks())


def indices_on(lake: Lake, as_of: str, other_day: str, field: str) -> np.ndarray:
    """For each index of a field as of `as_of` that of the same value on another day, or NOT_KNOWN.

    Returns:
        int64, shape (largest index of `as_of` + 1,).
    """
    before, after = (read_vocabulary(lake, day, field) for day in (as_of, other_day))
    found = np.full(int(pc.max(before["index"]).as_py() or 0) + 1, NOT_KNOWN, dtype=np.int64)
    found[before["index"].to_numpy()] = indices_of(before["value"], after).fill_null(NOT_KNOWN).to_numpy()
    return found
