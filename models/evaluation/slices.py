"""A backtest's task for one kind of user or item: where is a model good, and where is it not?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.evaluation.held_out import HeldOut
from models.evaluation.population_stats import PopulationStats
from models.evaluation.ranking_metrics import relevant_from_pairs

MIN_USERS = 30
"""A mean over fewer says nothing."""
MAX_NAMES = 10
"""Countries and domains that are told apart, those of most judged users."""
LIGHT_USER, HEAVY_USER = 5, 20
"""Items that a user had met: fewer than LIGHT_USER is a new user, at least HEAVY_USER a heavy one."""
COLD_ITEM = 10
"""An item is cold while fewer users than this had met it."""


def slices_of(task: HeldOut, stats: PopulationStats) -> list[HeldOut]:
    """The task for users of a kind, and for what was wanted of a kind; those about too few users are left out."""
    num_met, country = stats.num_met[task.user_indices], stats.country[task.user_indices]
    of_users = {
        "users=new": num_met < LIGHT_USER,
        "users=light": (num_met >= LIGHT_USER) & (num_met < HEAVY_USER),
        "users=heavy": num_met >= HEAVY_USER,
        **dict(_by_name("country", country)),
    }
    items = task.relevant.item_indices
    met_by = stats.met_by[items]
    of_items = {
        "items=cold": met_by < COLD_ITEM,
        "items=warm": met_by >= COLD_ITEM,
        **dict(_by_name("domain", stats.domain[items])),
    }
    kept = {name: is_user[task.relevant.user_rows] for name, is_user in of_users.items()} | of_items
    slices = [_slice(task, name, is_pair) for name, is_pair in kept.items()]
    return [part for part in slices if len(part.user_indices) >= MIN_USERS]


def _by_name(kind: str, names: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The most frequent names, where there is more than one."""
    found, counts = np.unique(names[names != ""].astype(str), return_counts=True)
    if len(found) > 1:
        for place in np.lexsort((found, -counts))[:MAX_NAMES]:
            yield f"{kind}={found[place]}", names == found[place]


def _slice(task: HeldOut, name: str, is_pair: np.ndarray) -> HeldOut:
    users, rows = np.unique(task.relevant.user_rows[is_pair], return_inverse=True)
    relevant = relevant_from_pairs(rows, task.relevant.item_indices[is_pair], len(users))
    return HeldOut(task.task, task.user_indices[users], relevant, name)
