"""What shown lists earned, by the reward that a shop declares (`expectations.shop.reward`).

A list stands from its day for `window_days`, within which its items earn what users do with them. All else that the
same user earns the shop from then on, with what they find by themselves on that day or are shown later, falls to every
place of the list, less by the discount for each day between. So a place that takes the click from something else earns
nothing by it, and who is bored and stays away earns nothing either. `horizon_days` ends the sight.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expectations.shop.reward import Reward
from expectations.tables import EVENT_TYPES
from models.slates.event_log import PURCHASE, VIEW, Groups, Happenings, keys_of

ROWS_AT_ONCE = 8192


def event_rewards(happenings: Happenings, reward: Reward) -> np.ndarray:
    """What each event earns. Shape (num_events,)."""
    weights = np.array([reward.event_weights.get(name, 0.0) for name in EVENT_TYPES])
    is_bought = happenings.event_type == PURCHASE
    margin = reward.margin_weight * happenings.price * happenings.quantity * is_bought
    return weights[happenings.event_type] + margin


def returns(
    user: np.ndarray,
    day: np.ndarray,
    item: np.ndarray,
    happenings: Happenings,
    reward: Reward,
    *,
    horizon_days: float,
    window_days: float = 1.0,
) -> np.ndarray:
    """What each place earned at once, and what else the user earned from the list's day on.

    A list whose horizon lies beyond the end of the log is told too little: leave it out.

    Args:
        user, day: of the lists. Shape (num_lists,).
        item: at each rank; -1 where the list has ended. Shape (num_lists, top_k).
        happenings: of these users, at least until the last list's horizon.
        horizon_days: from the list's day.

    Returns:
        Shape (num_lists, top_k); 0 where a list has ended.
    """
    at_once = place_rewards(user, day, item, happenings, reward, window_days)
    others = rewards_beside(user, day, item, happenings, reward, window_days)
    others += later_rewards(user, day, happenings, reward, horizon_days, window_days)
    return np.where(item >= 0, at_once + others[:, None], 0.0)


def rewards_beside(
    user: np.ndarray,
    day: np.ndarray,
    item: np.ndarray,
    happenings: Happenings,
    reward: Reward,
    window_days: float = 1.0,
) -> np.ndarray:
    """What users earned with other items while the list stood; see `returns`. Shape (num_lists,)."""
    rewards, everything = event_rewards(happenings, reward), np.zeros(len(user))
    for part in _parts(len(user)):
        row, event = happenings.between(user[part], day[part], day[part] + window_days)
        everything[part] = np.bincount(row, rewards[event], len(everything[part]))
    with_list = place_rewards(user, day, item, happenings, replace(reward, repetition_penalty=0.0), window_days)
    return everything - with_list.sum(axis=1)


def place_rewards(
    user: np.ndarray,
    day: np.ndarray,
    item: np.ndarray,
    happenings: Happenings,
    reward: Reward,
    window_days: float = 1.0,
) -> np.ndarray:
    """What the items earned while the list stood, less the penalty for repetition; see `returns`."""
    rewards = event_rewards(happenings, reward)
    earned = np.zeros(item.shape)
    for part in _parts(len(user)):
        row, event = happenings.between(user[part], day[part], day[part] + window_days)
        asked = keys_of(np.arange(len(item[part]))[:, None], item[part])
        earned[part] = Groups(keys_of(row, happenings.item[event]), asked).sums(rewards[event])
    if reward.repetition_penalty:
        earned -= reward.repetition_penalty * is_repeated(user, day, item, happenings)
    return np.where(item >= 0, earned, 0.0)


def later_rewards(
    user: np.ndarray,
    day: np.ndarray,
    happenings: Happenings,
    reward: Reward,
    horizon_days: float,
    window_days: float = 1.0,
) -> np.ndarray:
    """What each list's user earned after it, worth what it is on the list's day. Shape (num_lists,).

    With a `return_bonus`, a visit that came soon after the one before earns on its day.
    """
    if not reward.discount:
        return np.zeros(len(user))
    earned = [(happenings, event_rewards(happenings, reward))]
    if reward.return_bonus:
        earned.append(_soon_returns(happenings, reward))
    later = np.zeros(len(user))
    for events, rewards in earned:
        for part in _parts(len(user)):
            row, event = events.between(user[part], day[part] + window_days, day[part] + horizon_days)
            worth = reward.discount ** (events.day[event] - day[part][row])
            later[part] += np.bincount(row, rewards[event] * worth, len(later[part]))
    return later


def is_repeated(user: np.ndarray, day: np.ndarray, item: np.ndarray, happenings: Happenings) -> np.ndarray:
    """Whether the item stood in the same user's list before and was not touched since. Shape (num_lists, top_k)."""
    row, rank = np.nonzero(item >= 0)
    listed_item, listed_day = item[row, rank], day[row]
    order = np.lexsort((listed_day, listed_item, user[row]))
    row, rank, listed_item, listed_day = row[order], rank[order], listed_item[order], listed_day[order]
    is_again = np.zeros(len(row), dtype=bool)
    is_again[1:] = (user[row][1:] == user[row][:-1]) & (listed_item[1:] == listed_item[:-1])
    since = np.where(is_again, np.concatenate([listed_day[:1], listed_day[:-1]]), listed_day)
    touches = happenings.where(happenings.event_type > VIEW)
    pair, event = touches.between(user[row], since, listed_day)
    is_its = touches.item[event] == listed_item[pair]
    found = np.zeros(item.shape, dtype=bool)
    found[row, rank] = is_again & (np.bincount(pair[is_its], minlength=len(row)) == 0)
    return found


def _soon_returns(happenings: Happenings, reward: Reward) -> tuple[Happenings, np.ndarray]:
    """Visits as events, and the bonus that each earns."""
    user, day = happenings.visits()
    is_soon = np.zeros(len(user), dtype=bool)
    is_soon[1:] = (user[1:] == user[:-1]) & (day[1:] - day[:-1] <= reward.return_days)
    nothing = np.zeros(len(user), dtype=np.int64)
    return Happenings.of(user, nothing, day, nothing), reward.return_bonus * is_soon


def _parts(num_rows: int) -> list[slice]:
    return [slice(start, start + ROWS_AT_ONCE) for start in range(0, num_rows, ROWS_AT_ONCE)]
