"""How much one item in a history speaks for another: ridge regression, or cosines for catalogues too large for it.

EASE, the ridge regression of every item on all others, has a closed form through a dense matrix of items by items, and
the same one through users by users: it goes through items, else through users, where that takes `max_dense` rows at
most. A shop with more of both gets shrunk cosine similarities. Pairs that met lately weigh more in all of them. The
matrix of users and items comes in parts, some users each. Beside a dense matrix, memory holds one part, or all pairs of
`max_dense` users at most: it does not grow with the log.

Sources: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, eq. 8; Woodbury's identity.
What differs: the Gram matrix is weighted by age; only the largest positive weights of an item are kept.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from expectations.shop.bounds import AtLeastOne, Bounded, Positive
from expectations.tables import NightError
from models.data.mmap_arrays import disk_array

PRODUCTS_AT_ONCE = 16_000_000
"""Pairs of items whose products a block of cosines holds in memory."""


@dataclass(frozen=True)
class SimilarityConfig(Bounded):
    """How similar items are found; see the module's docstring.

    Attributes:
        num_neighbours: largest weights that an item keeps.
        half_life_days: days after which a pair of user and item counts half.
        shrinkage: EASE's ridge penalty, and what is added to the denominator of a cosine.
        max_dense: rows of the largest dense matrix that EASE may invert.
    """

    num_neighbours: AtLeastOne
    half_life_days: Positive
    shrinkage: Positive
    max_dense: int


def decayed_matrix(
    users: np.ndarray, items: np.ndarray, age_days: np.ndarray, half_life_days: float, shape: tuple[int, int]
) -> sparse.csr_matrix:
    """The root of 0.5^(age / half life) where a user met an item, so that a product of two halves as well.

    Args:
        users, items: integers, one entry a pair. Shape (num_pairs,).
        age_days: days since the pair last met. Same shape.
        shape: (num_users, num_items) of the matrix.

    Returns:
        float32, of shape `shape`.
    """
    values = np.sqrt(0.5 ** (age_days / half_life_days)).astype(np.float32)
    return sparse.csr_matrix((values, (users, items)), shape=shape)


def neighbour_weights(
    parts: Iterable[sparse.csr_matrix], num_items: int, config: SimilarityConfig
) -> sparse.csr_matrix:
    """How much each item (row) speaks for each other one (column), the largest only. Zero diagonal.

    Args:
        parts: some users' rows each, as `decayed_matrix` returns them. Shape (users of the part, num_items).

    Returns:
        float32, shape (num_items, num_items), at most `num_neighbours` positive entries a row.

    Raises:
        NightError: the ridge penalty is too small for the matrix to be inverted.
    """
    if num_items <= config.max_dense:
        return _largest_of_dense(ease_weights(gram_matrix(parts), config.shrinkage), config.num_neighbours)
    on_disk = [_on_disk(part) for part in parts]
    if sum(part.shape[0] for part in on_disk) <= config.max_dense:
        return ease_through_users(sparse.vstack(on_disk, format="csr"), config)
    return shrunk_cosines(on_disk, num_items, config)


def gram_matrix(parts: Iterable[sparse.csr_matrix]) -> sparse.csr_matrix:
    """The sum of A^T A over the parts of a matrix of users and items. float32, shape (num_items, num_items)."""
    return functools.reduce(operator.add, ((part.T @ part).tocsr() for part in parts))


def ease_weights(gram: sparse.csr_matrix, shrinkage: float) -> np.ndarray:
    """Closed form of EASE: B = I - P / diag(P) with P = (G + shrinkage I)^-1. float32, shape (num_items, num_items).

    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, eq. 8.
    """
    weights = _regular_inverse(gram, shrinkage)
    weights /= -np.diag(weights)  # divides column j by P[j, j]
    np.fill_diagonal(weights, 0.0)
    return weights


def ease_through_users(met: sparse.csr_matrix, config: SimilarityConfig) -> sparse.csr_matrix:
    """The same weights from K = A A^T, a block of items at a time; the largest of each row.

    With W = A^T (K + shrinkage I)^-1 A, Woodbury's identity gives P = (I - W) / shrinkage, and so
    B[i, j] = W[i, j] / (1 - W[j, j]).

    Args:
        met: A, by users and items, float32. Shape (num_users, num_items).

    Returns:
        float32, shape (num_items, num_items).
    """
    inverse = _regular_inverse(met @ met.T, config.shrinkage)  # (num_users, num_users)
    num_items, by_item = met.shape[1], met.T.tocsr()
    items_at_once = max(1, PRODUCTS_AT_ONCE // max(met.shape))
    blocks, diagonal = [], np.zeros(num_items, dtype=np.float32)
    for first in range(0, num_items, items_at_once):
        items = slice(first, min(first + items_at_once, num_items))
        diagonal[items] = by_item[items].multiply(by_item[items] @ inverse).sum(axis=1).A1
    for first in range(0, num_items, items_at_once):
        items = slice(first, min(first + items_at_once, num_items))
        weights = (by_item[items] @ inverse) @ met / (1 - diagonal)
        weights[np.arange(len(weights)), np.arange(first, items.stop)] = 0
        blocks.append(_largest_of_dense(weights, config.num_neighbours))
    return sparse.vstack(blocks, format="csr")


def _regular_inverse(products: sparse.csr_matrix, shrinkage: float) -> np.ndarray:
    """The dense inverse of `products` with `shrinkage` on its diagonal."""
    # In single precision: `shrinkage` keeps it well conditioned.
    regular = products.toarray().astype(np.float32, copy=False)
    regular[np.diag_indices_from(regular)] += shrinkage
    # LAPACK reads by columns, and would copy what lies by rows; a symmetric matrix is its own transpose.
    factor, failed = lapack.spotrf(regular.T, lower=True, overwrite_a=True)
    inverse, failed_too = lapack.spotri(factor, lower=True, overwrite_c=True)
    if failed or failed_too:
        raise NightError(f"item_item: the Gram matrix is not positive definite. Raise `shrinkage` ({shrinkage}).")
    upper = inverse.T
    symmetric: np.ndarray = upper + np.triu(upper, 1).T
    return symmetric


def shrunk_cosines(parts: list[sparse.csr_matrix], num_items: int, config: SimilarityConfig) -> sparse.csr_matrix:
    """Cosines with a shrunk denominator, the largest of each row. Walks over the parts once for each block of items.

    Args:
        parts: some users' rows each, float32. Shape (users of the part, num_items).

    Returns:
        float32, shape (num_items, num_items).
    """
    norms = np.sqrt(sum(np.bincount(part.indices, part.data**2, num_items) for part in parts)).astype(np.float32)
    items_at_once = max(1, PRODUCTS_AT_ONCE // num_items)
    blocks = []
    for first in range(0, num_items, items_at_once):
        items = slice(first, min(first + items_at_once, num_items))
        weights = functools.reduce(operator.add, (part[:, items].T.tocsr() @ part for part in parts))
        weights.sort_indices()
        rows = np.repeat(np.arange(first, items.stop), np.diff(weights.indptr))
        weights.data /= norms[rows] * norms[weights.indices] + config.shrinkage
        weights.data[rows == weights.indices] = 0
        blocks.append(_largest_per_row(weights, config.num_neighbours))
    return sparse.vstack(blocks, format="csr")


def _largest_of_dense(weights: np.ndarray, count: int) -> sparse.csr_matrix:
    """As `_largest_per_row`, of a dense matrix: most of it is left out before it becomes a sparse one."""
    blocks, rows_at_once = [], max(1, PRODUCTS_AT_ONCE // weights.shape[1])
    for first in range(0, len(weights), rows_at_once):
        block = weights[first : first + rows_at_once]
        if count < block.shape[1]:
            smallest = np.partition(block, -count, axis=1)[:, -count, None]
            block = np.where(block >= smallest, block, 0)
        blocks.append(_largest_per_row(sparse.csr_matrix(block), count))
    return sparse.vstack(blocks, format="csr")


def _largest_per_row(weights: sparse.csr_matrix, count: int) -> sparse.csr_matrix:
    """Keeps the `count` largest positive weights of each row; of equal ones those of the lower columns."""
    is_kept = weights.data > 0
    for row in np.flatnonzero(np.diff(weights.indptr) > count):
        of_row = slice(weights.indptr[row], weights.indptr[row + 1])
        values = weights.data[of_row]
        smallest = np.partition(values, -count)[-count]
        is_equal = values == smallest
        num_equal = count - int((values > smallest).sum())
        is_kept[of_row] &= (values > smallest) | (is_equal & (np.cumsum(is_equal) <= num_equal))
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))[is_kept]
    return sparse.csr_matrix((weights.data[is_kept], (rows, weights.indices[is_kept])), shape=weights.shape)


def _on_disk(part: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same matrix, with its entries on the disk."""
    data, indices = (disk_array(values.shape, values.dtype) for values in (part.data, part.indices))
    data[:], indices[:] = part.data, part.indices
    return sparse.csr_matrix((data, indices, part.indptr), shape=part.shape)
