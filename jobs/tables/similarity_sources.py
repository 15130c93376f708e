"""The sources that say which items belong together: models and tables, asked in executors a block at a time.

Tables are read from the lake once per worker process, by path, and kept: a version never changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import pyarrow.dataset as pads
from scipy import sparse

from expectations.runtime.lake import Lake, Version, parquet_dataset
from expectations.shop.reasons import Reason
from expectations.tables import GRAPH_EDGES, ITEM_FEATURES, ITEM_VECTORS
from jobs.lists.block_scoring import item_vectors, neighbour_weights
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.gate_decision import GateDecision
from jobs.tables.content_cosines import content_cosines

ITEM_EDGES = ("session", "window")
"""Kinds of graph edges that say what goes together."""
SHARE_OF_VECTORS = 1 / 3
"""With the weight of the rest, `graph` finds more of the same basket on Online Retail, and less of the next one."""


@dataclass(frozen=True)
class SimilaritySource:
    """A model or a table that says how strongly items belong together.

    Attributes:
        source: the name of the model or table.
        version: of what is read.
        reason: BOUGHT_TOGETHER of a source of what goes together, which is the best that its rows may come to say; or
            ALIKE. Sources of one reason share its weight.
        scores: item indices -> how strongly every item belongs to each, above 0 where it does.
            Shape (num_owners, at most num_indices), float32, not to be kept.
        share: its weight beside others of its reason.
    """

    source: str
    version: Version
    reason: Reason
    scores: Callable[[np.ndarray], np.ndarray]
    share: float = 1.0


def similarity_sources(
    lake: Lake, features: FeatureTables, gate: GateDecision, weights: Version | None
) -> tuple[SimilaritySource, ...]:
    """Returns the sources that say which items belong together, as of the day of `features`.

    Item-item weights say what goes together, or the edges of the graph where no model of the night has any. The words
    of the catalogue say what is alike. The vectors of `graph` and of `content` join in where these are fitted.

    Args:
        weights: the item-item weights of the gate's `similar_model`; None where it names none.
    """
    together, alike = Reason.BOUGHT_TOGETHER, Reason.ALIKE
    return (
        _weights_source(features, gate, weights),
        *_vectors_source(lake, gate, "graph", together),
        content_source(features),
        *_vectors_source(lake, gate, "content", alike),
    )


def content_source(features: FeatureTables) -> SimilaritySource:
    """Returns the source that compares items by the words of the catalogue."""
    version = features.version(ITEM_FEATURES)
    scores = partial(content_cosines, item_features_path=version.path)
    return SimilaritySource(ITEM_FEATURES.name, version, Reason.ALIKE, scores)


def _weights_source(features: FeatureTables, gate: GateDecision, weights: Version | None) -> SimilaritySource:
    """Returns the item-item weights of the similar items' model, or the edges of the graph where there is none."""
    if weights is not None:
        scores = partial(neighbour_scores, neighbours_path=weights.path)
        return SimilaritySource(gate.similar_model, weights, Reason.BOUGHT_TOGETHER, scores)
    version = features.version(GRAPH_EDGES)
    scores = partial(edge_scores, graph_edges_path=version.path)
    return SimilaritySource(GRAPH_EDGES.name, version, Reason.BOUGHT_TOGETHER, scores)


def _vectors_source(lake: Lake, gate: GateDecision, model: str, reason: Reason) -> list[SimilaritySource]:
    """Returns the item vectors of a model, if the gate found nothing wrong with it."""
    version = gate.in_force.version(lake, ITEM_VECTORS, model)
    if version is None or not gate.is_sound(model):
        return []
    scores = partial(vector_cosines, item_vectors_path=version.path)
    return [SimilaritySource(model, version, reason, scores, SHARE_OF_VECTORS)]


def neighbour_scores(owners: np.ndarray, neighbours_path: str) -> np.ndarray:
    """Scores items by a model's item-item weights; those below 0 count as 0.

    Args:
        owners: item indices, int. Shape (num_owners,).

    Returns:
        Shape (num_owners, num_items), float32.
    """
    return _rows(neighbour_weights(neighbours_path), owners)


def edge_scores(owners: np.ndarray, graph_edges_path: str) -> np.ndarray:
    """Scores items by how often they meet in sessions and weeks.

    Args:
        owners: item indices, int. Shape (num_owners,).

    Returns:
        Shape (num_owners, num_items), float32.
    """
    return _rows(edge_weights(graph_edges_path), owners)


def vector_cosines(owners: np.ndarray, item_vectors_path: str) -> np.ndarray:
    """Scores items by the cosine between a model's item vectors; those below 0 count as 0.

    Args:
        owners: item indices, int. Shape (num_owners,).

    Returns:
        Shape (num_owners, num_items), float32.
    """
    vectors = unit_vectors(item_vectors_path)
    return np.asarray(np.maximum(_padded(vectors, owners) @ vectors.T, 0), np.float32)


@lru_cache(maxsize=2)
def edge_weights(graph_edges_path: str) -> sparse.csr_matrix:
    """Reads the sum of the edges of ITEM_EDGES from an item to another; each version once per worker process.

    Returns:
        Shape (num_items, num_items), float32.
    """
    columns = ["source_index", "target_index", "weight"]
    edges = parquet_dataset(graph_edges_path).to_table(columns=columns, filter=pads.field("kind").isin(ITEM_EDGES))
    source, target, weight = (edges[name].to_numpy() for name in columns)
    size = int(max(source.max(initial=0), target.max(initial=0))) + 1
    return sparse.csr_matrix((weight, (source, target)), shape=(size, size))


@lru_cache(maxsize=2)
def unit_vectors(item_vectors_path: str) -> np.ndarray:
    """Reads a model's item vectors at length 1, or 0 where an item has none or it is no number.

    Returns:
        Shape (num_items, dim), float32.
    """
    vectors, is_item = item_vectors(item_vectors_path)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    is_sound = is_item[:, None] & np.isfinite(lengths) & (lengths > 0)
    return np.where(is_sound, vectors / np.where(is_sound, lengths, 1), 0).astype(np.float32)


def _rows(matrix: sparse.csr_matrix, owners: np.ndarray) -> np.ndarray:
    """Returns the rows of some items, dense, none below 0; zeros for items beyond the matrix."""
    is_inside = owners < matrix.shape[0]
    rows = np.zeros((len(owners), matrix.shape[1]), np.float32)
    rows[is_inside] = np.maximum(matrix[owners[is_inside]].toarray(), 0)
    return rows


def _padded(vectors: np.ndarray, owners: np.ndarray) -> np.ndarray:
    is_inside = owners < len(vectors)
    return np.where(is_inside[:, None], vectors[np.where(is_inside, owners, 0)], 0)
