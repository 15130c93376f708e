"""Finishes the lists of one block of users: fills them to K items and finds a reason for each.

A list that falls short goes on in the order of demand. A filled item has no score in the model's scale, so it takes
the score of the row before it, less one millionth: the list stays in order, and no filled item passes for chosen.

The reason is the best that is true of the row, in this order: the user bought the item before; an item of the
user's own speaks for it (the one with the largest neighbour weight, which for an item-item model is the largest part
of the very score); the user looked at it before; it sells well; the model chose it. Rows that demand alone chose
claim no more than demand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.reasons import Reason
from jobs.score_blocks import neighbour_weights

FINISHED_DDL = (
    "user_index int, rank int, item_index int, score double, is_filled boolean, reason_code string, because_index int"
)
FILL_STEP = 1e-6
SCORE_DECIMALS = 6


@dataclass(frozen=True)
class ListRules:
    """How lists are finished; the same for every block.

    Attributes:
        fallback_items: available items, by demand.
        num_sought: how many of them, from the first, have any demand.
        num_popular: how many of them, from the first, may be called popular.
        exclude_bought: what fills a list must be new to the user, since repeats are bounded.
        is_by_demand: the published model ranks by demand alone.
        neighbours_path: item-item weights for reasons; None when no model has any.
    """

    top_k: int
    fallback_items: np.ndarray
    num_sought: int
    num_popular: int
    exclude_bought: bool
    is_by_demand: bool
    neighbours_path: str | None


@dataclass(frozen=True)
class MetItems:
    """What the users of a block met, by user and then by item; `starts` delimits users of a sorted list of theirs."""

    item_indices: np.ndarray
    is_bought: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, met: pa.Table, user_indices: np.ndarray) -> MetItems:
        """`met` has columns user_index, item_index, num_purchases; `user_indices` is sorted."""
        met = met.sort_by([("user_index", "ascending"), ("item_index", "ascending")])
        user = met["user_index"].to_numpy()
        starts = np.stack([np.searchsorted(user, user_indices), np.searchsorted(user, user_indices, side="right")])
        return cls(met["item_index"].to_numpy(), met["num_purchases"].to_numpy() > 0, starts)

    def of_user(self, place: int) -> slice:
        return slice(*self.starts[:, place])


def finished_lists(asked: pa.Table, met: pa.Table, rules: ListRules) -> pa.Table:
    """The lists of a block's users, complete where the shop has enough items.

    Args:
        asked: columns user_index, item_index, score: the model's best K at most, after the shop's rules; and for
            every user who gets a list one row without an item. Others are left aside.
        met: columns user_index, item_index, num_purchases.
    """
    asked = asked.sort_by([("user_index", "ascending"), ("score", "descending"), ("item_index", "ascending")])
    item = asked["item_index"].fill_null(-1).to_numpy()
    user = asked["user_index"].to_numpy()
    score = np.round(asked["score"].fill_null(0).to_numpy().astype(np.float64), SCORE_DECIMALS)
    user_indices = np.unique(user[item < 0])
    met_items = MetItems.of(met, user_indices)

    items, scores, is_filled, lengths = [], [], [], []
    for place, user_index in enumerate(user_indices):
        rows = slice(np.searchsorted(user, user_index), np.searchsorted(user, user_index, side="right"))
        is_listed = item[rows] >= 0
        listed = item[rows][is_listed]
        mine = met_items.of_user(place)
        bought = met_items.item_indices[mine][met_items.is_bought[mine]] if rules.exclude_bought else listed[:0]
        filling = _filling(listed, bought, rules)
        last_score = score[rows][is_listed][-1] if len(listed) else 0.0
        filled_scores = np.round(last_score - FILL_STEP * np.arange(1, len(filling) + 1), SCORE_DECIMALS)
        items.append(np.concatenate([listed, filling]))
        scores.append(np.concatenate([score[rows][is_listed], filled_scores]))
        is_filled.append(np.arange(len(items[-1])) >= len(listed))
        lengths.append(len(items[-1]))
    if not items:
        return _as_table(*(np.zeros(0) for _ in range(7)))
    owners = np.repeat(np.arange(len(user_indices)), lengths)
    ranks = np.concatenate([np.arange(1, length + 1) for length in lengths])
    all_items, filled = np.concatenate(items), np.concatenate(is_filled)
    codes, because = _reasons(owners, all_items, filled, met_items, rules)
    return _as_table(user_indices[owners], ranks, all_items, np.concatenate(scores), filled, codes, because)


def _filling(listed: np.ndarray, excluded: np.ndarray, rules: ListRules) -> np.ndarray:
    """Items that bring a list to K, best demand first."""
    num_missing = rules.top_k - len(listed)
    if num_missing <= 0:
        return listed[:0]
    taken = np.concatenate([listed, excluded])
    # No more than this many can be among the taken, so the rest of the order need not be looked at.
    head = rules.fallback_items[: num_missing + len(taken)]
    return head[~np.isin(head, taken)][:num_missing]


def _reasons(
    owners: np.ndarray, items: np.ndarray, is_filled: np.ndarray, met: MetItems, rules: ListRules
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

    by_demand = is_filled | rules.is_by_demand
    weights = np.where(is_same | by_demand[row], 0.0, _weights(rules.neighbours_path, cited, items[row]))
    best = np.lexsort((cited, -weights, row))
    best = best[np.flatnonzero(np.diff(row[best], prepend=-1))]
    best = best[weights[best] > 0]
    spoken_for, speaker, speaker_bought = row[best], cited[best], is_bought[best]

    in_demand = np.isin(items, rules.fallback_items[: rules.num_sought])
    is_popular = np.isin(items, rules.fallback_items[: rules.num_popular]) | (by_demand & in_demand)
    codes = np.where(by_demand, Reason.IN_OUR_RANGE, Reason.PICKED_FOR_YOU).astype(object)
    because = np.zeros(len(items), np.int32)
    codes[is_popular] = Reason.POPULAR
    codes[is_met_before] = Reason.LOOK_AGAIN
    codes[spoken_for] = np.where(speaker_bought, Reason.BECAUSE_YOU_BOUGHT, Reason.BECAUSE_YOU_VIEWED)
    codes[is_bought_before] = Reason.BUY_AGAIN
    because[is_met_before] = items[is_met_before]
    because[spoken_for] = speaker
    because[is_bought_before] = items[is_bought_before]
    return codes, because


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


def _as_table(
    users: np.ndarray,
    ranks: np.ndarray,
    items: np.ndarray,
    scores: np.ndarray,
    is_filled: np.ndarray,
    codes: np.ndarray,
    because: np.ndarray,
) -> pa.Table:
    return pa.table(
        {
            "user_index": pa.array(users, pa.int32()),
            "rank": pa.array(ranks, pa.int32()),
            "item_index": pa.array(items, pa.int32()),
            "score": pa.array(scores, pa.float64()),
            "is_filled": pa.array(is_filled.astype(bool)),
            "reason_code": pa.array([str(code) for code in codes], pa.string()),
            "because_index": pa.array(because, pa.int32()),
        }
    )
