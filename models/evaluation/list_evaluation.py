"""Models' lists, judged against what users did: how right they are, what they are like, and who is better than whom."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from expectations.runtime.lake import Version
from models.evaluation.beyond_accuracy import BEYOND_ACCURACY, beyond_accuracy, popularity_of_relevant
from models.evaluation.held_out import NEW_ITEMS, HeldOut
from models.evaluation.population_stats import PopulationStats
from models.evaluation.ranking_metrics import METRICS, hits, recommended_items
from models.evaluation.resampling import (
    GAINS,
    NUM_RESAMPLES,
    SHARES,
    bootstrap_means,
    interval,
    two_sided_p_value,
)
from models.interface.ranked_lists import ListRows, read_list_rows, top_items

Row = dict[str, Any]

USERS_PER_CHUNK = 8_192
"""Judged users whose lists are in memory at a time."""

logger = logging.getLogger(__name__)


@dataclass
class ListScores:
    """What one model achieved on one task; grows range by range.

    Attributes:
        parts: (metric, k) -> one value a user, an array a range of users, in the order of the task's users; likewise
            (trait, k).
        recommended: k -> distinct items in the first k ranks of all judged users' lists.
    """

    parts: dict[tuple[str, int], list[np.ndarray]]
    recommended: dict[int, set[int]]

    @classmethod
    def empty(cls, ks: Sequence[int]) -> ListScores:
        """Of no users yet."""
        return cls({(name, k): [] for name in (*METRICS, *BEYOND_ACCURACY) for k in ks}, {k: set() for k in ks})

    def add(self, part: HeldOut, rows: ListRows, stats: PopulationStats) -> None:
        """Judges the next users of the task by their rows."""
        depth = max(self.recommended)
        ranked = top_items(rows, part.user_indices, depth, exclude_seen=part.task == NEW_ITEMS)
        is_hit, num_relevant = hits(ranked, part.relevant), part.relevant.counts
        for k, items in self.recommended.items():
            for name, metric in METRICS.items():
                self.parts[name, k].append(metric(is_hit, num_relevant, k))
            for name, values in beyond_accuracy(ranked[:, :k], stats).items():
                self.parts[name, k].append(values)
            items.update(recommended_items(ranked, k).tolist())

    def values(self, name: str, k: int) -> np.ndarray:
        """One value a user, in the order of the task's users. float64, shape (num_users,)."""
        return np.concatenate(self.parts[name, k])


@dataclass(frozen=True)
class EvaluatedTask:
    """What models achieved on one task, or a slice of one, in one window.

    Attributes:
        relevant_popularity: how many users had met what was wanted, in the mean.
        num_items: of the window's catalogue.
        scores_by_model: by model.
    """

    held_out: HeldOut
    relevant_popularity: float
    num_items: int
    scores_by_model: Mapping[str, ListScores]

    @property
    def num_users(self) -> int:
        return len(self.held_out.user_indices)


def list_scores_of(
    model: str, lists: Version, asked: Sequence[tuple[HeldOut, Sequence[int]]], stats: PopulationStats
) -> list[ListScores]:
    """Reads the lists of a model once, a range of users at a time, and judges them on all that is asked, in its order.

    Args:
        asked: tasks, or slices of one, each with the cut-offs to judge it at.
    """
    scores_by_model = [ListScores.empty(ks) for _, ks in asked]
    users = np.unique(np.concatenate([part.user_indices for part, _ in asked]))
    for start in range(0, len(users), USERS_PER_CHUNK):
        chunk = users[start : start + USERS_PER_CHUNK]
        rows = read_list_rows(lists, chunk)
        for (task, _), list_scores in zip(asked, scores_by_model, strict=True):
            part = task.between(int(chunk[0]), int(chunk[-1]))
            if len(part.user_indices):
                list_scores.add(part, rows, stats)
        logger.info("judged: model=%s users=%d of=%d", model, start + len(chunk), len(users))
    return scores_by_model


def evaluated_tasks(
    lists: Mapping[str, Version], asked: Sequence[tuple[HeldOut, Sequence[int]]], stats: PopulationStats, num_items: int
) -> list[EvaluatedTask]:
    """Judges the lists of one window on all that is asked, in its order.

    Args:
        lists: model -> its lists.
        stats: of the shop at the window's start, when the catalogue held `num_items`.
    """
    judged = {model: list_scores_of(model, version, asked, stats) for model, version in lists.items()}
    return [
        EvaluatedTask(
            part,
            popularity_of_relevant(part.relevant, stats),
            num_items,
            {model: scores_by_model[place] for model, scores_by_model in judged.items()},
        )
        for place, (part, _) in enumerate(asked)
    ]


def backtest_rows(windows: Sequence[EvaluatedTask], ks: Sequence[int], seed: int) -> list[Row]:
    """Rows of `backtests` for one task: means over the users of all windows, and bootstrap intervals of ndcg.

    A user whom two windows judge counts twice. Coverage is the mean over the windows, `num_items` the latest one's.
    """
    columns = [(model, k) for model in windows[0].scores_by_model for k in ks]
    intervals, num_users = _intervals(windows, columns, seed), _num_users(windows)
    wanted = sum(part.relevant_popularity * part.num_users for part in windows) / num_users
    rows: list[Row] = []
    for (model, k), (low, high) in zip(columns, intervals, strict=True):
        covered = [len(part.scores_by_model[model].recommended[k]) / part.num_items for part in windows]
        rows.append(
            {
                "model": model,
                "task": windows[0].held_out.task,
                "k": k,
                "num_users": num_users,
                "num_items": windows[0].num_items,
                **{name: _mean(windows, model, name, k) for name in (*METRICS, "novelty", "diversity")},
                "coverage": float(np.mean(covered)),
                "popularity_lift": _mean(windows, model, "popularity", k) / max(wanted, 1e-9),
                "ndcg_low": low,
                "ndcg_high": high,
            }
        )
    return rows


def slice_rows(windows: Sequence[EvaluatedTask], k: int, seed: int) -> list[Row]:
    """Rows of `backtest_slices` for one slice of a task."""
    models, part = list(windows[0].scores_by_model), windows[0].held_out
    intervals = _intervals(windows, [(model, k) for model in models], seed)
    about = {"task": part.task, "slice": part.slice, "k": k, "num_users": _num_users(windows)}
    return [
        {
            "model": model,
            **about,
            **{name: _mean(windows, model, name, k) for name in ("recall", "ndcg")},
            "ndcg_low": low,
            "ndcg_high": high,
        }
        for model, (low, high) in zip(models, intervals, strict=True)
    ]


def gain_rows(windows: Sequence[EvaluatedTask], k: int, seed: int, metric: str) -> list[Row]:
    """Rows of `backtest_gains` for one task: every model against every other one, over the same users.

    Args:
        metric: of METRICS; what the gate compares.
    """
    models, num_users = list(windows[0].scores_by_model), _num_users(windows)
    values = _by_column(windows, metric, [(model, k) for model in models])
    resampled, means = bootstrap_means(values, NUM_RESAMPLES, seed), values.mean(axis=0)
    rows: list[Row] = []
    for (m, model), (r, rival) in permutations(enumerate(models), 2):
        gains = resampled[:, m] - resampled[:, r]
        low, high = interval(gains, num_users, GAINS)
        rows.append(
            {
                "model": model,
                "rival": rival,
                "task": windows[0].held_out.task,
                "k": k,
                "gain": float(means[m] - means[r]),
                "gain_low": low,
                "gain_high": high,
                "p_value": two_sided_p_value(gains, num_users),
            }
        )
    return rows


def _num_users(windows: Sequence[EvaluatedTask]) -> int:
    return sum(part.num_users for part in windows)


def _values(windows: Sequence[EvaluatedTask], model: str, name: str, k: int) -> np.ndarray:
    """One value a user and window."""
    return np.concatenate([part.scores_by_model[model].values(name, k) for part in windows])


def _mean(windows: Sequence[EvaluatedTask], model: str, name: str, k: int) -> float:
    """Over the users; 0 where no user has the value, as that of an empty list."""
    values = _values(windows, model, name, k)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else 0.0


def _by_column(windows: Sequence[EvaluatedTask], metric: str, columns: Sequence[tuple[str, int]]) -> np.ndarray:
    """Shape (num_users of all windows, num_columns)."""
    return np.stack([_values(windows, model, metric, k) for model, k in columns], axis=1)


def _intervals(
    windows: Sequence[EvaluatedTask], columns: Sequence[tuple[str, int]], seed: int
) -> list[tuple[float, float]]:
    """The 95 % interval of the mean ndcg of each column."""
    means = bootstrap_means(_by_column(windows, "ndcg", columns), NUM_RESAMPLES, seed)
    return [interval(column, _num_users(windows), SHARES) for column in means.T]
