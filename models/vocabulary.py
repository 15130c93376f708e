"""The shop's own ids and the indices that models know them by."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from expectations.lake import Lake
from expectations.tables import VOCABULARIES


def read_vocabulary(lake: Lake, as_of: str, field: str) -> pa.Table:
    """Columns `value` and `index` of one field."""
    return lake.read(VOCABULARIES, as_of, columns=["value", "index"], filter=pc.field("field") == field)


def indices_of(values: pa.ChunkedArray, vocabulary: pa.Table) -> pa.ChunkedArray:
    """The values' indices; null for a value that the vocabulary does not hold."""
    places = pc.index_in(values, value_set=vocabulary["value"].combine_chunks())
    return vocabulary["index"].combine_chunks().take(places.combine_chunks())
