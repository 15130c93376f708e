"""The shop as it stood at a past moment: what turns histories into training examples without a leak.

A model that is asked at the end of `as_of` what users will want in the next `horizon_days` is trained on the same
question asked earlier: a `Snapshot` at a cut holds only events before it, and the window after it holds the answers.
The features of training and of scoring come from the same code, with another cut. The log itself stays on the disk: a
user's events before the cut are the first of their events, and what is counted over all is counted part by part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.tables import FIRST_VALUE_INDEX, UNKNOWN_INDEX, NightError
from models.data.dataset import Dataset
from models.data.event_store import ranges
from models.data.mmap_arrays import spans, spans_of_users

DEMAND_WINDOWS = (7, 30, 90)
"""Days: a week, a month and a quarter; their demands are features of an item, whose number shapes the networks."""


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
    """Users and items that met in the window by a target event; each pair once, by user and then by item.

    Returns:
        User and item indices, int64. Both of shape (num_pairs,).
    """
    events, keys = dataset.events, [np.empty(0, dtype=np.int64)]
    for part in spans(len(events.time)):
        times = events.time[part]
        chosen = events.is_target[part] & (times >= window.cut) & (times < window.end)
        users, items = (values[part][chosen].astype(np.int64) for values in (events.user_index, events.item_index))
        keys.append(users * dataset.num_items + items)
    users, items = np.divmod(np.unique(np.concatenate(keys)), dataset.num_items)
    return users, items


@dataclass(frozen=True)
class Snapshot:
    """All that was known of users and items before the moment `cut`."""

    dataset: Dataset
    cut: int

    @property
    def starts(self) -> np.ndarray:
        """Where each user's events begin, among those of the dataset; their history may begin later.

        int64, shape (num_users,).
        """
        return self.dataset.events.offsets[:-1]

    @cached_property
    def ends(self) -> np.ndarray:
        """Where each user's events before the cut end. int64, shape (num_users,)."""
        offsets, time = self.dataset.events.offsets, self.dataset.events.time
        if self.cut >= self.dataset.end:
            return offsets[1:]
        ends = offsets[1:].copy()
        for first, last in spans_of_users(offsets):
            start, stop = offsets[first], offsets[last]
            later_before = np.concatenate([[0], np.cumsum(time[start:stop] >= self.cut)])
            ends[first:last] -= np.diff(later_before[offsets[first : last + 1] - start])
        return ends

    @cached_property
    def known_user_index(self) -> np.ndarray:
        """Each user's own index where events before the cut speak of them, otherwise the unknown user.

        int32, shape (num_users,).
        """
        users = np.arange(self.dataset.num_users, dtype=np.int32)
        return np.where(self.ends > self.starts, users, UNKNOWN_INDEX).astype(np.int32)

    @cached_property
    def known_item_index(self) -> np.ndarray:
        """Each item's own index where events before the cut speak of it, otherwise the unknown item.

        int32, shape (num_items,).
        """
        items = np.arange(self.dataset.num_items, dtype=np.int32)
        return np.where(self.num_events > 0, items, UNKNOWN_INDEX).astype(np.int32)

    @cached_property
    def num_events(self) -> np.ndarray:
        """Events of each item before the cut. int64, shape (num_items,)."""
        num_events, events = np.zeros(self.dataset.num_items, dtype=np.int64), self.dataset.events
        for part in spans(len(events.time)):
            past = events.item_index[part][events.time[part] < self.cut]
            num_events += np.bincount(past, minlength=len(num_events))
        return num_events

    def age_days(self, places: np.ndarray) -> np.ndarray:
        """Days from events, by their places (integers), to the cut. float32, in the shape of `places`."""
        return ((self.cut - self.dataset.events.time[places]) / SECONDS_PER_DAY).astype(np.float32)

    def histories(self, user_indices: np.ndarray, max_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The latest past events of each user's history, padded with 0 on the left.

        Returns:
            Item indices (int32), ages in days (float32), and taste weights (float32, 0 at padding). Each of shape
            (len(user_indices), max_length).
        """
        events = self.dataset.events
        places = self.ends[user_indices][:, None] - np.arange(max_length, 0, -1)  # (num_users, max_length)
        is_item = places >= events.history_starts[user_indices][:, None]
        places = np.where(is_item, places, 0)
        if not len(events.time):
            return np.zeros(places.shape, np.int32), *np.zeros((2, *places.shape), np.float32)
        return events.item_index[places] * is_item, self.age_days(places) * is_item, events.weight[places] * is_item

    @cached_property
    def item_state(self) -> np.ndarray:
        """log(1 + demand) of the last 7, 30 and 90 days and log(1 + age in days). float32, shape (num_items, 4)."""
        events, demand = self.dataset.events, np.zeros((len(DEMAND_WINDOWS), self.dataset.num_items))
        for part in spans(len(events.time)):
            chosen = events.is_target[part] & (events.time[part] < self.cut)
            items = events.item_index[part][chosen]
            age_days = (self.cut - events.time[part][chosen]) / SECONDS_PER_DAY
            for of_window, days in zip(demand, DEMAND_WINDOWS, strict=True):
                of_window += np.bincount(items[age_days <= days], minlength=len(of_window))
        passed_days = (self.dataset.end - self.cut) / SECONDS_PER_DAY
        age = np.maximum(self.dataset.item_features["age_days"] - passed_days, 0)
        return np.log1p(np.stack([*demand, age], axis=1)).astype(np.float32)

    @cached_property
    def user_state(self) -> np.ndarray:
        """log(1 + number of events) and log(1 + days since the last one). float32, shape (num_users, 2)."""
        since = np.full(self.dataset.num_users, 365.0)
        has_past = self.ends > self.starts
        since[has_past] = self.age_days(self.ends[has_past] - 1)
        return np.log1p(np.stack([self.ends - self.starts, since], axis=1)).astype(np.float32)

    @cached_property
    def known_items(self) -> np.ndarray:
        """Indices of the items that the catalogue held before the cut. int64, ascending, shape (num_known_items,)."""
        passed_days = (self.dataset.end - self.cut) // SECONDS_PER_DAY
        is_known = self.dataset.item_features["age_days"] >= passed_days
        is_known[:FIRST_VALUE_INDEX] = False
        return np.flatnonzero(is_known)

    def pairs_of(self, user_indices: np.ndarray) -> PairLog:
        """What happened before the cut between some users, known by their place in `user_indices`, and items.

        Args:
            user_indices: integers. Shape (num_rows,).
        """
        places, lengths = ranges(self.starts[user_indices], self.ends[user_indices])
        rows = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
        events, num_items = self.dataset.events, self.dataset.num_items
        keys, inverse, counts = np.unique(
            rows * num_items + events.item_index[places], return_inverse=True, return_counts=True
        )
        is_target, age_days = events.is_target[places], self.age_days(places)
        last_days, last_target_days = (np.full(len(keys), np.inf, dtype=np.float32) for _ in range(2))
        np.minimum.at(last_days, inverse, age_days)
        np.minimum.at(last_target_days, inverse[is_target], age_days[is_target])
        num_targets = np.bincount(inverse, is_target, len(keys)).astype(np.int64)
        return PairLog(keys, counts, last_days, num_targets, last_target_days, num_items)


@dataclass(frozen=True)
class PairLog:
    """Events by user and item.

    Attributes:
        keys: row of the user * num_items + item_index, ascending.
        counts, num_targets: events of the pair, and target events among them.
        last_days, last_target_days: days from the last of them to the cut; infinite where there was none.
    """

    keys: np.ndarray
    counts: np.ndarray
    last_days: np.ndarray
    num_targets: np.ndarray
    last_target_days: np.ndarray
    num_items: int

    def features(self, rows: np.ndarray, item_indices: np.ndarray) -> np.ndarray:
        """For all events and for target events: whether there was one (0 or 1), log(1 + how many), log(1 + days since).

        0 where there was none.

        Args:
            rows, item_indices: integers, a pair in each place. Shape (num_pairs,).

        Returns:
            float32, shape (num_pairs, 6).
        """
        wanted = rows.astype(np.int64) * self.num_items + item_indices
        if not len(self.keys):
            return np.zeros((len(wanted), 6), dtype=np.float32)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        is_met = self.keys[places] == wanted
        columns = []
        for counts, last_days in ((self.counts, self.last_days), (self.num_targets, self.last_target_days)):
            met = is_met & (counts[places] > 0)
            columns += [met, np.log1p(counts[places]) * met, np.log1p(np.where(met, last_days[places], 0))]
        return np.stack(columns, axis=1).astype(np.float32)

    def without(self, items: np.ndarray) -> PairLog:
        """As if the user of each row had never met the row's item. `items`: integers, shape (num_rows,)."""
        rows, met = self.rows_items()
        kept = met != items[rows]
        return PairLog(
            self.keys[kept],
            self.counts[kept],
            self.last_days[kept],
            self.num_targets[kept],
            self.last_target_days[kept],
            self.num_items,
        )

    def rows_items(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs' rows and items. int64, both of shape (num_pairs,)."""
        return self.keys // self.num_items, self.keys % self.num_items
