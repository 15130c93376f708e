"""The rewards of shown lists, by the weights that a shop declares (`expectations.shop.reward`).

A list stands from its day for `window_days`, within which its items earn what users do with them. All else that the
same user earns the shop from then on, by organic events of that day or by later lists, is credited to every slot of the
list, discounted for each day between. So a slot that takes the click from something else earns nothing by it, and a
list after which the user stays away earns nothing either. Nothing after `horizon_days` counts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expectations.shop.reward import Reward
from expectations.tables import EVENT_TYPES
from models.slates.event_log import PURCHASE, VIEW, EventLog, Groups, keys_of

ROWS_AT_ONCE = 8192
"""Lists that are looked up together: bounds memory."""


def event_rewards(event_log: EventLog, reward: Reward) -> np.ndarray:
    """Returns what each event earns. Shape (num_events,), float64, in rewards."""
    weights = np.array([reward.event_weights.get(name, 0.0) for name in EVENT_TYPES])
    is_bought = event_log.event_type == PURCHASE
    margin = reward.margin_weight * event_log.price * event_log.quantity * is_bought
    return weights[event_log.event_type] + margin


def returns(
    user: np.ndarray,
    day: np.ndarray,
    item: np.ndarray,
    event_log: EventLog,
    reward: Reward,
    *,
    horizon_days: float,
    window_days: float = 1.0,
) -> np.ndarray:
    """Returns what each slot earned while the list stood, and what else the user earned from the list's day on.

    A list whose horizon lies beyond the end of the log is credited with too little: leave it out.

    Args:
        user, day: of the lists. Shape (num_lists,), int64 and float64.
        item: at each rank; -1 where the list has ended. Shape (num_lists, top_k), int64.
        event_log: of these users, at least until the last list's horizon.
        horizon_days: from the list's day.

    Returns:
        Shape (num_lists, top_k), float64; 0 where a list has ended.
    """
    immediate_reward = slot_rewards(user, day, item, event_log, reward, window_days)
    others = other_rewards(user, day, item, event_log, reward, window_days)
    others += future_rewards(user, day, event_log, reward, horizon_days, window_days)
    return np.where(item >= 0, immediate_reward + others[:, None], 0.0)


def other_rewards(
    user: np.ndarray,
    day: np.ndarray,
    item: np.ndarray,
    event_log: EventLog,
    reward: Reward,
    window_days: float = 1.0,
) -> np.ndarray:
    """Returns what users earned with other items while the list stood; see `returns`.

    Args:
        user, day: of the lists. Shape (num_lists,), int64 and float64.
        item: at each rank; -1 where the list has ended. Shape (num_lists, top_k), int64.

    Returns:
        Shape (num_lists,), float64.
    """
    rewards, everything = event_rewards(event_log, reward), np.zeros(len(user))
    for part in _parts(len(user)):
        row, event = event_log.between(user[part], day[part], day[part] + window_days)
        everything[part] = np.bincount(row, rewards[event], len(everything[part]))
    with_list = slot_rewards(user, day, item, event_log, replace(reward, repetition_penalty=0.0), window_days)
    return everything - with_list.sum(axis=1)


def slot_rewards(
    user: np.ndarray,
    day: np.ndarray,
    item: np.ndarray,
    event_log: EventLog,
    reward: Reward,
    window_days: float = 1.0,
) -> np.ndarray:
    """Returns what the items earned while the list stood, less the penalty for repetition; see `returns`.

    Args:
        user, day: of the lists. Shape (num_lists,), int64 and float64.
        item: at each rank; -1 where the list has ended. Shape (num_lists, top_k), int64.

    Returns:
        Shape (num_lists, top_k), float64; 0 where a list has ended.
    """
    rewards = event_rewards(event_log, reward)
    by_slot = np.zeros(item.shape)
    for part in _parts(len(user)):
        row, event = event_log.between(user[part], day[part], day[part] + window_days)
        asked = keys_of(np.arange(len(item[part]))[:, None], item[part])
        by_slot[part] = Groups(keys_of(row, event_log.item[event]), asked).sums(rewards[event])
    if reward.repetition_penalty:
        by_slot -= reward.repetition_penalty * is_repeated(user, day, item, event_log)
    return np.where(item >= 0, by_slot, 0.0)


def future_rewards(
    user: np.ndarray,
    day: np.ndarray,
    event_log: EventLog,
    reward: Reward,
    horizon_days: float,
    window_days: float = 1.0,
) -> np.ndarray:
    """Returns what each list's user earned after it, discounted to the list's day.

    With a `return_bonus`, a visit that came soon after the one before earns on its day.

    Args:
        user, day: of the lists. Shape (num_lists,), int64 and float64.

    Returns:
        Shape (num_lists,), float64.
    """
    if not reward.discount:
        return np.zeros(len(user))
    sources = [(event_log, event_rewards(event_log, reward))]
    if reward.return_bonus:
        sources.append(_soon_returns(event_log, reward))
    future_reward = np.zeros(len(user))
    for events, rewards in sources:
        for part in _parts(len(user)):
            row, event = events.between(user[part], day[part] + window_days, day[part] + horizon_days)
            discount = reward.discount ** (events.day[event] - day[part][row])
            future_reward[part] += np.bincount(row, rewards[event] * discount, len(future_reward[part]))
    return future_reward


def is_repeated(user: np.ndarray, day: np.ndarray, item: np.ndarray, event_log: EventLog) -> np.ndarray:
    """Returns whether the item stood in the same user's list before and was not interacted with since.

    Args:
        user, day: of the lists. Shape (num_lists,), int64 and float64.
        item: at each rank; -1 where the list has ended. Shape (num_lists, top_k), int64.

    Returns:
        Shape (num_lists, top_k), bool.
    """
    row, rank = np.nonzero(item >= 0)
    listed_item, listed_day = item[row, rank], day[row]
    order = np.lexsort((listed_day, listed_item, user[row]))
    row, rank, listed_item, listed_day = row[order], rank[order], listed_item[order], listed_day[order]
    is_again = np.zeros(len(row), dtype=bool)
    is_again[1:] = (user[row][1:] == user[row][:-1]) & (listed_item[1:] == listed_item[:-1])
    since = np.where(is_again, np.concatenate([listed_day[:1], listed_day[:-1]]), listed_day)
    touches = event_log.where(event_log.event_type > VIEW)
    pair, event = touches.between(user[row], since, listed_day)
    is_its = touches.item[event] == listed_item[pair]
    found = np.zeros(item.shape, dtype=bool)
    found[row, rank] = is_again & (np.bincount(pair[is_its], minlength=len(row)) == 0)
    return found


def _soon_returns(event_log: EventLog, reward: Reward) -> tuple[EventLog, np.ndarray]:
    """Visits as events, and the bonus that each earns."""
    user, day = event_log.visits()
    is_soon = np.zeros(len(user), dtype=bool)
    is_soon[1:] = (user[1:] == user[:-1]) & (day[1:] - day[:-1] <= reward.return_days)
    nothing = np.zeros(len(user), dtype=np.int64)
    return EventLog.of(user, nothing, day, nothing), reward.return_bonus * is_soon


def _parts(num_rows: int) -> list[slice]:
    return [slice(start, start + ROWS_AT_ONCE) for start in range(0, num_rows, ROWS_AT_ONCE)]
