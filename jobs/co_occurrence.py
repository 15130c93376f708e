"""How well an item goes with the user's last ones, by the edges of the graph: looked up in executors.

The edges lie in each worker once, as sorted numbers, so that a look-up needs no join of every candidate with every
edge of every last item.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from pyspark.sql import Column
from pyspark.sql import functions as F

from expectations.runtime.lake import parquet_dataset

EDGE_KIND = "window"


def co_occurrence(item_index: Column, last_items: Column, graph_edges_path: str) -> Column:
    """Sum of the edges from each of `last_items` to the item; a version of `graph_edges` lies at the path."""

    def summed(targets: pa.Array, sources: pa.Array) -> pa.Array:
        return summed_edges(targets, sources, graph_edges_path)

    # The stubs know the kinds of function by numbers alone; the hints of `summed` say which kind it is.
    return F.arrow_udf(summed, "float")(item_index, last_items)  # type: ignore[call-overload, no-any-return]


def summed_edges(targets: pa.Array, sources: pa.Array, graph_edges_path: str) -> pa.Array:
    """For each target the sum of the edges from its list of sources."""
    keys, weights = sorted_edges(graph_edges_path)
    lengths = pc.list_value_length(sources).to_numpy()
    rows = np.repeat(np.arange(len(lengths)), lengths)
    wanted = _edge_keys(sources.flatten().to_numpy(), targets.to_numpy()[rows])
    places = np.minimum(np.searchsorted(keys, wanted), max(0, len(keys) - 1))
    found = weights[places] * (keys[places] == wanted) if len(keys) else np.zeros(len(wanted))
    return pa.array(np.bincount(rows, found, minlength=len(lengths)).astype(np.float32))


@lru_cache(maxsize=2)
def sorted_edges(graph_edges_path: str) -> tuple[np.ndarray, np.ndarray]:
    """Edges of EDGE_KIND as numbers in order, and their weights; a version never changes."""
    columns = ["source_index", "target_index", "weight"]
    edges = parquet_dataset(graph_edges_path).to_table(columns=columns, filter=pads.field("kind") == EDGE_KIND)
    keys = _edge_keys(edges["source_index"].to_numpy(), edges["target_index"].to_numpy())
    order = np.argsort(keys)
    return keys[order], edges["weight"].to_numpy()[order]


def _edge_keys(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Both 32-bit indices in one number."""
    return (sources.astype(np.int64) << 32) | targets
