"""One model's lists, judged against what users did: metrics a user, and which items it recommends at all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from expectations.lake import Version
from models.held_out import NEW_ITEMS, HeldOut
from models.metrics import METRICS, bootstrap_means, hits, recommended_items, relevant_from_pairs
from models.ranked_lists import read_list_rows, top_items

USERS_PER_CHUNK = 8_192
"""Judged users whose lists are in memory at a time."""
NUM_RESAMPLES = 1_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judgement:
    """What one model achieved on one task.

    Attributes:
        values: (metric, k) -> one value a user, in the order of the task's users.
        num_recommended: k -> distinct items in the first k ranks of all judged users' lists.
    """

    values: dict[tuple[str, int], np.ndarray]
    num_recommended: dict[int, int]


def judged_lists(model: str, lists: Version, task: HeldOut, ks: Sequence[int]) -> Judgement:
    """Reads and judges the lists of a model, a range of users at a time."""
    values: dict[tuple[str, int], list[np.ndarray]] = {(metric, k): [] for metric in METRICS for k in ks}
    recommended: dict[int, set[int]] = {k: set() for k in ks}
    num_users = len(task.user_indices)
    for start in range(0, num_users, USERS_PER_CHUNK):
        chunk = _slice_of(task, start, start + USERS_PER_CHUNK)
        rows = read_list_rows(lists, chunk.user_indices)
        ranked = top_items(rows, chunk.user_indices, max(ks), exclude_seen=task.task == NEW_ITEMS)
        is_hit, num_relevant = hits(ranked, chunk.relevant), chunk.relevant.counts
        for metric, k in values:
            values[metric, k].append(METRICS[metric](is_hit, num_relevant, k))
        for k in ks:
            recommended[k].update(recommended_items(ranked, k).tolist())
        done = min(start + USERS_PER_CHUNK, num_users)
        logger.info("judged: model=%s task=%s users=%d of=%d", model, task.task, done, num_users)
    return Judgement(
        {key: np.concatenate(parts) for key, parts in values.items()}, {k: len(v) for k, v in recommended.items()}
    )


def backtest_rows(
    task: HeldOut, judgements: dict[str, Judgement], ks: Sequence[int], num_items: int, seed: int
) -> list[dict[str, Any]]:
    """Rows of `backtests` for one task: means over users, and bootstrap intervals of ndcg."""
    columns = [(model, k) for model in judgements for k in ks]
    ndcg = np.stack([judgements[model].values["ndcg", k] for model, k in columns], axis=1)  # (num_users, num_columns)
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
                **{metric: float(judgement.values[metric, k].mean()) for metric in METRICS},
                "coverage": judgement.num_recommended[k] / num_items,
                "ndcg_low": float(low),
                "ndcg_high": float(high),
            }
        )
    return rows


def _slice_of(task: HeldOut, start: int, stop: int) -> HeldOut:
    relevant = task.relevant
    first, last = np.searchsorted(relevant.user_rows, [start, stop])
    users = task.user_indices[start:stop]
    pairs = relevant_from_pairs(relevant.user_rows[first:last] - start, relevant.item_indices[first:last], len(users))
    return HeldOut(task.task, users, pairs)
