"""The lists of one block of users, a domain at a time.

`jobs.tables.cross_domain_recommendations` runs it in executors.

The reason of a row is the item of the user's history outside the domain that has the largest part in the row's score,
where users' vectors are sums of their items' and that part is above 0; else that the domain's customers want it; else
that the model chose it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from expectations.semantics.list_caps import Cap, split_by_caps
from expectations.semantics.reasons import reasons_of
from jobs.lists.block_scoring import item_vectors, matrix_of
from jobs.lists.list_assembly import SCORE_DECIMALS

DOMAIN_LISTS_DDL = "user_index int, item_index int, rank int, score double, reason_code string, because_index int"
_SEARCHED = 4
"""So many times a list's items are looked at first for what variants leave."""
_SCHEMA = pa.schema(
    [
        ("user_index", pa.int32()),
        ("item_index", pa.int32()),
        ("rank", pa.int32()),
        ("score", pa.float64()),
        ("reason_code", pa.string()),
        ("because_index", pa.int32()),
    ]
)


@dataclass(frozen=True)
class DomainRules:
    """How the lists of domains are made; the same for every block.

    Attributes:
        domains: the names of all.
        domain_of: place of each item's domain among them, by item index, int; -1 for none. Shape (num_items,).
        is_available: whether an item may be listed, by item index, bool. Shape (num_items,).
        items_in_demand: available items with any demand, best first, int. Shape (num_in_demand,).
        num_popular: how many of them, within a domain, may be called popular.
        item_vectors_path: the version of the items' vectors; None: nothing is known of demand, and all score 0.
        history_vectors_path: what a met item adds to its user's vector; None: nothing tells users apart.
        variants: of those that belong to one item, at most so many in a list; None where the shop has none.
    """

    top_k: int
    domains: tuple[str, ...]
    domain_of: np.ndarray
    is_available: np.ndarray
    items_in_demand: np.ndarray
    num_popular: int
    item_vectors_path: str | None
    history_vectors_path: str | None
    variants: Cap | None = None

    def available(self) -> np.ndarray:
        """Returns the indices of the items that can be bought, ascending. Shape (num_available,), int32."""
        return np.flatnonzero(self.is_available).astype(np.int32)


@dataclass(frozen=True)
class History:
    """What one user met, and what must not be in their lists.

    Attributes:
        items: indices of the items that the user met, int. Shape (num_met,).
        weights: of the interactions, float. Same shape.
        is_bought: bool. Same shape.
        excluded: indices of items that must not be listed, int. Shape (num_excluded,).
    """

    items: np.ndarray
    weights: np.ndarray
    is_bought: np.ndarray
    excluded: np.ndarray


def domain_lists(asking: pa.Table, met: pa.Table, rules: DomainRules) -> pa.Table:
    """Returns the lists of a block's users: of each domain the best K items, for who met anything outside it.

    Args:
        asking: columns user_index, vector: who gets lists.
        met: columns user_index, item_index, weight (below 0: excluded, but not met), is_bought, is_excluded; other
            users' rows are left aside.
    """
    if not asking.num_rows or not met.num_rows:
        return _SCHEMA.empty_table()
    asking = asking.sort_by("user_index")
    users, vectors = asking["user_index"].to_numpy(), matrix_of(asking["vector"])
    histories = _histories(met, users, rules.domain_of)
    tables = []
    for domain in range(len(rules.domains)):
        items = np.flatnonzero(rules.is_available & (rules.domain_of == domain))
        rows = np.array([np.any(rules.domain_of[h.items] != domain) for h in histories])
        if len(items) and rows.any():
            places = np.flatnonzero(rows)
            tables.append(
                _lists_of_one_domain(
                    domain, items, users[places], vectors[places], [histories[p] for p in places], rules
                )
            )
    return pa.concat_tables(tables) if tables else _SCHEMA.empty_table()


def _lists_of_one_domain(
    domain: int, items: np.ndarray, users: np.ndarray, vectors: np.ndarray, histories: list[History], rules: DomainRules
) -> pa.Table:
    """The lists of one domain.

    Args:
        items: items of the domain that can be bought.
        users: user indices. Shape (num_users,).
        vectors: the users' vectors. Shape (num_users, dim).
        histories: in the order of `users`.
    """
    vectors_by_item = _vectors_of(items, rules.item_vectors_path, vectors.shape[1])
    in_demand = rules.items_in_demand[rules.domain_of[rules.items_in_demand] == domain]
    popular = in_demand[: rules.num_popular] if rules.history_vectors_path else in_demand
    scores = vectors @ vectors_by_item.T  # (num_users, num_items)
    columns: list[list[np.ndarray]] = [[] for _ in range(6)]
    for user, history, user_scores in zip(users, histories, scores, strict=True):
        user_scores[np.isin(items, history.excluded)] = -np.inf
        order = _best_of_variants(items, user_scores, rules)
        codes, because = _reasons(domain, items[order], vectors_by_item[order], history, popular, rules)
        ranks = np.arange(1, len(order) + 1)
        found = (np.full(len(order), user), items[order], ranks, user_scores[order], codes, because)
        for column, values in zip(columns, found, strict=True):
            column.append(values)
    user, item, rank, score, code, because = (np.concatenate(column) for column in columns)
    score = np.round(score.astype(np.float64), SCORE_DECIMALS)
    return pa.table([user, item, rank, score, [str(c) for c in code], because], schema=_SCHEMA)


def _reasons(
    domain: int,
    listed: np.ndarray,
    listed_vectors: np.ndarray,
    history: History,
    popular: np.ndarray,
    rules: DomainRules,
) -> tuple[np.ndarray, np.ndarray]:
    """Reason code of every row, and the index of the item that it cites; 0 where it cites none.

    Args:
        listed_vectors: the vectors of the listed items.
        popular: items of the domain that may be called so.
    """
    is_personal = rules.history_vectors_path is not None
    cited, is_cited_bought, nothing = np.zeros(len(listed), np.int64), *np.zeros((2, len(listed)), bool)
    outside = np.flatnonzero((rules.domain_of[history.items] != domain) & (history.weights > 0))
    if is_personal and len(outside) and len(listed):
        outside_vectors = _vectors_of(history.items[outside], rules.history_vectors_path, listed_vectors.shape[1])
        products = outside_vectors @ listed_vectors.T  # (num_outside, num_listed)
        parts = np.sqrt(history.weights[outside])[:, None] * products
        speaker, is_spoken_for = outside[parts.argmax(axis=0)], parts.max(axis=0) > 0
        cited[is_spoken_for] = history.items[speaker[is_spoken_for]]
        is_cited_bought = history.is_bought[speaker]
    by_demand = np.full(len(listed), not is_personal)
    return reasons_of(listed, by_demand, np.isin(listed, popular), nothing, cited, is_cited_bought, nothing)


def _vectors_of(items: np.ndarray, path: str | None, length: int) -> np.ndarray:
    """Rows for the items; zeros where an item has none. Shape (len(items), length)."""
    rows = np.zeros((len(items), length), np.float32)
    if path is not None:
        found, _ = item_vectors(path)
        is_inside = items < len(found)
        rows[is_inside] = found[items[is_inside]]
    return rows


def _best_of_variants(items: np.ndarray, scores: np.ndarray, rules: DomainRules) -> np.ndarray:
    """Returns the places of the best K, with no more variants of one item than may be."""
    if rules.variants is None:
        return _best(scores, rules.top_k)
    num_searched = _SEARCHED * rules.top_k
    while True:
        best = _best(scores, num_searched)
        kept, _ = split_by_caps(items[best], rules.top_k, (rules.variants,))
        if len(kept) == rules.top_k or num_searched >= len(scores):
            return best[np.isin(items[best], kept)]
        num_searched *= _SEARCHED


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns the places of the best, equal scores in their order; -inf is none of them."""
    count = min(count, len(scores))
    threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
    places = np.flatnonzero((scores >= threshold) & (scores > -np.inf))
    return places[np.argsort(-scores[places], kind="stable")[:count]]


def _histories(met: pa.Table, users: np.ndarray, domain_of: np.ndarray) -> list[History]:
    """Returns a history for each of the users, who are sorted. Items that the catalogue lost are in none."""
    met = met.sort_by([("user_index", "ascending"), ("item_index", "ascending")])
    indices = met["item_index"].to_numpy()
    is_known = (indices < len(domain_of)) & (domain_of[np.minimum(indices, len(domain_of) - 1)] >= 0)
    met = met.filter(pa.array(is_known))
    user, item = met["user_index"].to_numpy(), met["item_index"].to_numpy()
    weight, is_bought, is_excluded = (
        met[name].to_numpy(zero_copy_only=False) for name in ("weight", "is_bought", "is_excluded")
    )
    histories = []
    for start, end in zip(np.searchsorted(user, users), np.searchsorted(user, users, side="right"), strict=True):
        part = slice(start, end)
        is_met = weight[part] >= 0
        histories.append(
            History(
                items=item[part][is_met],
                weights=weight[part][is_met],
                is_bought=is_bought[part][is_met],
                excluded=item[part][is_excluded[part]],
            )
        )
    return histories
