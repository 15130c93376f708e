"""Each user's lists as a trajectory: which list came next, after how many days, and the rewards that followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.slates.slates import CandidateSets


@dataclass(frozen=True)
class Trajectories:
    """All of shape (num_slates,).

    Attributes:
        next_slate: the row of the same user's next list; -1: there is none.
        days: until then.
        is_known: False where there is none and the log ends too early to tell whether the user is gone.
    """

    next_slate: np.ndarray
    days: np.ndarray
    is_known: np.ndarray

    def discounted(self, rewards: np.ndarray, discount: float) -> np.ndarray:
        """Returns what the lists after each list earned, discounted to the list's day.

        Args:
            rewards: by each list. Shape (num_slates,), float64.
            discount: what a reward is worth that comes a day later.

        Returns:
            Shape (num_slates,), float64.
        """
        future_reward, has_next = np.zeros(len(rewards)), self.next_slate >= 0
        rows, step = self.next_slate[has_next], np.zeros(len(rewards))
        step[has_next] = discount ** self.days[has_next]
        # Each pass looks one list further ahead.
        while True:
            found = future_reward.copy()
            found[has_next] = step[has_next] * (rewards[rows] + future_reward[rows])
            if np.array_equal(found, future_reward):
                return future_reward
            future_reward = found


def link_slates(candidates: CandidateSets, gone_after_days: float, last_day: float | None) -> Trajectories:
    """Links the lists of `candidates` by user and day.

    Args:
        gone_after_days: who has no list for so long earns nothing more.
        last_day: until when the log knows who came back; None: the day of the last list.
    """
    order = np.lexsort((candidates.day, candidates.user))
    is_same = candidates.user[order][1:] == candidates.user[order][:-1]
    next_slate = np.full(len(candidates), -1)
    next_slate[order[:-1][is_same]] = order[1:][is_same]
    has_next = next_slate >= 0
    days = np.where(has_next, candidates.day[next_slate] - candidates.day, 0.0)
    until = candidates.day.max() if last_day is None else last_day
    return Trajectories(next_slate, days, has_next | (candidates.day + gone_after_days <= until))
