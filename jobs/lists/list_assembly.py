"""Assembles the lists of one block of users: chooses items as the shop's rules ask, fills gaps, finds reasons.

A list that falls short goes on in the order of demand. A filled item has no score in the model's scale, so it takes
the score of the row before it, less one millionth: the list stays in order, and no filled item passes for chosen. A row
that a rule, or the draw, lifted above better scores carries the best score below it; all other rows carry their own.
What fills a list is not drawn: its propensity is 1.

The reason is the best that is true of the row, in this order: the user bought the item before; an item of the
user's own speaks for it; the user looked at it before; it sells well; the model chose it. Rows that demand alone chose
claim no more than demand. What speaks for a row is the item without which the published model would score it lowest
(`models.explain`); of a model that cannot be asked so, the one with the largest item-item weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.semantics.reasons import reasons_of
from expectations.tables import PADDING_INDEX
from jobs.lists.block_scoring import neighbour_weights
from jobs.lists.candidate_pool import Pool
from jobs.lists.fallback_fill import FallbackItems
from jobs.lists.mmr_selection import STAGES, Chosen, Selection, selected_lists

FINISHED_DDL = (
    "user_index int, rank int, item_index int, score double, is_filled boolean, reason_code string, because_index int, "
    "brought_by string, is_moved boolean, propensity double"
)
FILL_STEP = 1e-6
"""By how much each filled item scores less than the one before: the smallest step that rounded scores show."""
SCORE_DECIMALS = 6
"""Decimals of published scores: equal lists give equal bytes, whatever the last bits of a sum are."""
CAPS_LIFTED = "caps_lifted"
BROUGHT_BY = (*STAGES, CAPS_LIFTED)
"""What brings a row into a list in place of the model, or of demand: values of the column `brought_by`."""
MAX_PAIRS = 32_768
"""Users times candidates that are chosen among at a time: what an executor holds for it stays below 100 MB."""


@dataclass(frozen=True)
class AssemblyPlan:
    """How lists are assembled; the same for every block.

    Attributes:
        top_k: items of a list.
        fallback: available items that rules allow, by demand.
        num_in_demand: how many of them, from the first, have any demand.
        num_popular: how many of them, from the first, may be called popular.
        exclude_bought: items that the user bought never fill the list, since repeats are bounded.
        is_by_demand: the published model ranks by demand alone.
        is_explained: reasons cite what `because_index` of the candidates says, and nothing else.
        neighbours_path: item-item weights for reasons where `is_explained` is False; None when no model has any.
        selection: how candidates are chosen.
    """

    top_k: int
    fallback: FallbackItems
    num_in_demand: int
    num_popular: int
    exclude_bought: bool
    is_by_demand: bool
    is_explained: bool
    neighbours_path: str | None
    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True)
class MetItems:
    """What the users of a block met, by user and then by item.

    Attributes:
        item_indices: int. Shape (num_met,).
        is_bought: bool. Same shape.
        starts: where the rows of each user begin and end, int. Shape (2, num_users).
    """

    item_indices: np.ndarray
    is_bought: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, met: pa.Table, user_indices: np.ndarray) -> MetItems:
        """Sorts what users met.

        Args:
            met: columns user_index, item_index, num_purchases.
            user_indices: the users, ascending, int. Shape (num_users,).
        """
        met = met.sort_by([("user_index", "ascending"), ("item_index", "ascending")])
        user = met["user_index"].to_numpy()
        starts = np.stack([np.searchsorted(user, user_indices), np.searchsorted(user, user_indices, side="right")])
        return cls(met["item_index"].to_numpy(), met["num_purchases"].to_numpy() > 0, starts)

    def bought_by(self, place: int, is_asked: bool) -> np.ndarray:
        """Returns the indices of the items that the user at `place` bought, int; none where `is_asked` is False.

        Returns:
            Shape (num_bought,).
        """
        mine = slice(*self.starts[:, place])
        bought: np.ndarray = self.item_indices[mine][self.is_bought[mine] & is_asked]
        return bought


@dataclass(frozen=True)
class FinishedList:
    """One user's list, best first; arrays of equal length. For their meaning see `FinishedRows`."""

    items: np.ndarray
    scores: np.ndarray
    is_filled: np.ndarray
    brought_by: np.ndarray
    is_moved: np.ndarray
    propensity: np.ndarray


@dataclass(frozen=True)
class FinishedRows:
    """The rows of a block's lists, by user and then by rank; arrays of equal length, (num_rows,).

    Attributes:
        user_index, rank, item_index: int; ranks count from 1.
        score: float64, rounded to SCORE_DECIMALS.
        is_filled: bool; True where demand filled the row in and no model chose it.
        reason_code: texts of `Reason`.
        because_index: int; the item that the reason cites, 0 where it cites none.
        brought_by: int; a place in BROUGHT_BY, or -1 where no rule brought the row in.
        is_moved: bool; True where a rule changed the rank that the score gives.
        propensity: float64; the probability with which the item came to its place.
    """

    user_index: np.ndarray
    rank: np.ndarray
    item_index: np.ndarray
    score: np.ndarray
    is_filled: np.ndarray
    reason_code: np.ndarray
    because_index: np.ndarray
    brought_by: np.ndarray
    is_moved: np.ndarray
    propensity: np.ndarray

    @classmethod
    def empty(cls) -> FinishedRows:
        """Returns the rows of no list."""
        return cls(*(np.empty(0) for _ in fields(cls)))

    def to_arrow(self) -> pa.Table:
        """Returns the rows as a table with the columns of FINISHED_DDL; `brought_by` becomes a name, or null."""
        names = (*BROUGHT_BY, None)
        return pa.table(
            {
                "user_index": pa.array(self.user_index, pa.int32()),
                "rank": pa.array(self.rank, pa.int32()),
                "item_index": pa.array(self.item_index, pa.int32()),
                "score": pa.array(self.score, pa.float64()),
                "is_filled": pa.array(self.is_filled.astype(bool)),
                "reason_code": pa.array([str(code) for code in self.reason_code], pa.string()),
                "because_index": pa.array(self.because_index, pa.int32()),
                "brought_by": pa.array([names[by] for by in self.brought_by.astype(int)], pa.string()),
                "is_moved": pa.array(self.is_moved.astype(bool)),
                "propensity": pa.array(self.propensity, pa.float64()),
            }
        )


def assembled_lists(asked: pa.Table, met: pa.Table, plan: AssemblyPlan) -> pa.Table:
    """Assembles the lists of a block's users, of `plan.top_k` items wherever the shop has as many.

    Args:
        asked: columns user_index, item_index, score, because_index: the candidates that the rules of single items
            leave; and for every user who gets a list one row without an item. Others are left aside.
        met: columns user_index, item_index, num_purchases.

    Returns:
        The columns of FINISHED_DDL.
    """
    item, user = asked["item_index"].fill_null(-1).to_numpy(), asked["user_index"].to_numpy()
    user_indices = np.unique(user[item < 0])
    if not len(user_indices):
        return FinishedRows.empty().to_arrow()
    met_items = MetItems.of(met, user_indices)
    lists = []
    for first, pool in user_pools(asked, user_indices, plan.selection.boost):
        bought = [met_items.bought_by(first + row, plan.exclude_bought) for row in range(len(pool.items))]
        chosen = selected_lists(pool, plan.top_k, plan.selection, plan.fallback, bought)
        lists += [_finished(pool, chosen, row, bought[row], plan) for row in range(len(pool.items))]
    lengths = [len(one.items) for one in lists]
    owners = np.repeat(np.arange(len(user_indices)), lengths)
    ranks = np.concatenate([np.arange(1, length + 1) for length in lengths])
    items, scores, is_filled, brought_by, is_moved, propensity = (
        np.concatenate([getattr(one, name) for one in lists])
        for name in ("items", "scores", "is_filled", "brought_by", "is_moved", "propensity")
    )
    attributed = _attributed(asked, user_indices[owners], items) if plan.is_explained else None
    codes, because = _reasons(owners, items, is_filled, attributed, met_items, plan)
    rows = FinishedRows(
        user_index=user_indices[owners],
        rank=ranks,
        item_index=items,
        score=scores,
        is_filled=is_filled,
        reason_code=codes,
        because_index=because,
        brought_by=brought_by,
        is_moved=is_moved,
        propensity=propensity,
    )
    return rows.to_arrow()


def user_pools(asked: pa.Table, user_indices: np.ndarray, boost: np.ndarray | None) -> Iterator[tuple[int, Pool]]:
    """Yields the candidates of neighbouring users, at most MAX_PAIRS at a time.

    Args:
        asked: columns user_index, item_index, score.
        user_indices: the users, ascending, int. Shape (num_users,).
        boost: the factor of each item's relevance, by item_index, float64; None where nothing is boosted. Shape
            (num_items,).

    Yields:
        The place, among `user_indices`, of the first user of the pool, and the pool.
    """
    asked = asked.sort_by([("user_index", "ascending"), ("score", "descending"), ("item_index", "ascending")])
    item, user = asked["item_index"].fill_null(-1).to_numpy(), asked["user_index"].to_numpy()
    score = asked["score"].fill_null(0).to_numpy().astype(np.float64)
    is_candidate = (item >= 0) & np.isin(user, user_indices)
    owner, item, score = np.searchsorted(user_indices, user[is_candidate]), item[is_candidate], score[is_candidate]
    starts = np.searchsorted(owner, np.arange(len(user_indices) + 1))
    width = max(1, int(np.diff(starts).max(initial=0)))
    num_users = max(1, MAX_PAIRS // width)
    for first in range(0, len(user_indices), num_users):
        last = min(first + num_users, len(user_indices))
        rows = slice(starts[first], starts[last])
        place = owner[rows] - first, np.arange(starts[first], starts[last]) - starts[owner[rows]]
        items, scores = np.full((last - first, width), PADDING_INDEX, item.dtype), np.zeros((last - first, width))
        items[place], scores[place] = item[rows], score[rows]
        yield first, Pool.of(items, scores, boost, user_indices[first:last])


def _finished(pool: Pool, chosen: Chosen, row: int, bought: np.ndarray, plan: AssemblyPlan) -> FinishedList:
    """Returns a chosen list, filled to K items."""
    places, fallback = chosen.places[row], plan.fallback
    is_place = places >= 0
    listed, own_scores = pool.items[row, places[is_place]], pool.scores[row, places[is_place]]
    scores = np.round(own_scores, SCORE_DECIMALS)
    new = chosen.appended_new_items.get(row, listed[:0])
    num_missing = plan.top_k - len(listed) - len(new)
    filling = fallback.best(num_missing, np.concatenate([listed, new]), bought)
    lifted = fallback.beyond_caps(num_missing - len(filling), np.concatenate([listed, new, filling]), bought)
    num_filled = len(filling) + len(lifted) + len(new)
    last_score = scores[-1] if len(scores) else 0.0
    filled_scores = np.round(last_score - FILL_STEP * np.arange(1, num_filled + 1), SCORE_DECIMALS)
    best_below = np.maximum.accumulate(scores[::-1])[::-1]
    because_of = (len(filling), -1), (len(lifted), BROUGHT_BY.index(CAPS_LIFTED)), (len(new), STAGES.index("new_items"))
    is_moved = np.lexsort((listed, -own_scores)) != np.arange(len(listed))
    return FinishedList(
        items=np.concatenate([listed, filling, lifted, new]),
        scores=np.concatenate([best_below, filled_scores]),
        is_filled=np.arange(len(listed) + num_filled) >= len(listed),
        brought_by=np.concatenate(
            [chosen.brought_by[row][is_place], *(np.full(length, by) for length, by in because_of)]
        ),
        is_moved=np.concatenate([is_moved, np.zeros(num_filled, bool)]),
        propensity=np.concatenate([chosen.propensity[row][is_place], np.ones(num_filled)]),
    )


def _attributed(asked: pa.Table, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Returns what the candidates say that each row owes most to; 0 for nothing."""
    attributions = asked.filter(pc.is_valid(asked["because_index"]))
    keys = _pairs(attributions["user_index"].to_numpy(), attributions["item_index"].to_numpy())
    own_keys = _pairs(users, items)
    if not len(keys):
        return np.zeros(len(items), np.int64)
    order = np.argsort(keys)
    places = order[np.minimum(np.searchsorted(keys, own_keys, sorter=order), len(keys) - 1)]
    attributed: np.ndarray = np.where(keys[places] == own_keys, attributions["because_index"].to_numpy()[places], 0)
    return attributed


def _pairs(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Returns one integer a pair; indices are 32-bit."""
    return (users.astype(np.int64) << 32) | items


def _reasons(
    owners: np.ndarray,
    items: np.ndarray,
    is_filled: np.ndarray,
    attributed: np.ndarray | None,
    met: MetItems,
    plan: AssemblyPlan,
) -> tuple[np.ndarray, np.ndarray]:
    """Reason code of every row, and the index of the item that it cites; 0 where it cites none."""
    # One pair per row and item that its user met: the whole block in a few array operations.
    num_met = met.starts[1, owners] - met.starts[0, owners]
    row = np.repeat(np.arange(len(items)), num_met)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(num_met) - num_met, num_met)
    place = np.repeat(met.starts[0, owners], num_met) + offset
    cited, is_bought = met.item_indices[place], met.is_bought[place]
    is_same = cited == items[row]
    is_bought_before, is_met_before = np.zeros(len(items), bool), np.zeros(len(items), bool)
    is_bought_before[row[is_same & is_bought]] = True
    is_met_before[row[is_same]] = True

    by_demand = is_filled | plan.is_by_demand
    speaks = _weights(plan.neighbours_path, cited, items[row]) if attributed is None else cited == attributed[row]
    weights = np.where(is_same | by_demand[row], 0.0, speaks)
    best = np.lexsort((cited, -weights, row))
    best = best[np.flatnonzero(np.diff(row[best], prepend=-1))]
    best = best[weights[best] > 0]

    in_demand = np.isin(items, plan.fallback.items[: plan.num_in_demand])
    is_popular = np.isin(items, plan.fallback.items[: plan.num_popular]) | (by_demand & in_demand)
    cited_item, is_cited_bought = np.zeros(len(items), np.int64), np.zeros(len(items), bool)
    cited_item[row[best]], is_cited_bought[row[best]] = cited[best], is_bought[best]
    return reasons_of(items, by_demand, is_popular, is_met_before, cited_item, is_cited_bought, is_bought_before)


def _weights(path: str | None, items: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Weight of each pair; 0 for pairs that are no neighbours."""
    weights = np.zeros(len(items), np.float32)
    if path is None:
        return weights
    matrix = neighbour_weights(path)
    is_inside = np.flatnonzero(np.maximum(items, neighbours) < matrix.shape[0])
    if len(is_inside):
        weights[is_inside] = np.asarray(matrix[items[is_inside], neighbours[is_inside]]).ravel()
    return weights
