"""Lists of what belongs to an item, blended from the scores of several sources. Runs in executors.

A source says for pairs of items how strongly they belong together, on a scale of its own, so each item's answers are
divided by their largest. What goes *together* weighs the more, and what is *alike* the less, the more people met the
item:

    score(other) = popularity(other) x (trust x together + (1 - trust) x alike)
    trust = num_users / (num_users + shrinkage)
    popularity(other) = (demand(other) / largest demand)^popularity_exponent

Of the variants of one item a list holds no more than the shop says, and none of those of its own item. An item that
nobody met has a list all the same: of what is like it. The source that adds most to a score is its reason.

`shrinkage` and `popularity_exponent` are settings of the shop (`SimilarItems`). Their defaults were chosen on UCI
Online Retail, on baskets of the 30 days after 2011-08-11 and 2011-09-10; see `tests.benchmarks.lists.similar_items`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import sparse

from expectations.semantics.list_caps import Cap, split_by_caps
from expectations.shop.reasons import Reason
from expectations.shop.table_settings import SimilarItems
from jobs.lists.list_assembly import SCORE_DECIMALS
from jobs.tables.similarity_sources import SimilaritySource

LISTS_DDL = "item_index int, rank int, similar_index int, score double, source string, reason_code string"
NUM_KEPT = 100
"""Items that a source may name for one item, or as many as a list has; the best of them all make the list."""
_MOST_VARIANTS = 10
"""Where items have variants, so many times `NUM_KEPT` at most: each is named with all of its own."""


@dataclass(frozen=True)
class ItemFacts:
    """What a list needs to know of every item, by item_index: arrays of shape (num_indices,), but for `fallback_items`.

    Attributes:
        is_available: whether the item may stand in a list, bool.
        num_users: how many users met the item, int.
        demand: the same, faded by how long ago each last did, float64.
        fallback_items: indices of available items in the order that fills a list, int. Shape (num_available,).
        fallback_source: whose order it is.
        num_in_demand: how many of them, from the first, have any demand.
        variants: of those that belong to one item, at most so many; None where the shop has none, or sets no bound.
    """

    is_available: np.ndarray
    num_users: np.ndarray
    demand: np.ndarray
    fallback_items: np.ndarray
    fallback_source: str
    num_in_demand: int
    variants: Cap | None = None

    def popularity(self, exponent: float) -> np.ndarray:
        """Returns values above 0, at most 1; no demand counts as half a user's. Shape (num_indices,), float32."""
        return np.asarray(((self.demand + 0.5) / (self.demand.max(initial=0) + 0.5)) ** exponent, np.float32)


@dataclass(frozen=True)
class ItemList:
    """One item's list, best first; a source number is a place among the sources, then come the two of the fallback."""

    items: np.ndarray
    scores: np.ndarray
    source_numbers: np.ndarray


def similar_item_lists(
    owners: np.ndarray, sources: Sequence[SimilaritySource], facts: ItemFacts, top_k: int, settings: SimilarItems
) -> pa.Table:
    """Makes a list of `top_k` items for each of some items, or a shorter one where the shop has fewer others on sale.

    Args:
        owners: item indices, all different, int. Shape (num_owners,).
        sources: who says which items belong together.

    Returns:
        The columns of LISTS_DDL.
    """
    num_kept = max(NUM_KEPT, top_k) * _num_alike(facts)
    kept = [_kept(source.scores(owners), owners, facts, num_kept, settings.popularity_exponent) for source in sources]
    for part, weight in zip(kept, _weights(facts.num_users[owners], sources, settings.shrinkage), strict=True):
        part.data *= np.repeat(weight, np.diff(part.indptr))
    lists = [_list_of(place, owner, kept, facts, top_k) for place, owner in enumerate(owners)]
    labels = [(source.source, source.reason) for source in sources]
    labels += [(facts.fallback_source, reason) for reason in (Reason.POPULAR, Reason.IN_OUR_RANGE)]
    source_numbers = np.concatenate([found.source_numbers for found in lists])
    lengths = [len(found.items) for found in lists]
    ranks = [np.arange(1, length + 1) for length in lengths]
    return pa.table(
        {
            "item_index": pa.array(np.repeat(owners, lengths), pa.int32()),
            "rank": pa.array(np.concatenate(ranks), pa.int32()),
            "similar_index": pa.array(np.concatenate([found.items for found in lists]), pa.int32()),
            "score": pa.array(np.concatenate([found.scores for found in lists]), pa.float64()),
            "source": pa.array([labels[number][0] for number in source_numbers], pa.string()),
            "reason_code": pa.array([str(labels[number][1]) for number in source_numbers], pa.string()),
        }
    )


def _weights(num_users: np.ndarray, sources: Sequence[SimilaritySource], shrinkage: float) -> list[np.ndarray]:
    """Returns the weight of each source, each (num_owners,). A reason without a rival has all the weight."""
    trust = num_users / (num_users + shrinkage)
    reasons = [source.reason for source in sources]
    if Reason.ALIKE not in reasons or Reason.BOUGHT_TOGETHER not in reasons:
        trust = np.full(len(num_users), float(Reason.BOUGHT_TOGETHER in reasons))
    weight_by_reason = {Reason.BOUGHT_TOGETHER: trust, Reason.ALIKE: 1 - trust}
    total = {reason: sum(source.share for source in sources if source.reason == reason) for reason in weight_by_reason}
    return [(weight_by_reason[v.reason] * v.share / total[v.reason]).astype(np.float32) for v in sources]


def _kept(
    scores: np.ndarray, owners: np.ndarray, facts: ItemFacts, num_kept: int, popularity_exponent: float
) -> sparse.csr_matrix:
    """A source's answers on the common scale, with popularity; the best `num_kept` available others, and their equals.

    Args:
        scores: shape (num_owners, num_items); overwritten. Items that the catalogue does not hold are left aside.
    """
    scores = scores[:, : len(facts.is_available)]
    num_items = scores.shape[1]
    is_inside = owners < num_items
    scores[is_inside, owners[is_inside]] = 0
    scores[:, ~facts.is_available[:num_items]] = 0
    scores /= np.maximum(scores.max(axis=1, keepdims=True, initial=0), np.finfo(np.float32).tiny)
    scores *= facts.popularity(popularity_exponent)[:num_items]
    if num_items > num_kept:
        thresholds = np.partition(scores, num_items - num_kept, axis=1)[:, num_items - num_kept]
        scores[scores < thresholds[:, None]] = 0
    return sparse.csr_matrix(scores)


def _list_of(place: int, owner: int, kept: Sequence[sparse.csr_matrix], facts: ItemFacts, top_k: int) -> ItemList:
    """Returns the list of one item: the best of all sources, equal scores by index; then the fallback, at score 0."""
    named = [slice(part.indptr[place], part.indptr[place + 1]) for part in kept]
    items = np.unique(np.concatenate([part.indices[mine] for part, mine in zip(kept, named, strict=True)]))
    shares = np.zeros((len(kept), len(items)))
    for share, part, mine in zip(shares, kept, named, strict=True):
        share[np.searchsorted(items, part.indices[mine])] = part.data[mine]
    scores = np.round(shares.sum(axis=0), SCORE_DECIMALS)
    best = np.lexsort((items, -scores))
    best = best[scores[best] > 0]
    if facts.variants is None:
        best = best[:top_k]
    else:
        kept_items = _without_variants(items[best], owner, items[:0], top_k, facts.variants)
        best = best[np.isin(items[best], kept_items)]
    filling = _filling(items[best], owner, top_k - len(best), facts)
    is_in_demand = np.isin(filling, facts.fallback_items[: facts.num_in_demand])
    return ItemList(
        np.concatenate([items[best], filling]),
        np.concatenate([scores[best], np.zeros(len(filling))]),
        np.concatenate([shares[:, best].argmax(axis=0), np.where(is_in_demand, len(kept), len(kept) + 1)]),
    )


def _filling(listed: np.ndarray, owner: int, num_missing: int, facts: ItemFacts) -> np.ndarray:
    """Returns so many available items that are not in the list, best demand first."""
    taken = np.append(listed, owner)
    if facts.variants is not None and num_missing:
        return _without_variants(facts.fallback_items, owner, listed, num_missing, facts.variants)
    head = facts.fallback_items[: num_missing + len(taken)]
    return head[~np.isin(head, taken)][:num_missing]


def _without_variants(order: np.ndarray, owner: int, listed: np.ndarray, num: int, variants: Cap) -> np.ndarray:
    """Returns the first `num` items of an order that may stand beside those listed and are no variants of the owner."""
    # As many of its own group as a list may hold are taken by the owner alone.
    counted = np.append(listed, np.repeat(owner, variants.most))
    kept, _ = split_by_caps(order, num, (variants,), counted, frozenset(counted.tolist()))
    return np.array(kept, order.dtype)


def _num_alike(facts: ItemFacts) -> int:
    """Returns how many variants to expect where one is named: so many more must be kept to fill a list."""
    if facts.variants is None:
        return 1
    groups = facts.variants.group
    return int(min(_MOST_VARIANTS, np.bincount(groups[groups > 0]).max()))
