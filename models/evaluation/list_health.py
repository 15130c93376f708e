"""What one model's lists look like as a whole: a refit can be broken where the fit that was judged was sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from expectations.runtime.lake import Lake, Version
from expectations.tables import FIRST_VALUE_INDEX, INTERACTIONS, VOCABULARIES
from models.interface.ranked_lists import list_batches

NUM_TOP_ITEMS = 100
"""Items in most lists that are kept by name, to compare the lists of two fits by."""


@dataclass(frozen=True)
class ListHealth:
    """Figures of one model's lists.

    Attributes:
        num_rows: of all users.
        is_finite: whether every score is a number.
        varying_share: share of the users with two items or more whose scores are not all the same; 1 without any.
        user_share: share of the users with interactions who have a list.
        top_item_ids: the items in most lists, at most NUM_TOP_ITEMS; more lists first, then the smaller index.
    """

    num_rows: int
    is_finite: bool
    varying_share: float
    user_share: float
    top_item_ids: tuple[str, ...]


def list_health(lake: Lake, as_of: str, lists: Version) -> ListHealth:
    """Looks at every row once, in one pass; keeps a few bytes a user and an item."""
    num_users, num_items = (_num_indices(lake, as_of, field) for field in ("user_id", "item_id"))
    lengths = np.zeros(num_users, dtype=np.int32)
    lowest, highest = (np.full(num_users, bound, dtype=np.float32) for bound in (np.inf, -np.inf))
    times_listed = np.zeros(num_items, dtype=np.int64)
    is_finite = True
    for batch in list_batches(lists, ["user_index", "item_index", "score"]).to_batches():
        users, items, scores = (column.to_numpy() for column in batch.columns)
        is_finite = is_finite and bool(np.isfinite(scores).all())
        np.add.at(lengths, users, 1)
        np.minimum.at(lowest, users, scores)
        np.maximum.at(highest, users, scores)
        np.add.at(times_listed, items, 1)
    is_active = _users_with_interactions(lake, as_of, num_users)
    could_vary = lengths >= 2
    return ListHealth(
        num_rows=int(lengths.sum()),
        is_finite=is_finite,
        varying_share=_share(could_vary & (highest > lowest), could_vary),
        user_share=_share(is_active & (lengths > 0), is_active),
        top_item_ids=_top_item_ids(lake, as_of, times_listed),
    )


def overlap(one: ListHealth, other: ListHealth) -> float:
    """Share of the items that are in most lists of `one` which are also in most lists of `other`."""
    if not one.top_item_ids:
        return 0.0
    return len(set(one.top_item_ids) & set(other.top_item_ids)) / len(one.top_item_ids)


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else 1.0


def _num_indices(lake: Lake, as_of: str, field: str) -> int:
    values = lake.read(VOCABULARIES, as_of, columns=["index"], filter=pc.field("field") == field)
    return FIRST_VALUE_INDEX + values.num_rows


def _users_with_interactions(lake: Lake, as_of: str, num_users: int) -> np.ndarray:
    is_active = np.zeros(num_users, dtype=bool)
    for batch in list_batches(lake.require(INTERACTIONS, as_of), ["user_index"]).to_batches():
        is_active[batch.column(0).to_numpy()] = True
    return is_active


def _top_item_ids(lake: Lake, as_of: str, times_listed: np.ndarray) -> tuple[str, ...]:
    order = np.lexsort((np.arange(len(times_listed)), -times_listed))[:NUM_TOP_ITEMS]
    top = order[times_listed[order] > 0]
    is_top_item = (pc.field("field") == "item_id") & pc.field("index").isin(top.tolist())
    found = lake.read(VOCABULARIES, as_of, columns=["value", "index"], filter=is_top_item)
    ids = dict(zip(found["index"].to_pylist(), found["value"].to_pylist(), strict=True))
    return tuple(ids[index] for index in top.tolist())
