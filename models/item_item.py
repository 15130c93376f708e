"""Items that go together: a linear model whose weights say how much one item in a history speaks for another.

Up to `max_dense_items` it is EASE: ridge regression of every item on all others, in closed form. A larger catalogue
gets shrunk cosine similarities, computed without a dense matrix. Pairs that met lately weigh more in the fit.

The score of an item is the plain sum of `weights[i, item]` over the items i that the user met, each once. A matrix
row also holds the item itself with `self_weight`: shoppers buy again, and lists that leave out seen items never see it.
A user without interactions gets no items at all; the tables fill such lists from recent demand.

Sources: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, eq. 8.
What differs: the Gram matrix is weighted by age; the diagonal is `self_weight` instead of 0, added after the fit;
only the `num_neighbours` largest positive weights of an item are kept.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from expectations.tables import NightError
from models.dataset import Dataset
from models.disk_arrays import spans_of_users
from models.model import Neighbours, TrainingHistory, load_saved_config, save_config


@dataclass(frozen=True)
class ItemItemConfig:
    """Attributes: `shrinkage` is EASE's ridge penalty, and what is added to the denominator of a cosine."""

    num_neighbours: int
    half_life_days: float
    shrinkage: float
    self_weight: float
    max_dense_items: int

    def __post_init__(self) -> None:
        for name in ("num_neighbours", "half_life_days", "shrinkage"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` must be more than 0. Received: {getattr(self, name)}")
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
        weights = neighbour_weights(gram_matrix(self._decayed_parts(dataset)), self.config)
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


def decayed_matrix(
    users: np.ndarray, items: np.ndarray, age_days: np.ndarray, half_life_days: float, shape: tuple[int, int]
) -> sparse.csr_matrix:
    """The root of 0.5^(age / half life) where a user met an item, so that a product of two halves as well."""
    values = np.sqrt(0.5 ** (age_days / half_life_days)).astype(np.float32)
    return sparse.csr_matrix((values, (users, items)), shape=shape)


def gram_matrix(parts: Iterable[sparse.csr_matrix]) -> sparse.csr_matrix:
    """The sum of A^T A over the parts of a matrix of users and items. Shape (num_items, num_items)."""
    return functools.reduce(operator.add, ((part.T @ part).tocsr() for part in parts))


def neighbour_weights(gram: sparse.csr_matrix, config: ItemItemConfig) -> sparse.csr_matrix:
    """How much each item (row) speaks for each other one (column), the largest only. Zero diagonal."""
    if gram.shape[1] <= config.max_dense_items:
        return _largest_per_row(ease_weights(gram, config.shrinkage), config.num_neighbours)
    return _sparse_cosine(gram, config)


def ease_weights(gram: sparse.csr_matrix, shrinkage: float) -> np.ndarray:
    """Closed form of EASE: B = I - P / diag(P) with P = (G + shrinkage I)^-1. Shape (num_items, num_items)."""
    regular = gram.toarray().astype(np.float32)  # single precision: `shrinkage` keeps it well conditioned
    regular[np.diag_indices_from(regular)] += shrinkage
    factor, failed = lapack.spotrf(regular, lower=True, overwrite_a=True)
    inverse, failed_too = lapack.spotri(factor, lower=True, overwrite_c=True)
    if failed or failed_too:
        raise NightError(f"item_item: the Gram matrix is not positive definite. Raise `shrinkage` ({shrinkage}).")
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = -inverse / np.diag(inverse)  # divides column j by P[j, j]
    np.fill_diagonal(weights, 0.0)
    return weights


def _largest_per_row(weights: np.ndarray, count: int) -> sparse.csr_matrix:
    """Keeps the `count` largest positive weights of each row, and all that equal the last of them."""
    if count < weights.shape[1]:
        smallest_kept = np.partition(weights, -count, axis=1)[:, -count, None]
        weights = np.where(weights >= smallest_kept, weights, 0)
    return sparse.csr_matrix(np.maximum(weights, 0))


def _sparse_cosine(gram: sparse.csr_matrix, config: ItemItemConfig) -> sparse.csr_matrix:
    """Cosine with a shrunk denominator, the `num_neighbours` largest of each row."""
    norms = np.sqrt(gram.diagonal())
    rows = np.repeat(np.arange(gram.shape[0]), np.diff(gram.indptr))
    weight = np.where(rows == gram.indices, 0, gram.data / (norms[rows] * norms[gram.indices] + config.shrinkage))
    order = np.lexsort((gram.indices, -weight, rows))  # by row, then weight, then index
    rank_in_row = np.arange(len(order)) - gram.indptr[rows[order]]
    kept = order[(rank_in_row < config.num_neighbours) & (weight[order] > 0)]
    values = weight[kept].astype(np.float32)
    return sparse.csr_matrix((values, (rows[kept], gram.indices[kept])), shape=gram.shape)
