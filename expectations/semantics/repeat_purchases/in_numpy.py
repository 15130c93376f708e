"""Repeat purchases in NumPy, for the session model. `expectations.semantics.repeat_purchases` says what the rule is.

Days are counted from 1970 in UTC.
"""

from __future__ import annotations

import numpy as np

NEVER = 2**31 - 1
"""The day on which something comes back that never does."""


def gap_totals(
    user_index: np.ndarray, item_index: np.ndarray, day: np.ndarray, num_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the days between the first and the last purchase of an item by a user, and the gaps in them, summed.

    Sums over groups of users add up to the sums over all of them.

    Args:
        user_index, item_index, day: of purchases, in any order; several on one day count once. Integers of shape
            (num_purchases,).

    Returns:
        Two arrays of float64, shape (num_items,): days, and the number of gaps.
    """
    days, num_gaps = np.zeros(num_items), np.zeros(num_items)
    pairs = user_index.astype(np.int64) * num_items + item_index
    on_day = np.unique(np.stack([pairs, day]), axis=1)
    keys, starts, counts = np.unique(on_day[0], return_index=True, return_counts=True)
    items = keys % num_items
    np.add.at(days, items, on_day[1][starts + counts - 1] - on_day[1][starts])
    np.add.at(num_gaps, items, counts - 1)
    return days, num_gaps


def usual_gap_days(days: np.ndarray, num_gaps: np.ndarray, num_prior_gaps: int) -> np.ndarray:
    """Returns each item's usual gap in days, float64 of shape (num_items,).

    An item that nobody bought twice has the shop's; where there is none at all, everything has an infinite one.

    Args:
        days, num_gaps: of all users, see `gap_totals`. Shape (num_items,).
        num_prior_gaps: so many of the shop's gaps are averaged with each item's own.
    """
    if not num_gaps.sum():
        return np.full(len(days), np.inf)
    of_shop = days.sum() / num_gaps.sum()
    return np.asarray((days + num_prior_gaps * of_shop) / (num_gaps + num_prior_gaps))


def first_days_back(last_day: np.ndarray, gap_days: np.ndarray) -> np.ndarray:
    """Returns the first day on which an item may come back, or NEVER; int64 of the same shape.

    Args:
        last_day: of the last purchase.
        gap_days: the item's usual gap, infinite for never. Same shape.
    """
    return np.minimum(last_day + np.ceil(gap_days), NEVER).astype(np.int64)
