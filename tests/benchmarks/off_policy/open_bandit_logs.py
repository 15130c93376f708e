"""Logs of the Open Bandit Dataset, and what they say of the policy that made them.

Source: Saito et al. 2020, "Open Bandit Dataset and Pipeline".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

NUM_ITEMS, NUM_POSITIONS = 34, 3
"""Of the men's campaign."""
WINDOW_SECONDS = 300
"""BTS learns every few minutes: later, propensities differ whoever comes."""


@dataclass(frozen=True)
class Log:
    """What one policy showed; all of shape (num_rows,).

    Attributes:
        item, position: counted from 0.
        visitor: equal numbers for visitors who are alike in all that the log tells of them.
    """

    seconds: np.ndarray
    item: np.ndarray
    position: np.ndarray
    click: np.ndarray
    propensity: np.ndarray
    visitor: np.ndarray

    def __len__(self) -> int:
        return len(self.item)


def read_log(path: Path) -> Log:
    """Reads a log of the Open Bandit Dataset."""
    features = [f"user_feature_{n}" for n in range(4)]
    rows = pd.read_csv(path, usecols=["timestamp", "item_id", "position", "click", "propensity_score", *features])
    times = pd.to_datetime(rows["timestamp"], format="ISO8601").astype("int64").to_numpy()
    order = np.argsort(times, kind="stable")
    columns = (
        (times - times.min()) / 1e9,
        rows["item_id"].to_numpy(),
        rows["position"].to_numpy() - 1,
        rows["click"].to_numpy(np.float64),
        rows["propensity_score"].to_numpy(),
        rows.groupby(features).ngroup().to_numpy(),
    )
    return Log(*(column[order] for column in columns))


def shown_shares(log: Log) -> np.ndarray:
    """How often each item stood at each position: the policy's probabilities, on average over the log.

    Propensities are written down for what was shown alone; their mean would be too high, since an item is shown more
    often when it is likelier.

    Returns:
        Shape (NUM_ITEMS, NUM_POSITIONS); each column sums to 1.
    """
    counts = np.zeros((NUM_ITEMS, NUM_POSITIONS))
    np.add.at(counts, (log.item, log.position), 1)
    shares: np.ndarray = counts / counts.sum(axis=0)
    return shares


def agreement(log: Log, *, alike: bool) -> tuple[float, int]:
    """Of neighbouring rows of one item and position, the share whose propensities are within 5 %; and their number.

    Args:
        alike: asks rows before visitors who are alike in all that the log tells of them; else, who differ.
    """
    order = np.lexsort([log.seconds, log.position, log.item])
    earlier, later = order[:-1], order[1:]
    is_pair = (log.item[earlier] == log.item[later]) & (log.position[earlier] == log.position[later])
    is_pair &= log.seconds[later] - log.seconds[earlier] < WINDOW_SECONDS
    is_pair &= (log.visitor[later] == log.visitor[earlier]) == alike
    ratio = log.propensity[later[is_pair]] / log.propensity[earlier[is_pair]]
    return float((np.abs(np.log(ratio)) < np.log(1.05)).mean()), len(ratio)
