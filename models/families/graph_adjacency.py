"""The adjacency matrix of the graph that a graph model works on."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from models.data.dataset import Dataset


def node_matrix(dataset: Dataset, edge_exponent: float, item_item_weight: float) -> sparse.csr_matrix:
    """Users and items as the nodes of one undirected graph, whatever their departments.

    Node `u` is a user, node `num_users + i` an item. Weights are divided by the square roots of both ends' sums, so
    that no step along the edges makes vectors longer.

    Args:
        dataset: the edges.
        edge_exponent: power of the weight of an edge between a user and an item; 0: all count alike.
        item_item_weight: factor of the edges between items; 0: none.

    Returns:
        A symmetric matrix of shape (num_users + num_items, num_users + num_items), float32, with sorted indices.

    Source: He et al., "LightGCN", SIGIR 2020, eq. 7 (symmetric normalisation).
    """
    edges, num_nodes = dataset.edges, dataset.num_users + dataset.num_items
    is_user = edges.kind == "user_item"
    weights = np.where(is_user, edges.weight.astype(np.float64) ** edge_exponent, edges.weight * item_item_weight)
    sources = np.where(is_user, 0, dataset.num_users) + edges.source
    one_way = sparse.csr_matrix((weights, (sources, dataset.num_users + edges.target)), shape=(num_nodes, num_nodes))
    # An item's strongest edges need not be among those of the other end.
    both_ways = one_way.maximum(one_way.T).tocsr()
    both_ways.eliminate_zeros()
    scale = sparse.diags(1 / np.sqrt(np.maximum(both_ways.sum(axis=1).A1, 1e-12)))
    scaled: sparse.csr_matrix = (scale @ both_ways @ scale).tocsr().astype(np.float32)
    scaled.sort_indices()
    return scaled
