"""The shop as it stood at a past moment: what turns histories into training examples without a leak.

A model that is asked at the end of `as_of` what users will want in the next `horizon_days` is trained on the same
question asked earlier: a `Snapshot` at a cut holds only events before it, and the window after it holds the answers.
The features of training and of scoring come from the same code, with another cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from expectations.tables import FIRST_VALUE_INDEX, UNKNOWN_INDEX, NightError
from models.dataset import SECONDS_PER_DAY, Dataset

DEMAND_WINDOWS = (7, 30, 90)


@dataclass(frozen=True)
class Window:
    """A question of the past: what did users want from `cut` until `end`? In seconds since 1970 UTC."""

    cut: int
    end: int


def training_windows(dataset: Dataset, max_windows: int) -> list[Window]:
    """Past windows of `horizon_days`, the latest first; each has events before it to answer from.

    A log that is too short for one whole window is cut in the middle of its time.

    Raises:
        NightError: all events fell on one moment.
    """
    times = dataset.events.time
    first, length = int(times.min()), dataset.horizon_days * SECONDS_PER_DAY
    ends = [dataset.end - n * length for n in range(max_windows)]
    windows = [Window(end - length, end) for end in ends if end - length > first]
    if windows:
        return windows
    middle = int(np.sort(times)[len(times) // 2])
    if middle == first:
        raise NightError(
            f"histories ds={dataset.as_of} span no time, and a deep model learns later events from earlier ones. "
            f"Wait for more days, or leave the deep models out of `models`."
        )
    return [Window(middle, dataset.end)]


def positive_pairs(dataset: Dataset, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Users and items that met in the window by a target event; each pair once, by user and then by item."""
    events = dataset.events
    chosen = events.is_target & (events.time >= window.cut) & (events.time < window.end)
    keys = np.unique(events.user_index[chosen].astype(np.int64) * dataset.num_items + events.item_index[chosen])
    return keys // dataset.num_items, keys % dataset.num_items


@dataclass(frozen=True)
class Snapshot:
    """All that was known of users and items before the moment `cut`."""

    dataset: Dataset
    cut: int

    @cached_property
    def _is_past(self) -> np.ndarray:
        return self.dataset.events.time < self.cut

    @cached_property
    def offsets(self) -> np.ndarray:
        """Like `Events.offsets`, over the events before the cut."""
        past_before = np.concatenate([[0], np.cumsum(self._is_past)])
        return past_before[self.dataset.events.offsets]

    @cached_property
    def item_index(self) -> np.ndarray:
        return self.dataset.events.item_index[self._is_past]

    @cached_property
    def age_days(self) -> np.ndarray:
        """Days from each past event to the cut."""
        return ((self.cut - self.dataset.events.time[self._is_past]) / SECONDS_PER_DAY).astype(np.float32)

    @cached_property
    def known_user_index(self) -> np.ndarray:
        """Each user's own index where events before the cut speak of them, otherwise the unknown user."""
        users = np.arange(self.dataset.num_users, dtype=np.int32)
        return np.where(np.diff(self.offsets) > 0, users, UNKNOWN_INDEX).astype(np.int32)

    @cached_property
    def known_item_index(self) -> np.ndarray:
        """Each item's own index where events before the cut speak of it, otherwise the unknown item."""
        items = np.arange(self.dataset.num_items, dtype=np.int32)
        num_events = np.bincount(self.item_index, minlength=len(items))
        return np.where(num_events > 0, items, UNKNOWN_INDEX).astype(np.int32)

    @cached_property
    def taste_weight(self) -> np.ndarray:
        """What each past event tells of a taste."""
        return self.dataset.events.weight[self._is_past]

    @cached_property
    def event_type(self) -> np.ndarray:
        return self.dataset.events.event_type[self._is_past]

    @cached_property
    def gap_bucket(self) -> np.ndarray:
        return self.dataset.events.gap_bucket[self._is_past]

    def histories(self, user_indices: np.ndarray, max_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The latest past events of each user, padded with 0 on the left.

        Returns:
            Item indices, ages in days, and taste weights (0 at padding). Each of shape (num_users, max_length).
        """
        places = self.offsets[user_indices + 1][:, None] - np.arange(max_length, 0, -1)  # (num_users, max_length)
        is_item = places >= self.offsets[user_indices][:, None]
        places = np.where(is_item, places, 0)
        if not len(self.item_index):
            return np.zeros(places.shape, np.int32), *np.zeros((2, *places.shape), np.float32)
        return self.item_index[places] * is_item, self.age_days[places] * is_item, self.taste_weight[places] * is_item

    @cached_property
    def item_state(self) -> np.ndarray:
        """log(1 + demand) of the last 7, 30 and 90 days and log(1 + age). Shape (num_items, 4)."""
        is_target = self.dataset.events.is_target[self._is_past]
        size = self.dataset.num_items
        demand = [
            np.bincount(self.item_index[is_target & (self.age_days <= days)], minlength=size) for days in DEMAND_WINDOWS
        ]
        passed_days = (self.dataset.end - self.cut) / SECONDS_PER_DAY
        age = np.maximum(self.dataset.item_features["age_days"] - passed_days, 0)
        return np.log1p(np.stack([*demand, age], axis=1)).astype(np.float32)

    @cached_property
    def user_state(self) -> np.ndarray:
        """log(1 + number of events) and log(1 + days since the last one). Shape (num_users, 2)."""
        num_events = np.diff(self.offsets)
        since = np.full(self.dataset.num_users, 365.0)
        has_past = num_events > 0
        since[has_past] = self.age_days[self.offsets[1:][has_past] - 1]
        return np.log1p(np.stack([num_events, since], axis=1)).astype(np.float32)

    @cached_property
    def known_items(self) -> np.ndarray:
        """Indices of the items that the catalogue held before the cut."""
        passed_days = (self.dataset.end - self.cut) // SECONDS_PER_DAY
        is_known = self.dataset.item_features["age_days"] >= passed_days
        is_known[:FIRST_VALUE_INDEX] = False
        return np.flatnonzero(is_known)

    @cached_property
    def pairs(self) -> PairLog:
        """What happened between each user and item before the cut."""
        return self._pair_log(np.ones(len(self.item_index), dtype=bool))

    @cached_property
    def target_pairs(self) -> PairLog:
        """The target events between each user and item before the cut."""
        return self._pair_log(self.dataset.events.is_target[self._is_past])

    def _pair_log(self, chosen: np.ndarray) -> PairLog:
        users = np.repeat(np.arange(self.dataset.num_users, dtype=np.int64), np.diff(self.offsets))
        keys, inverse, counts = np.unique(
            (users * self.dataset.num_items + self.item_index)[chosen], return_inverse=True, return_counts=True
        )
        last_days = np.full(len(keys), np.inf, dtype=np.float32)
        np.minimum.at(last_days, inverse, self.age_days[chosen])
        return PairLog(keys, counts, last_days, self.dataset.num_users, self.dataset.num_items)


@dataclass(frozen=True)
class PairLog:
    """Events by user and item.

    Attributes:
        keys: user_index * num_items + item_index, ascending.
        counts: events of the pair.
        last_days: days from its last event to the cut.
    """

    keys: np.ndarray
    counts: np.ndarray
    last_days: np.ndarray
    num_users: int
    num_items: int

    def features(self, user_indices: np.ndarray, item_indices: np.ndarray) -> np.ndarray:
        """Met before (0 or 1), log(1 + events), log(1 + days since the last); 0 where they never met. Shape (n, 3)."""
        wanted = user_indices.astype(np.int64) * self.num_items + item_indices
        if not len(self.keys):
            return np.zeros((len(wanted), 3), dtype=np.float32)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        met = self.keys[places] == wanted
        columns = [met, np.log1p(self.counts[places]) * met, np.log1p(self.last_days[places]) * met]
        return np.stack(columns, axis=1).astype(np.float32)

    def users_items(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs' users and items."""
        return self.keys // self.num_items, self.keys % self.num_items
