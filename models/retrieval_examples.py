"""The training batches of a retrieval model: users at past cuts, scored against items that the whole batch shares."""

from __future__ import annotations

import keras
import numpy as np

from models.dataset import Dataset
from models.inputs import item_arrays, user_arrays
from models.negative_sampling import shared_candidates, target_shares
from models.snapshot import Snapshot, Window, positive_pairs, training_windows


class WindowBatches(keras.utils.PyDataset):
    """Users at past cuts, and for each the distribution of what they wanted in the window after it."""

    def __init__(
        self, dataset: Dataset, max_windows: int, batch_size: int, num_candidates: int, max_length: int
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.rng = np.random.default_rng(dataset.seed)
        self.windows = [WindowExamples(dataset, window) for window in training_windows(dataset, max_windows)]
        self.num_examples = sum(len(window.users) for window in self.windows)
        self.batch_size = min(batch_size, max([1, *(len(window.users) for window in self.windows)]))
        largest = max(len(window.snapshot.known_items) for window in self.windows)
        self.num_candidates = min(num_candidates, largest)
        self.order: list[tuple[WindowExamples, np.ndarray]] = []
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        window, chosen = self.order[index]
        users, wanted = window.users[chosen], [window.wanted[n] for n in chosen]
        candidates = shared_candidates(
            np.concatenate(wanted), window.frequency, window.snapshot.known_items, self.num_candidates, self.rng
        )
        return {
            **user_arrays(window.snapshot, users, self.max_length),
            **item_arrays(window.snapshot, candidates.items),
            "log_inclusion": candidates.log_inclusion,
        }, target_shares(wanted, candidates.items, len(window.frequency))

    def on_epoch_end(self) -> None:
        """Shuffles. Batches keep to one window, and the last one of a window is filled from its start: one shape."""
        self.order = []
        for window in self.windows:
            chosen = self.rng.permutation(len(window.users))
            num_batches = -(-len(chosen) // self.batch_size)
            filled = np.resize(chosen, num_batches * self.batch_size)
            self.order += [(window, batch) for batch in np.split(filled, num_batches)] if num_batches else []
        self.order = [self.order[n] for n in self.rng.permutation(len(self.order))]


class WindowExamples:
    """Who wanted what in one window, among the items that the catalogue held at its start."""

    def __init__(self, dataset: Dataset, window: Window) -> None:
        self.snapshot = Snapshot(dataset, window.cut)
        users, items = positive_pairs(dataset, window)
        is_known = np.isin(items, self.snapshot.known_items)
        users, items = users[is_known], items[is_known]
        self.users, starts = np.unique(users, return_index=True)
        self.wanted = np.split(items, starts[1:])
        counts = np.bincount(items, minlength=dataset.num_items)
        self.frequency = counts / max(1, counts.sum())
