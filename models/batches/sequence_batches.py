"""What a sequence model reads: stretches of histories as arrays, and batches that predict the event after each place.

A sequence has a start token, which is the unknown item, then events in their order, then padding. All items of a batch,
those that are read and those that are candidates, stand once in one list; sequences and targets are positions in it, so
that a step computes each item's vector once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from expectations.tables import FIRST_VALUE_INDEX, PADDING_INDEX, UNKNOWN_INDEX
from models.batches.negative_sampling import NEVER, shared_candidates
from models.batches.reshuffled_batches import ReshuffledBatches
from models.data.dataset import Dataset
from models.data.event_store import Events
from models.data.mmap_arrays import spans
from models.data.snapshot import Snapshot
from models.data.tower_inputs import item_arrays
from models.nn.training_setup import steps_are_compiled

_WIDTH_STEP, _SIZE_STEP = (512, 4096) if steps_are_compiled() else (8, 256)
"""Arrays grow in such steps, so that few shapes have to be compiled."""

Batch = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
"""The inputs; row and column of each event that is asked for, as `models.nn.losses` has them; that event's weight."""


def latest_sequences(
    snapshot: Snapshot, user_indices: np.ndarray, max_length: int, without: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The latest events of users as the inputs of the encoder.

    Args:
        snapshot: the events as of a cut.
        user_indices: shape (num_users,).
        max_length: positions at most, the start among them.
        without: an item for each user whose events are left out; 0 leaves out none. Shape (num_users,).

    Returns:
        The arrays of `sequences`, of shape (num_users, width), with item indices in `items`; and the position of each
        user's last event, 0 for a user without events. Shape (num_users,), int64.
    """
    ends = snapshot.ends[user_indices]
    events = snapshot.dataset.events
    lengths = np.clip(ends - events.history_starts[user_indices], 0, max_length - 1)
    read = sequences(events, ends - lengths, lengths, int(lengths.max(initial=0)) + 1)
    if without is None:
        return read, lengths
    is_left = (read["items"] != without[:, None]) & (read["items"] != PADDING_INDEX)
    order = np.argsort(~is_left, axis=1, kind="stable")
    num_left = is_left.sum(axis=1)
    stays = np.arange(order.shape[1]) < num_left[:, None]
    return {name: np.take_along_axis(values, order, axis=1) * stays for name, values in read.items()}, num_left - 1


def sequences(log: Events, starts: np.ndarray, lengths: np.ndarray, width: int) -> dict[str, np.ndarray]:
    """The start token, then `lengths` events from `starts` on, then padding with 0.

    Args:
        log: all events, user by user in the order of time.
        starts: where each sequence begins in the log. Shape (num_sequences,).
        lengths: number of events of each. Shape (num_sequences,).
        width: number of positions; `lengths` must be less.

    Returns:
        `items` (item indices), `event_types` and `gaps` (buckets of the time since the event before), each of shape
        (num_sequences, width), int32.
    """
    steps = np.arange(width - 1)
    is_event = steps < lengths[:, None]
    places = np.where(is_event, starts[:, None] + steps, 0)
    columns = {
        "items": (log.item_index, UNKNOWN_INDEX),
        "event_types": (log.event_type, 0),
        "gaps": (log.gap_bucket, 0),
    }
    read = {}
    for name, (values, start) in columns.items():
        of_events = values[places] * is_event if len(values) else np.zeros(places.shape)
        read[name] = np.pad(of_events, ((0, 0), (1, 0)), constant_values=start).astype(np.int32)
    return read


class NextItemBatches(ReshuffledBatches[np.ndarray]):
    """All histories as training batches, in another order and with other draws in each epoch.

    Attributes:
        num_examples: events that an epoch predicts.
        known_items: the catalogue, as item indices. Shape (num_known,).
    """

    def __init__(
        self,
        dataset: Dataset,
        reads: Sequence[str],
        *,
        max_length: int,
        batch_size: int,
        loss: str,
        num_candidates: int,
        popularity_discount: float,
        item_dropout: float,
    ) -> None:
        """Cuts the histories into stretches, and shuffles the first epoch.

        Args:
            dataset: the events.
            reads: which features of an item are read; see `models.data.tower_inputs.item_content`.
            max_length: positions at most of a sequence, its start among them.
            batch_size: sequences in a batch.
            loss: a `Loss` of `models.families.next_item`, by which candidates are drawn.
            num_candidates: items at most that a batch of a sampled loss shares.
            popularity_discount: power of an item's share of all events that the softmax expects beforehand, so that the
                vectors need not hold it: 0 leaves popularity to the vectors, 1 takes all of it out.
            item_dropout: share of items that a step knows by their features alone, as if they were new.
        """
        super().__init__(dataset.seed)
        self.dataset, self.reads, self.max_length, self.batch_size = dataset, reads, max_length, batch_size
        self.loss, self.num_candidates, self.item_dropout = loss, num_candidates, item_dropout
        self.snapshot = Snapshot(dataset, dataset.end)
        self.known_items = self.snapshot.known_items
        self.starts, self.lengths, self.is_first = _stretches(
            dataset.events.history_starts, dataset.events.offsets[1:], max_length
        )
        self._keep_those_with_targets()
        counts = self._wanted_counts()
        self.frequency = counts / max(1, counts.sum())
        # As if everything had been met once more.
        self.discount = (popularity_discount * np.log(counts + 1)).astype(np.float32)
        self.order = self.shuffled()

    def __len__(self) -> int:
        return -(-len(self.starts) // self.batch_size)

    def __getitem__(self, index: int) -> Batch:
        return self._batch(self.order[index], self.rng(index))

    def shuffled(self) -> list[np.ndarray]:
        """Stretches of about the same length share a batch; batches come in random order.

        With one exception: Keras infers from the first two batches which sizes vary, so those have two widths where any
            have.

        Returns:
            For each batch the positions of its stretches, int64. Each of shape (about batch_size,).
        """
        rng = self.rng()
        by_length = np.lexsort((rng.random(len(self.starts)), self.lengths))
        groups = np.array_split(by_length, max(1, len(self)))
        groups = [groups[n] for n in rng.permutation(len(groups))]
        widths = [self._width(group) for group in groups]
        second = next((n for n, width in enumerate(widths) if width != widths[0]), 0)
        groups.insert(1, groups.pop(second))
        return groups

    def _width(self, chosen: np.ndarray) -> int:
        """The number of positions of a batch of these stretches."""
        return min(self.max_length, _rounded_up(int(self.lengths[chosen].max(initial=0)), _WIDTH_STEP))

    def _is_wanted(self, places: np.ndarray | slice) -> np.ndarray:
        """Whether events, by their positions in the log, are predicted."""
        events = self.dataset.events
        return events.is_target[places] & (events.item_index[places] >= FIRST_VALUE_INDEX)

    def _wanted_counts(self) -> np.ndarray:
        """How often each item is predicted. Shape (num_items,)."""
        events, counts = self.dataset.events, np.zeros(self.dataset.num_items, dtype=np.int64)
        for part in spans(len(events.time)):
            is_predicted = self._is_wanted(part) & events.in_history(part)
            counts += np.bincount(events.item_index[part][is_predicted], minlength=len(counts))
        return counts

    def _keep_those_with_targets(self) -> None:
        # Only the first stretch of a history asks for its first moment: the others have no past to tell it from.
        ends = self.starts + self.lengths
        first_asked = np.where(self.is_first, self.starts, _ends_of_moments(self.dataset.events, self.starts, ends))
        num_wanted = np.zeros(len(ends), dtype=np.int64)
        for part in spans(len(self.dataset.events.time)):
            wanted_before = np.concatenate([[0], np.cumsum(self._is_wanted(part))])
            until, since = (np.clip(places - part.start, 0, len(wanted_before) - 1) for places in (ends, first_asked))
            num_wanted += wanted_before[until] - wanted_before[since]
        kept = num_wanted > 0
        self.starts, self.lengths, self.is_first = self.starts[kept], self.lengths[kept], self.is_first[kept]
        self.num_examples = int(num_wanted.sum())

    def _batch(self, chosen: np.ndarray, rng: np.random.Generator) -> Batch:
        starts, lengths = self.starts[chosen], self.lengths[chosen]
        width = self._width(chosen)
        read = sequences(self.dataset.events, starts, lengths - 1, width)
        events, place_before, is_asked = self._asked(starts, lengths, self.is_first[chosen], width)
        places, rows = np.unique(place_before[is_asked], return_inverse=True)
        targets = self.dataset.events.item_index[events[is_asked]]

        candidates, log_inclusion = self._candidates(targets, rng)
        log_inclusion = log_inclusion - self.discount[candidates]
        others = np.setdiff1d(read["items"], candidates)
        listed = np.concatenate([candidates, _padded(others)])
        column = np.zeros(self.dataset.num_items, dtype=np.int32)
        column[listed[::-1]] = np.arange(len(listed))[::-1]
        read["items"] = column[read["items"]]
        inputs: dict[str, Any] = item_arrays(self.snapshot, listed, self.reads)
        is_dropped = rng.random(len(listed)) < self.item_dropout
        inputs["item_index"] = np.where(
            is_dropped, np.minimum(inputs["item_index"], UNKNOWN_INDEX), inputs["item_index"]
        )
        inputs |= read | {"places": _padded(places.astype(np.int32)), "log_inclusion": log_inclusion}
        del inputs["item_state"]
        weight = _padded(np.ones(len(targets), dtype=np.float32))
        return inputs, np.stack([_padded(rows), _padded(column[targets])], axis=1), weight

    def _asked(
        self, starts: np.ndarray, lengths: np.ndarray, is_first: np.ndarray, width: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The events of stretches, the position that predicts each of them, and which are predicted.

        All of shape (len(starts), width). Positions count through all rows.
        """
        steps = np.arange(width)
        is_event = steps < lengths[:, None]
        events = np.where(is_event, starts[:, None] + steps, 0)
        is_new_moment = np.diff(self.dataset.events.time[events], axis=1, prepend=-1) != 0
        first_of_moment = np.maximum.accumulate(np.where(is_new_moment, steps, 0), axis=1)
        is_asked = is_event & self._is_wanted(events) & ((first_of_moment > 0) | is_first[:, None])
        return events, first_of_moment + width * np.arange(len(starts))[:, None], is_asked

    def _candidates(self, targets: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The items that the predicting positions are scored against, and what is subtracted from their logits."""
        if self.loss == "softmax":
            items = np.arange(self.dataset.num_items)
            return items, np.where(np.isin(items, self.known_items), np.float32(0), NEVER)
        if self.loss == "sampled_softmax":
            # Every target is a candidate, however many a batch has.
            size = max(self.num_candidates, _rounded_up(len(np.unique(targets)), _SIZE_STEP))
            drawn = shared_candidates(targets, self.frequency, self.known_items, size, rng)
            return drawn.items, drawn.log_inclusion
        size = min(self.num_candidates, len(self.known_items))
        negatives = rng.choice(self.known_items, size, replace=False)
        items = np.concatenate([negatives, _padded(np.setdiff1d(targets, negatives))])
        return items, np.zeros(len(items), dtype=np.float32)


def _stretches(starts: np.ndarray, ends: np.ndarray, max_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the stretches of all histories begin, how many events each has, and whether it is a history's first.

    They are cut from the end of a history, `max_length` events each; a stretch begins with the event that ended the
    one before it.

    Args:
        starts, ends: of the histories. Shape (num_users,).
    """
    num_events = ends - starts
    num_stretches = 1 + -(-np.maximum(0, num_events - max_length) // (max_length - 1))
    num_stretches[num_events == 0] = 0
    user = np.repeat(np.arange(len(num_events)), num_stretches)
    nth_from_last = np.arange(len(user)) - np.repeat(np.cumsum(num_stretches) - num_stretches, num_stretches)
    stops = num_events[user] - nth_from_last * (max_length - 1)
    begins = np.maximum(0, stops - max_length)
    return starts[user] + begins, stops - begins, begins == 0


def _ends_of_moments(log: Events, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The position of the first event after `starts` that happened later; the end where none did."""
    places, last = starts.copy(), np.maximum(starts, ends - 1)
    while True:
        is_same = (places < ends) & (log.time[np.minimum(places, last)] == log.time[starts])
        if not is_same.any():
            return places
        places += is_same


def _padded(values: np.ndarray) -> np.ndarray:
    """The values, and zeros up to the next step of sizes."""
    return np.pad(values, (0, _rounded_up(len(values), _SIZE_STEP) - len(values)))


def _rounded_up(number: int, step: int) -> int:
    return -(-number // step) * step
