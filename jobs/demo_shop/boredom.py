"""The boredom of the demo world's people: what raises it, how it makes visits rarer, and when it drives them away.

A visit without a click adds 1 to a user's boredom; a visit with one, and each night, leave a share of it. It is about
the shop as a whole. What makes one shelf dull is satiation, a term of `jobs.demo_shop.wants`.
"""

from __future__ import annotations

import numpy as np

from jobs.demo_shop.config import WorldConfig


def visit_share(config: WorldConfig, boredom: np.ndarray) -> np.ndarray:
    """Returns which share of their usual visits people make: exp(-boredom_brake x boredom).

    Args:
        boredom: of each user, 0 or more. Shape (num_users,), float.

    Returns:
        One share in (0, 1] per user. Shape (num_users,), float.
    """
    return np.asarray(np.exp(-config.boredom_brake * boredom))


def boredom_after_visits(config: WorldConfig, boredom: np.ndarray, has_clicked: np.ndarray) -> np.ndarray:
    """Returns the boredom of visitors after their visit: 1 more without a click, `boredom_memory` of it with one.

    Args:
        boredom: of each visitor before the visit. Shape (num_visits,), float.
        has_clicked: whether the visit had a click. Shape (num_visits,), bool.

    Returns:
        Shape (num_visits,), float.
    """
    return np.where(~has_clicked, boredom + 1, config.boredom_memory * boredom)


def boredom_after_night(config: WorldConfig, boredom: np.ndarray) -> np.ndarray:
    """Returns what a night leaves of boredom: `boredom_relief` of it. Shape (num_users,), float, in and out."""
    return boredom * config.boredom_relief


def leave_chances(config: WorldConfig, boredom: np.ndarray) -> np.ndarray:
    """Returns the chance that visitors leave for good: leave_base + leave_slope x boredom^2.

    Args:
        boredom: of each visitor after the visit. Shape (num_visits,), float.

    Returns:
        Probabilities. Shape (num_visits,), float.
    """
    return config.leave_base + config.leave_slope * boredom**2
