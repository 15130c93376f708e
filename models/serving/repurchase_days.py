"""From which day may what a user bought stand in their list again? A shop's `repeats`, for one user at a time.

`expectations.semantics.repeat_purchases` says what the rule is, and has it in Spark for all pairs of a night. Days are
counted from 1970 in UTC. An item may come back on a day that is not before its return day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.runtime.lake import Lake
from expectations.semantics.repeat_purchases.in_numpy import NEVER, first_days_back, gap_totals, usual_gap_days
from expectations.tables import INTERACTIONS
from models.data.dataset import Dataset
from models.data.event_store import Events
from models.data.mmap_arrays import grouped_by_user, spans_of_users


@dataclass(frozen=True)
class ReturnDays:
    """What everybody bought, and when it may come back.

    Attributes:
        usual_gap_days: how long after a purchase an item comes back: 0 at once, infinite never. Shape (num_items,).
        offsets: the pairs of user `u` in `met` and `is_bought` are entries offsets[u] to offsets[u + 1].
    """

    repeats: str
    usual_gap_days: np.ndarray
    purchase_index: int
    offsets: np.ndarray
    met: np.ndarray
    is_bought: np.ndarray
    events: Events

    @classmethod
    def of(cls, lake: Lake, dataset: Dataset, repeats: str, num_prior_gaps: int, purchase_index: int) -> ReturnDays:
        """Reads who bought what from `interactions` of the dataset's day; when, from the dataset's events."""
        offsets, columns = grouped_by_user(
            lake.require(INTERACTIONS, dataset.as_of).path,
            dataset.num_users,
            {"item_index": np.int32, "is_bought": np.bool_},
            lambda rows: {
                "item_index": rows["item_index"].to_numpy(),
                "is_bought": rows["num_purchases"].to_numpy() > 0,
            },
            ["item_index", "num_purchases"],
        )
        if repeats == "after_gap":
            gaps = usual_gaps(dataset.events, purchase_index, dataset.num_items, num_prior_gaps)
        else:
            gaps = np.full(dataset.num_items, np.inf if repeats == "never" else 0.0)
        met, is_bought = columns["item_index"], columns["is_bought"]
        return cls(repeats, gaps, purchase_index, offsets, met, is_bought, dataset.events)

    def of_user(self, user_index: int) -> tuple[np.ndarray, np.ndarray]:
        """The items that a user bought, ascending, and their return days.

        Returns:
            Item indices, and days since 1970 UTC; int32. Both of shape (num_bought,).
        """
        pairs = slice(*self.offsets[user_index : user_index + 2])
        items = np.sort(self.met[pairs][self.is_bought[pairs]])
        days = np.full(len(items), NEVER if self.repeats == "never" else 0, dtype=np.int64)
        if self.repeats == "after_gap":
            events = slice(*self.events.offsets[user_index : user_index + 2])
            is_bought = self.events.event_type[events] == self.purchase_index
            in_history, last_day = self.events.item_index[events][is_bought], self.events.time[events][is_bought]
            returns = first_days_back(last_day // SECONDS_PER_DAY, self.usual_gap_days[in_history])
            is_known = np.isin(in_history, items)
            np.maximum.at(days, np.searchsorted(items, in_history[is_known]), returns[is_known])
        return items.astype(np.int32), days.astype(np.int32)


def usual_gaps(events: Events, purchase_index: int, num_items: int, num_prior_gaps: int) -> np.ndarray:
    """Returns each item's usual gap in days, from everybody's purchases. Shape (num_items,), float64."""
    days, num_gaps = np.zeros((2, num_items))
    for first, last in spans_of_users(events.offsets):
        part = slice(int(events.offsets[first]), int(events.offsets[last]))
        is_bought = events.event_type[part] == purchase_index
        users, items = events.user_index[part][is_bought], events.item_index[part][is_bought]
        more_days, more_gaps = gap_totals(users, items, events.time[part][is_bought] // SECONDS_PER_DAY, num_items)
        days, num_gaps = days + more_days, num_gaps + more_gaps
    return usual_gap_days(days, num_gaps, num_prior_gaps)
