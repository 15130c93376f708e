"""The user event log as arrays, in which the events of a user before or after a list are found for many lists at once.

Days are counted from any day, with fractions. A list stands from its `day` on: what happened before `day` is its past,
and what happened at `day` or later is what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from expectations.tables import EVENT_TYPES

VIEW, CLICK, CART, PURCHASE = (EVENT_TYPES.index(name) for name in ("view", "click", "cart", "purchase"))


@dataclass(frozen=True)
class EventLog:
    """Events by user, then by day. Made by `EventLog.of`. All of shape (num_events,).

    Attributes:
        event_type: positions in EVENT_TYPES.
        price, quantity: of one piece, and how many.
        is_exposed: whether the item stood in the list that the user was shown that day; the others are organic.
    """

    user: np.ndarray
    item: np.ndarray
    day: np.ndarray
    event_type: np.ndarray
    price: np.ndarray
    quantity: np.ndarray
    is_exposed: np.ndarray

    @classmethod
    def of(
        cls,
        user: np.ndarray,
        item: np.ndarray,
        day: np.ndarray,
        event_type: np.ndarray,
        price: np.ndarray | None = None,
        quantity: np.ndarray | None = None,
        is_exposed: np.ndarray | None = None,
    ) -> EventLog:
        """Sorts events that come in any order.

        Without prices events are worth nothing, without quantities there is one of each, without `is_exposed` all are
        organic.

        Args:
            user, item, event_type: indices. Shape (num_events,), int64.
            day: with fractions. Shape (num_events,), any number.
            price, quantity: shape (num_events,), float64.
            is_exposed: shape (num_events,), bool.
        """
        price = np.zeros(len(user)) if price is None else price
        quantity = np.ones(len(user)) if quantity is None else quantity
        is_exposed = np.zeros(len(user), dtype=bool) if is_exposed is None else is_exposed
        columns = (user, item, np.asarray(day, dtype=np.float64), event_type, price, quantity, is_exposed)
        order = np.lexsort((event_type, item, day, user))
        return cls(*(np.asarray(column)[order] for column in columns))

    def __len__(self) -> int:
        return len(self.user)

    def where(self, is_kept: np.ndarray) -> EventLog:
        """Returns some of the events.

        Args:
            is_kept: shape (num_events,), bool.
        """
        return EventLog(*(getattr(self, f.name)[is_kept] for f in fields(self)))

    def visits(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the days on which each user did anything, by user, then by day.

        Returns:
            User, int64, and whole day, float64. Both of shape (num_visits,).
        """
        found = np.unique(np.stack([self.user, np.floor(self.day)]), axis=1)
        return found[0].astype(np.int64), found[1]

    def positions_of(self, user: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Returns where each user's events begin that happened at `day` or later.

        Args:
            user, day: shape (num_asked,), int64 and float64.

        Returns:
            Shape (num_asked,), int64.
        """
        step = len(self._days) + 1
        return np.searchsorted(self._keys, user.astype(np.int64) * step + np.searchsorted(self._days, day))

    def between(
        self, user: np.ndarray, since: np.ndarray, until: np.ndarray, most: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the events of each user from `since` up to, but without, `until`.

        Args:
            user, since, until: shape (num_asked,), int64 and float64.
            most: events of a row; the latest are kept. None keeps all.

        Returns:
            Pairs of a row asked for and an event, by row, then in the order of time. Both of shape (num_pairs,), int64.
        """
        ends = self.positions_of(user, until)
        starts = np.minimum(self.positions_of(user, since), ends)
        if most is not None:
            starts = np.maximum(starts, ends - most)
        lengths = ends - starts
        row = np.repeat(np.arange(len(user)), lengths)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return row, starts[row] + nth

    @cached_property
    def _days(self) -> np.ndarray:
        return np.unique(self.day)

    @cached_property
    def _keys(self) -> np.ndarray:
        return self.user.astype(np.int64) * (len(self._days) + 1) + np.searchsorted(self._days, self.day)


class Groups:
    """Amounts by key, gathered for keys that are asked for.

    Args of the constructor: the key of each amount, shape (num_amounts,), and the asked keys, of any shape.
    """

    def __init__(self, keys: np.ndarray, asked: np.ndarray) -> None:
        found, self._group = np.unique(keys, return_inverse=True)
        self._num = len(found)
        self._place = np.searchsorted(found, asked)
        self._place[np.append(found, -1)[self._place] != asked] = self._num

    def sums(self, amounts: np.ndarray) -> np.ndarray:
        """Returns the sum of each asked key's amounts; 0 where there are none.

        Args:
            amounts: shape (num_amounts,), float64.

        Returns:
            Shape of `asked`, float64.
        """
        return np.bincount(self._group, amounts, self._num + 1)[self._place]

    def highest(self, amounts: np.ndarray) -> np.ndarray:
        """Returns the highest of each asked key's amounts, or 0.

        Args:
            amounts: shape (num_amounts,), float64.

        Returns:
            Shape of `asked`, float64.
        """
        highest = np.zeros(self._num + 1)
        np.maximum.at(highest, self._group, amounts)
        return highest[self._place]


def keys_of(row: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Returns one integer for each pair of a row and an index.

    Args:
        row, value: of shapes that go together, int64. The result has the shape of both together, int64.
    """
    return (np.asarray(row, dtype=np.int64) << 32) + value
