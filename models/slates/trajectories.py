"""Each user's lists as a chain through time: which list followed, after how many days, and what came of it later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.slates.slates import Choices


@dataclass(frozen=True)
class Chain:
    """All of shape (num_slates,).

    Attributes:
        following: the row of the same user's next list; -1: there is none.
        days: until then.
        is_known: False where there is none and the log ends too early to tell whether the user is gone.
    """

    following: np.ndarray
    days: np.ndarray
    is_known: np.ndarray

    def discounted(self, earned: np.ndarray, discount: float) -> np.ndarray:
        """What the lists after each list earned, worth what it is on the list's day. Shape (num_slates,).

        Args:
            earned: by each list. Shape (num_slates,).
        """
        later, has_next = np.zeros(len(earned)), self.following >= 0
        rows, step = self.following[has_next], np.zeros(len(earned))
        step[has_next] = discount ** self.days[has_next]
        # Each pass looks one list further ahead.
        while True:
            found = later.copy()
            found[has_next] = step[has_next] * (earned[rows] + later[rows])
            if np.array_equal(found, later):
                return later
            later = found


def chain_of(choices: Choices, gone_after_days: float, last_day: float | None) -> Chain:
    """The lists of `choices`, linked by user and day.

    Args:
        gone_after_days: who has no list for so long earns nothing more.
        last_day: until when the log knows who came back; None: the day of the last list.
    """
    order = np.lexsort((choices.day, choices.user))
    is_same = choices.user[order][1:] == choices.user[order][:-1]
    following = np.full(len(choices), -1)
    following[order[:-1][is_same]] = order[1:][is_same]
    has_next = following >= 0
    days = np.where(has_next, choices.day[following] - choices.day, 0.0)
    until = choices.day.max() if last_day is None else last_day
    return Chain(following, days, has_next | (choices.day + gone_after_days <= until))
