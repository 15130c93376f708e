"""What users did in the days that the backtest's models were not shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.days import days_before, end_of
from expectations.runtime.lake import Lake
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, INTERACTIONS, NightError
from models.data.event_store import takes_back
from models.data.pair_keys import pair_keys
from models.data.vocabulary import indices_of, read_vocabulary
from models.evaluation.ranking_metrics import Relevant, relevant_from_pairs

NEW_ITEMS = "new_items"
WITH_REPEATS = "with_repeats"


def decisive_task(shop: Shop) -> str:
    """The task that decides between models: where repeats are allowed, lists are judged with them."""
    return NEW_ITEMS if shop.repeats == "never" else WITH_REPEATS


@dataclass(frozen=True)
class HeldOut:
    """The users that one task judges, and what would have been right for them.

    Attributes:
        task: NEW_ITEMS (relevant: what the user never interacted with before; lists leave out what they did) or
            WITH_REPEATS (relevant: everything; lists may hold anything).
        user_indices: ascending. Shape (num_users,).
        relevant: its `user_rows` are positions in `user_indices`.
        slice: which users or which wanted items it is about; empty for all of them.
    """

    task: str
    user_indices: np.ndarray
    relevant: Relevant
    slice: str = ""

    def between(self, first_user: int, last_user: int) -> HeldOut:
        """The part about users with these indices, both included."""
        start, stop = np.searchsorted(self.user_indices, [first_user, last_user + 1])
        first, last = np.searchsorted(self.relevant.user_rows, [start, stop])
        rows, items = self.relevant.user_rows[first:last] - start, self.relevant.item_indices[first:last]
        relevant = Relevant(rows, items, int(stop - start))
        return HeldOut(self.task, self.user_indices[start:stop], relevant, self.slice)


def held_out_tasks(lake: Lake, ds: str, as_of: str, shop: Shop) -> list[HeldOut]:
    """Both tasks for the `horizon_days` after `as_of`, by all that is known of them on `ds`.

    Judged is who had interactions before the cut and met a known item after it; a task nobody is judged on is left out.

    Raises:
        NightError: nobody can be judged on any task.
    """
    pairs = _target_pairs(lake, ds, as_of, shop)  # (num_pairs, 2)
    seen = _interactions_of(lake, as_of, np.unique(pairs[:, 0]))
    pairs = pairs[np.isin(pairs[:, 0], seen[:, 0])]
    is_new = ~np.isin(pair_keys(*pairs.T), pair_keys(*seen.T))
    tasks = [_held_out(task, wanted) for task, wanted in ((NEW_ITEMS, pairs[is_new]), (WITH_REPEATS, pairs))]
    judged = [task for task in tasks if len(task.user_indices)]
    if not judged:
        raise NightError(
            f"backtests ds={ds}: no user known on {as_of} has a {' or '.join(shop.target_events)} of a "
            f"known item in the {shop.horizon_days} days after it. A backtest needs more days of log than "
            f"`horizon_days`."
        )
    return judged


def catalogue_size(lake: Lake, as_of: str) -> int:
    """How many items the vocabulary knew: what every list was chosen from."""
    return read_vocabulary(lake, as_of, "item_id").num_rows


def _held_out(task: str, pairs: np.ndarray) -> HeldOut:
    user_indices, user_rows = np.unique(pairs[:, 0], return_inverse=True)
    return HeldOut(task, user_indices, relevant_from_pairs(user_rows, pairs[:, 1], len(user_indices)))


def _target_pairs(lake: Lake, ds: str, as_of: str, shop: Shop) -> np.ndarray:
    """Distinct (user_index, item_index) of the target events after the cut, both known at it; int64, sorted."""
    end = end_of(days_before(as_of, -shop.horizon_days), shop.drops.day_timezone)
    users, items = (read_vocabulary(lake, as_of, field) for field in ("user_id", "item_id"))
    is_held_out = (
        (pc.field("event_time") >= pa.scalar(end_of(as_of, shop.drops.day_timezone)))
        & (pc.field("event_time") < pa.scalar(end))
        & pc.field("event_type").isin(list(shop.target_events))
        & ~takes_back()
    )
    days = [np.empty((0, 2), dtype=np.int64)]
    for day in lake.days(EVENTS, until=ds, since=as_of):
        # A day at a time, and only pairs stay. The drop of `as_of` itself may hold events dated shortly after it.
        events = lake.read(EVENTS, day, columns=["user_id", "item_id"], filter=is_held_out)
        pairs = pa.table(
            {"user": indices_of(events["user_id"], users), "item": indices_of(events["item_id"], items)}
        ).drop_null()
        days.append(np.stack([pairs["user"].to_numpy(), pairs["item"].to_numpy()], axis=1).astype(np.int64))
    return np.unique(np.concatenate(days), axis=0)


def _interactions_of(lake: Lake, as_of: str, user_indices: np.ndarray) -> np.ndarray:
    """(user_index, item_index) of all that these users had met as of `as_of`; int64."""
    of_users = pc.field("user_index").isin(pa.array(user_indices, pa.int32()))
    met = lake.read(INTERACTIONS, as_of, columns=["user_index", "item_index"], filter=of_users)
    return np.stack([met["user_index"].to_numpy(), met["item_index"].to_numpy()], axis=1).astype(np.int64)
