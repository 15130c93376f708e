"""The training batches of a retrieval model: users, scored against items that the whole batch shares.

Two kinds of examples: users at past cuts, with what they wanted in the window after it; or users as of today, with all
that they ever wanted, where a share of it can be hidden from the history that is read.
"""

from __future__ import annotations

import keras
import numpy as np

from expectations.tables import FIRST_VALUE_INDEX
from models.batches.negative_sampling import shared_candidates, target_shares
from models.data.dataset import Dataset
from models.data.snapshot import Snapshot, Window, positive_pairs, training_windows
from models.data.tower_inputs import item_arrays, user_arrays

SMALLEST_BATCH = 16
"""Users; smaller ones only teach noise."""


class WindowBatches(keras.utils.PyDataset):
    """Users at past cuts, and for each the distribution of what they wanted in the window after it.

    Attributes:
        num_examples: pairs of user and window.
    """

    def __init__(
        self, dataset: Dataset, max_windows: int, batch_size: int, num_candidates: int, max_length: int
    ) -> None:
        """Finds the examples of all windows, and shuffles the first epoch.

        Args:
            dataset: the events.
            max_windows: windows at most, the latest.
            batch_size: users at most.
            num_candidates: items at most that a batch shares.
            max_length: events at most that are read of a history.
        """
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
        """Shuffles. A batch holds users of one window, and its last batch is filled from its first users: one shape."""
        self.order = []
        for window in self.windows:
            chosen = self.rng.permutation(len(window.users))
            num_batches = -(-len(chosen) // self.batch_size)
            filled = np.resize(chosen, num_batches * self.batch_size)
            self.order += [(window, batch) for batch in np.split(filled, num_batches)] if num_batches else []
        self.order = [self.order[n] for n in self.rng.permutation(len(self.order))]


class WindowExamples:
    """What users wanted in one window, among the items that the catalogue held at its start.

    Attributes:
        users: user indices, ascending. Shape (num_users,).
        wanted: for each of them the indices of the wanted items.
        frequency: share of each item among all that was wanted. Shape (num_items,).
    """

    def __init__(self, dataset: Dataset, window: Window) -> None:
        self.snapshot = Snapshot(dataset, window.cut)
        users, items = positive_pairs(dataset, window)
        is_known = np.isin(items, self.snapshot.known_items)
        users, items = users[is_known], items[is_known]
        self.users, starts = np.unique(users, return_index=True)
        self.wanted = np.split(items, starts[1:])
        counts = np.bincount(items, minlength=dataset.num_items)
        self.frequency = counts / max(1, counts.sum())


class UserBatches(keras.utils.PyDataset):
    """Users, the candidates that they share, and for each user the distribution of what was wanted, and a weight.

    Attributes:
        num_examples: users who wanted something.
    """

    def __init__(
        self, dataset: Dataset, batch_size: int, min_steps: int, num_candidates: int, user_weight_exponent: float
    ) -> None:
        """Finds what each user wanted, and shuffles the first epoch.

        Args:
            dataset: the interactions.
            batch_size: users at most; fewer where an epoch would otherwise have less than `min_steps` steps.
            min_steps: see `batch_size`.
            num_candidates: items at most that a batch shares.
            user_weight_exponent: a user who wanted n items weighs n to this power, divided by the mean over the users.
        """
        super().__init__()
        pairs = dataset.interactions
        is_wanted = pairs.demand > 0
        users, self.items = pairs.user_index[is_wanted], pairs.item_index[is_wanted]
        self.users, starts = np.unique(users, return_index=True)
        self.offsets = np.append(starts, len(users))
        breadth = np.diff(self.offsets).astype(np.float32) ** user_weight_exponent
        self.weights = breadth / breadth.mean() if len(breadth) else breadth
        self.rng = np.random.default_rng(dataset.seed)
        self.num_examples = len(self.users)
        self.batch_size = max(
            1, min(batch_size, max(SMALLEST_BATCH, self.num_examples // min_steps), self.num_examples)
        )
        self.known_items = np.arange(FIRST_VALUE_INDEX, dataset.num_items)
        self.num_candidates = min(num_candidates, len(self.known_items))
        counts = np.bincount(self.items, minlength=dataset.num_items)
        self.frequency = counts / max(1, counts.sum())
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-self.num_examples // self.batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        chosen = self.order[index]
        wanted = [self.items[self.offsets[n] : self.offsets[n + 1]] for n in chosen]
        candidates = shared_candidates(
            np.concatenate(wanted), self.frequency, self.known_items, self.num_candidates, self.rng
        )
        inputs = {
            "users": self.users[chosen],
            "candidates": candidates.items.astype(np.int32),
            "log_inclusion": candidates.log_inclusion,
        }
        return inputs, target_shares(wanted, candidates.items, len(self.frequency)), self.weights[chosen]

    def on_epoch_end(self) -> None:
        """Shuffles. The last batch is filled from the first users: one shape."""
        order = self.rng.permutation(self.num_examples)
        self.order = np.resize(order, (len(self), self.batch_size))


class HiddenBatches(UserBatches):
    """Users without a share of their histories, and for each the distribution of all that was wanted, and a weight.

    Time plays no part here, as it does in windows: what is learnt is who likes what, not what comes next.
    """

    def __init__(
        self,
        dataset: Dataset,
        hidden_share: float,
        batch_size: int,
        num_candidates: int,
        max_length: int,
        user_weight_exponent: float,
    ) -> None:
        """Takes the arguments of `UserBatches` and those of hiding.

        Args:
            dataset: the interactions.
            hidden_share: share of a user's items that is hidden, in [0, 1).
            batch_size: users at most.
            num_candidates: items at most that a batch shares.
            max_length: events at most that are read of a history.
            user_weight_exponent: see `UserBatches`.
        """
        super().__init__(dataset, batch_size, 1, num_candidates, user_weight_exponent)
        self.snapshot = Snapshot(dataset, dataset.end)
        self.hidden_share, self.max_length = hidden_share, max_length

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        batch, shares, weights = super().__getitem__(index)
        inputs = {
            **user_arrays(self.snapshot, batch["users"], self.max_length, self._shows),
            **item_arrays(self.snapshot, batch["candidates"]),
            "log_inclusion": batch["log_inclusion"],
        }
        return inputs, shares, weights

    def _shows(self, histories: np.ndarray) -> np.ndarray:
        """Draws for each user and item whether it is visible: all events of a user with an item are, or none."""
        of_items, of_users = self.rng.random(len(self.frequency)), self.rng.random((len(histories), 1))
        return (of_items[histories] + of_users) % 1 >= self.hidden_share
