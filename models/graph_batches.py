"""The graph that a graph model works on, and its training batches: users with all that they wanted."""

from __future__ import annotations

import keras
import numpy as np
from scipy import sparse

from expectations.tables import FIRST_VALUE_INDEX
from models.dataset import Dataset
from models.negative_sampling import shared_candidates, target_shares

SMALLEST_BATCH = 16
"""Users; smaller ones only teach noise."""


def node_matrix(dataset: Dataset, edge_exponent: float, item_item_weight: float) -> sparse.csr_matrix:
    """Users and items as the nodes of one undirected graph, whatever their departments.

    Node `u` is a user, node `num_users + i` an item. Weights are divided by the square roots of both ends' sums, so
    that no step along the edges makes vectors longer. Shape (num_users + num_items,) twice.

    Args:
        edge_exponent: power of the weight of an edge between a user and an item; 0: all count alike.
        item_item_weight: factor of the edges between items; 0: none.
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


class UserBatches(keras.utils.PyDataset):
    """Users, the candidates that they share, for each user the distribution of what was wanted, and the user's weight.

    Attributes:
        num_examples: users who wanted something.
    """

    def __init__(
        self, dataset: Dataset, batch_size: int, min_steps: int, num_candidates: int, breadth_exponent: float
    ) -> None:
        """Args:
        batch_size: users at most; fewer where an epoch would else have less than `min_steps` steps.
        breadth_exponent: the power of how many items a user wanted, by which the user counts.
        """
        super().__init__()
        pairs = dataset.interactions
        is_wanted = pairs.demand > 0
        users, self.items = pairs.user_index[is_wanted], pairs.item_index[is_wanted]
        self.users, starts = np.unique(users, return_index=True)
        self.offsets = np.append(starts, len(users))
        breadth = np.diff(self.offsets).astype(np.float32) ** breadth_exponent
        self.weights = breadth / breadth.mean() if len(breadth) else breadth
        self.rng = np.random.default_rng(dataset.seed)
        self.num_examples = len(self.users)
        self.batch_size = max(
            1, min(batch_size, max(SMALLEST_BATCH, self.num_examples // min_steps), self.num_examples)
        )
        self.known_items = np.arange(FIRST_VALUE_INDEX, dataset.num_items)
        self.num_candidates = min(num_candidates, len(self.known_items))
        counts = np.bincount(self.items, minlength=dataset.num_items)
        self.frequency = counts / max(1, counts.sum())
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-self.num_examples // self.batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        chosen = self.order[index]
        wanted = [self.items[self.offsets[n] : self.offsets[n + 1]] for n in chosen]
        candidates = shared_candidates(
            np.concatenate(wanted), self.frequency, self.known_items, self.num_candidates, self.rng
        )
        inputs = {
            "users": self.users[chosen],
            "candidates": candidates.items.astype(np.int32),
            "log_inclusion": candidates.log_inclusion,
        }
        return inputs, target_shares(wanted, candidates.items, len(self.frequency)), self.weights[chosen]

    def on_epoch_end(self) -> None:
        """Shuffles. The last batch is filled from the first: one shape."""
        order = self.rng.permutation(self.num_examples)
        self.order = np.resize(order, (len(self), self.batch_size))
