"""Items that go together: a linear model whose weights say how much one item in a history speaks for another.

The weights are those of `models.item_similarity`: EASE's, or shrunk cosines in a large catalogue.

The score of an item is the plain sum of `weights[i, item]` over the items i that the user met, each once. A matrix
row also holds the item itself with `self_weight`: shoppers buy again, and lists that leave out seen items never see it.
A user without interactions gets no items at all; the tables fill such lists from recent demand.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
What differs, beside what `models.item_similarity` says: the diagonal is `self_weight`, added after the fit, not 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from scipy import sparse

from models.dataset import Dataset
from models.disk_arrays import spans_of_users
from models.item_similarity import SimilarityConfig, decayed_matrix, neighbour_weights
from models.model import Neighbours, TrainingHistory, load_saved_config, save_config


@dataclass(frozen=True)
class ItemItemConfig(SimilarityConfig):
    """Attributes: `self_weight` is how much an item speaks for itself."""

    self_weight: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.self_weight < 0:
            raise ValueError(f"`self_weight` must not be negative. Received: {self.self_weight}")


class ItemItem:
    """See the module's docstring."""

    name = "item_item"
    kind = "baseline"
    role = "retrieval"

    def __init__(self, config: ItemItemConfig) -> None:
        self.config = config
        self.weights = sparse.csr_matrix((0, 0), dtype=np.float32)

    def fit(self, dataset: Dataset) -> TrainingHistory:
        weights = neighbour_weights(self._decayed_parts(dataset), dataset.num_items, self.config)
        self_weights = self.config.self_weight * sparse.identity(dataset.num_items, dtype=np.float32)
        self.weights = (weights + self_weights).tocsr()
        self.weights.eliminate_zeros()
        self.weights.sort_indices()
        num_pairs = len(dataset.interactions.item_index)
        return TrainingHistory(facts={"pairs": float(num_pairs), "neighbours": float(self.weights.nnz)})

    def _decayed_parts(self, dataset: Dataset) -> Iterator[sparse.csr_matrix]:
        pairs = dataset.interactions
        for first, last in spans_of_users(pairs.offsets):
            part = slice(int(pairs.offsets[first]), int(pairs.offsets[last]))
            users, shape = pairs.user_index[part] - first, (last - first, dataset.num_items)
            yield decayed_matrix(users, pairs.item_index[part], pairs.age_days[part], self.config.half_life_days, shape)

    def retrieval(self, dataset: Dataset) -> Neighbours:
        return Neighbours(self.weights)

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        sums = (dataset.seen_by(user_indices) @ self.weights).toarray()
        return np.where(sums > 0, sums, -np.inf)

    def save(self, path: Path) -> None:
        save_config(path, self.config)
        w = self.weights
        np.savez(path / "weights.npz", data=w.data, indices=w.indices, indptr=w.indptr)

    @classmethod
    def load(cls, path: Path) -> Self:
        model = cls(load_saved_config(ItemItemConfig, path))
        saved = np.load(path / "weights.npz")
        size = len(saved["indptr"]) - 1
        model.weights = sparse.csr_matrix((saved["data"], saved["indices"], saved["indptr"]), shape=(size, size))
        return model
