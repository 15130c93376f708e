"""One model's lists, judged against what users did: metrics a user, and which items it recommends at all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from expectations.lake import Version
from models.held_out import NEW_ITEMS, HeldOut
from models.metrics import METRICS, bootstrap_means, hits, recommended_items
from models.ranked_lists import ListRows, read_list_rows, top_items

USERS_PER_CHUNK = 8_192
"""Judged users whose lists are in memory at a time."""
NUM_RESAMPLES = 1_000

logger = logging.getLogger(__name__)


@dataclass
class Judgement:
    """What one model achieved on one task; grows range by range.

    Attributes:
        parts: (metric, k) -> one value a user, an array a range of users, in the order of the task's users.
        recommended: k -> distinct items in the first k ranks of all judged users' lists.
    """

    parts: dict[tuple[str, int], list[np.ndarray]]
    recommended: dict[int, set[int]]

    @classmethod
    def empty(cls, ks: Sequence[int]) -> Judgement:
        """Of no users yet."""
        return cls({(metric, k): [] for metric in METRICS for k in ks}, {k: set() for k in ks})

    def add(self, part: HeldOut, rows: ListRows) -> None:
        """Judges the next users of the task by their rows."""
        depth = max(self.recommended)
        ranked = top_items(rows, part.user_indices, depth, exclude_seen=part.task == NEW_ITEMS)
        is_hit, num_relevant = hits(ranked, part.relevant), part.relevant.counts
        for (metric, k), parts in self.parts.items():
            parts.append(METRICS[metric](is_hit, num_relevant, k))
        for k, items in self.recommended.items():
            items.update(recommended_items(ranked, k).tolist())

    def values(self, metric: str, k: int) -> np.ndarray:
        """One value a user, in the order of the task's users."""
        return np.concatenate(self.parts[metric, k])


def judged_lists(model: str, lists: Version, tasks: Sequence[HeldOut], ks: Sequence[int]) -> dict[str, Judgement]:
    """Reads the lists of a model once, a range of users at a time, and judges them on every task."""
    judgements = {task.task: Judgement.empty(ks) for task in tasks}
    users = np.unique(np.concatenate([task.user_indices for task in tasks]))
    for start in range(0, len(users), USERS_PER_CHUNK):
        chunk = users[start : start + USERS_PER_CHUNK]
        rows = read_list_rows(lists, chunk)
        for task in tasks:
            part = task.between(int(chunk[0]), int(chunk[-1]))
            if len(part.user_indices):
                judgements[task.task].add(part, rows)
        logger.info("judged: model=%s users=%d of=%d", model, start + len(chunk), len(users))
    return judgements


def backtest_rows(
    task: HeldOut, judgements: dict[str, Judgement], ks: Sequence[int], num_items: int, seed: int
) -> list[dict[str, Any]]:
    """Rows of `backtests` for one task: means over users, and bootstrap intervals of ndcg."""
    columns = [(model, k) for model in judgements for k in ks]
    ndcg = np.stack([judgements[model].values("ndcg", k) for model, k in columns], axis=1)  # (num_users, num_columns)
    bounds = np.quantile(bootstrap_means(ndcg, NUM_RESAMPLES, seed), [0.025, 0.975], axis=0)
    rows: list[dict[str, Any]] = []
    for (model, k), low, high in zip(columns, *bounds, strict=True):
        judgement = judgements[model]
        rows.append(
            {
                "model": model,
                "task": task.task,
                "k": k,
                "num_users": len(task.user_indices),
                "num_items": num_items,
                **{metric: float(judgement.values(metric, k).mean()) for metric in METRICS},
                "coverage": len(judgement.recommended[k]) / num_items,
                "ndcg_low": float(low),
                "ndcg_high": float(high),
            }
        )
    return rows
