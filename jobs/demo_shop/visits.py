"""A day's visits: what the visitors look at, and what they do about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.shelves import REFILL_DAYS

# Keys of listed items lie above those of all others, which are wants plus Gumbel noise.
_LISTED = 1e6
VIEW, CLICK, CART, PURCHASE = range(4)


@dataclass(frozen=True)
class Visits:
    """One visit a row, one item looked at a column, in the order in which they were looked at.

    Attributes:
        user: shape (num_visits,); all others (num_visits, max_slots).
        item: item indices; anything where nothing was looked at.
        is_viewed, is_clicked, is_carted, is_bought: what happened; each is part of the one before.
        is_listed: whether the item came from the user's list of recommendations.
    """

    user: np.ndarray
    item: np.ndarray
    is_viewed: np.ndarray
    is_clicked: np.ndarray
    is_carted: np.ndarray
    is_bought: np.ndarray
    is_listed: np.ndarray


@dataclass(frozen=True)
class DayOfEvents:
    """What the shop saw in a day, in the order of time. Arrays have one entry per event.

    Attributes:
        user, item: indices.
        event_type: VIEW, CLICK, CART or PURCHASE.
        second: since midnight, UTC.
        visit: which of the day's visits; counts from 0.
        is_listed: whether the item was shown in a list of recommendations.
        visitors: the users who came, one per visit.
        left: the users who will not come again, as of today. No shop is told.
    """

    user: np.ndarray
    item: np.ndarray
    event_type: np.ndarray
    second: np.ndarray
    visit: np.ndarray
    quantity: np.ndarray
    price: np.ndarray
    is_listed: np.ndarray
    visitors: np.ndarray
    left: np.ndarray


def looked_at(
    config: WorldConfig,
    rng: np.random.Generator,
    keys: np.ndarray,
    is_available: np.ndarray,
    lists: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws which items each visitor looks at, best first: some from the top of the list, others found by themselves.

    Drawing the highest keys, Gumbel noise added, draws items without replacement in proportion to exp(key).

    Args:
        keys: how attractive each item is to each visitor. Shape (num_visits, num_items), float.
        is_available: whether an item is in stock. Shape (num_items,), bool.
        lists: item indices, best first, -1 for nothing. Shape (num_visits, any), int.

    Returns:
        item (int), is_viewed and is_listed (bool) as in `Visits`. Each of shape (num_visits, max_slots).
    """
    num_visits = len(keys)
    keys = keys + rng.gumbel(size=keys.shape)
    num_slots = np.clip(1 + rng.poisson(config.mean_slots - 1, num_visits), 1, config.max_slots)
    num_listed = rng.binomial(num_slots, config.list_share)
    if lists is not None:
        is_shown = (lists >= 0) & is_available[lists]
        is_shown &= np.cumsum(is_shown, axis=1) <= num_listed[:, None]
        visit, rank = np.nonzero(is_shown)
        # Written from the last rank to the first, so that an item listed twice keeps its better place.
        keys[visit[::-1], lists[visit, rank][::-1]] = _LISTED - rank[::-1]
    keys[:, ~is_available] = -np.inf
    item = np.argpartition(-keys, config.max_slots - 1, axis=1)[:, : config.max_slots]
    order = np.argsort(-np.take_along_axis(keys, item, axis=1), axis=1, kind="stable")
    item = np.take_along_axis(item, order, axis=1)
    found = np.take_along_axis(keys, item, axis=1)
    is_viewed = (np.arange(config.max_slots) < num_slots[:, None]) & np.isfinite(found)
    return item, is_viewed, is_viewed & (found > _LISTED / 2)


def reactions(
    config: WorldConfig,
    rng: np.random.Generator,
    user: np.ndarray,
    seen: tuple[np.ndarray, np.ndarray, np.ndarray],
    wants: np.ndarray,
    shelf: np.ndarray,
) -> Visits:
    """Draws what the visitors do about what they look at.

    Args:
        user: who visits. Shape (num_visits,), int.
        seen: what `looked_at` returned.
        wants: of every visitor for every item. Shape (num_visits, num_items), float.
        shelf: of every item. Shape (num_items,), int.
    """
    item, is_viewed, is_listed = seen
    want = np.take_along_axis(wants, item, axis=1)
    # Satiation sets in within the visit: each earlier item of the same shelf makes the next one duller.
    want = want - config.satiation_weight * _num_earlier_alike(shelf[item])
    chance = rng.random((3, *item.shape))
    is_clicked = is_viewed & (chance[0] < _logistic(config.click_intercept + config.click_slope * want))
    is_carted = is_clicked & (chance[1] < _logistic(config.cart_intercept + config.cart_slope * want))
    is_bought = is_carted & (chance[2] < config.buy_share)
    # Nobody buys two phones in one visit: the first of a shelf is enough.
    is_bought &= _num_earlier_alike(np.where(is_bought, shelf[item], -1 - np.arange(item.shape[1]))) == 0
    return Visits(user, item, is_viewed, is_clicked, is_carted, is_bought, is_listed)


def events_of(rng: np.random.Generator, visits: Visits, shelf: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the events of the visits, in the order of time; all arrays of DayOfEvents but price, visitors and left.

    Args:
        shelf: of every item. Shape (num_items,), int.

    Returns:
        Name -> values, each of shape (num_events,): `is_listed` is bool, all others are int.
    """
    num_visits, num_slots = visits.item.shape
    gap = np.clip(rng.exponential(45, (num_visits, num_slots)), 20, 240)
    # Two humps, at lunch and in the evening; the longest visit still ends before midnight.
    hour = np.where(rng.random(num_visits) < 0.35, rng.normal(12.5, 2, num_visits), rng.normal(19, 2, num_visits))
    start = np.clip(hour * 3600, 0, 86_400 - 240 * (num_slots + 1) - 120)
    viewed_at = start[:, None] + np.cumsum(gap, axis=1)
    paid_at = viewed_at.max(axis=1, keepdims=True, where=visits.is_viewed, initial=0) + 60
    steps = (
        (visits.is_viewed, viewed_at),
        (visits.is_clicked, viewed_at + 6),
        (visits.is_carted, viewed_at + 15),
        (visits.is_bought, np.broadcast_to(paid_at, viewed_at.shape)),
    )
    where = [np.nonzero(happened) for happened, _ in steps]
    visit = np.concatenate([w[0] for w in where])
    slot = np.concatenate([w[1] for w in where])
    event_type = np.repeat(np.arange(4), [len(w[0]) for w in where])
    second = np.concatenate([at[happened] for happened, at in steps]).astype(int)
    item = visits.item[visit, slot]
    several = np.where(REFILL_DAYS[shelf[item]] > 0, 1 + rng.binomial(2, 0.25, len(item)), 1)
    order = np.lexsort((event_type, item, visit, second))
    events = {
        "user": visits.user[visit],
        "item": item,
        "event_type": event_type,
        "second": second,
        "visit": visit,
        "quantity": np.where(event_type >= CART, several, 1),
        "is_listed": visits.is_listed[visit, slot],
    }
    return {name: column[order] for name, column in events.items()}


def _num_earlier_alike(shelf: np.ndarray) -> np.ndarray:
    """For each slot, the slots of the same visit before it that hold the same shelf. Shape (num_visits, num_slots)."""
    is_alike = shelf[:, :, None] == shelf[:, None, :]
    num_slots = shelf.shape[1]
    return (is_alike & np.tri(num_slots, k=-1, dtype=bool)).sum(axis=2)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
