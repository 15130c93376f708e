"""Masked training batches: a whole department of each user's history, or a random share of all of it, is hidden.

The network predicts what was hidden. A hidden department is the task of a shopper who never entered that department.
Other batches hide random items of the whole catalogue, so that users with only one department are learnt from, and
scores of different departments can be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
from scipy import sparse

from expectations.tables import FIRST_VALUE_INDEX
from models.batches.negative_sampling import shared_candidates, target_shares
from models.batches.retrieval_batches import SMALLEST_BATCH
from models.data.dataset import Dataset
from models.data.tower_inputs import item_content

CONTENT = ("categories", "brand", "domain", "price_bucket")
"""The item features that are read beside an item's own index. Titles cost more time than they gained accuracy."""


@dataclass(frozen=True)
class HistoryReading:
    """How a user's interactions become weights, in training and in scoring alike.

    Attributes:
        bucket_days: length of a time bucket, in days.
        num_time_buckets: bucket 0 is the latest; the last one holds everything before it.
        bucket_smoothing_days: standard deviation of the normal distribution by which an interaction is spread over the
            time buckets around its own, in days; 0: it counts for its own bucket alone.
    """

    bucket_days: float
    num_time_buckets: int
    bucket_smoothing_days: float

    @cached_property
    def bucket_smoothing(self) -> np.ndarray:
        """Row b holds the shares of all time buckets in an interaction of bucket b.

        Shape (num_time_buckets, num_time_buckets), float32; rows sum to 1.
        """
        apart = np.subtract.outer(np.arange(self.num_time_buckets), np.arange(self.num_time_buckets)) * self.bucket_days
        near = np.exp(-0.5 * (apart / max(self.bucket_smoothing_days, 1e-9)) ** 2)
        return (near / near.sum(axis=1, keepdims=True)).astype(np.float32)

    def times(self, age_days: np.ndarray, strengths: np.ndarray) -> np.ndarray:
        """The share of each time bucket in one user's history, where an interaction counts as its squared strength.

        Args:
            age_days: days since each interaction, at least 0. Shape (num_pairs,).
            strengths: see `strengths`. Shape (num_pairs,).

        Returns:
            Shape (num_time_buckets,), float32; the sum is that of the squared strengths.
        """
        time_buckets = np.minimum(age_days // self.bucket_days, self.num_time_buckets - 1).astype(np.int32)
        return np.bincount(time_buckets, strengths**2, self.num_time_buckets).astype(np.float32) @ self.bucket_smoothing

    def strengths(self, weights: np.ndarray) -> np.ndarray:
        """The square root of each interaction's share of one user's total weight.

        Args:
            weights: of one user's interactions; negative ones count as 0. Shape (num_pairs,).

        Returns:
            Shape (num_pairs,), float32. The squares sum to 1, or to 0 where no weight is positive.
        """
        weights = np.maximum(weights, 0)
        return np.sqrt(weights / max(float(weights.sum()), 1e-9)).astype(np.float32)


@dataclass(frozen=True)
class MaskingTask:
    """Users whose histories are masked in the same way.

    Attributes:
        domain: index of the department that is hidden; None: random items are hidden.
        users: user indices, ascending. Shape (num_users,).
        items: the items that can be targets. Shape (num_targets,).
        frequency: share of each item among all targets. Shape (num_items,); sums to 1.
        mean_user_weight: mean over the users of their weight in the loss, by which weights are divided.
    """

    domain: int | None
    users: np.ndarray
    items: np.ndarray
    frequency: np.ndarray
    mean_user_weight: float


class DomainBatches(keras.utils.PyDataset):
    """Batches of the visible part of users' histories, the candidates, and the distribution of the hidden targets.

    Attributes:
        num_examples: pairs of user and masking task.
    """

    def __init__(
        self,
        dataset: Dataset,
        reading: HistoryReading,
        hidden_share: float,
        random_mask_share: float,
        batch_size: int,
        min_steps: int,
        num_candidates: int,
        max_length: int,
        user_weight_exponent: float,
    ) -> None:
        """Finds which users can be asked what, and shuffles the first epoch.

        Args:
            dataset: the interactions, of which a part is hidden.
            reading: how the visible interactions become weights.
            hidden_share: share of a user's items that is hidden where no department is, in [0, 1).
            random_mask_share: share of the users of the random masking task that an epoch visits, in [0, 1]; all of
                them where no department can be hidden.
            batch_size: users at most; fewer where an epoch would otherwise have less than `min_steps` steps.
            min_steps: see `batch_size`.
            num_candidates: items at most that a batch shares.
            max_length: interactions at most that are read of a user, the latest first.
            user_weight_exponent: a user who wanted n hidden items weighs n to this power.
        """
        super().__init__()
        self.dataset, self.reading, self.hidden_share = dataset, reading, hidden_share
        self.max_length, self.user_weight_exponent = max_length, user_weight_exponent
        self.domain_of = dataset.item_features["domain_index"]
        self.rng = np.random.default_rng(dataset.seed)
        self.tasks = masking_tasks(dataset, user_weight_exponent)
        self.random_mask_share = random_mask_share if any(task.domain is not None for task in self.tasks) else 1.0
        self.num_examples = sum(len(task.users) for task in self.tasks)
        most = max([1, *(len(task.users) for task in self.tasks)])
        self.batch_size = min(batch_size, max(SMALLEST_BATCH, self.num_examples // min_steps), most)
        self.num_candidates = num_candidates
        self.order: list[tuple[MaskingTask, np.ndarray]] = []
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        task, users = self.order[index]
        visible, wanted = zip(*(self._split(user, task.domain) for user in users), strict=True)
        size = min(self.num_candidates, len(task.items))
        candidates = shared_candidates(np.concatenate(wanted), task.frequency, task.items, size, self.rng)
        shares = target_shares(wanted, candidates.items, len(task.frequency))
        user_weights = np.array([len(items) for items in wanted], np.float32) ** self.user_weight_exponent
        inputs = {
            **history_arrays(self.dataset, self.reading, visible, self.max_length),
            "candidates": candidates.items.astype(np.int32),
            "log_inclusion": candidates.log_inclusion,
        }
        return inputs, shares, user_weights / task.mean_user_weight

    def _split(self, user: int, domain: int | None) -> tuple[np.ndarray, np.ndarray]:
        """The positions of the visible interactions, and the items that were wanted among the hidden ones."""
        pairs = self.dataset.interactions
        positions = np.arange(pairs.offsets[user], pairs.offsets[user + 1])
        items = pairs.item_index[positions]
        is_hidden = (
            self.rng.random(len(items)) < self.hidden_share if domain is None else self.domain_of[items] == domain
        )
        return positions[~is_hidden], items[is_hidden & (pairs.demand[positions] > 0)]

    def on_epoch_end(self) -> None:
        """Shuffles. A batch holds one task, and a task's last batch is filled from its first users: one shape each."""
        self.order = []
        for task in self.tasks:
            users = self.rng.permutation(task.users)
            if task.domain is None:
                users = users[: math.ceil(len(users) * self.random_mask_share)]
            num_batches = -(-len(users) // self.batch_size)
            batches = np.resize(users, (num_batches, self.batch_size))
            self.order += [(task, batch) for batch in batches]
        self.order = _ends_first([self.order[n] for n in self.rng.permutation(len(self.order))])


def _ends_first(order: list[tuple[MaskingTask, np.ndarray]]) -> list[tuple[MaskingTask, np.ndarray]]:
    """A batch with the fewest and one with the most candidates first: Keras infers from two which lengths vary."""
    lengths = [len(task.items) for task, _ in order]
    ends = {lengths.index(length): None for length in (min(lengths), max(lengths))} if order else {}
    return [order[n] for n in ends] + [batch for n, batch in enumerate(order) if n not in ends]


def history_arrays(
    dataset: Dataset, reading: HistoryReading, visible: tuple[np.ndarray, ...], max_length: int
) -> dict[str, np.ndarray]:
    """Histories as a network reads them: each user's latest interactions, padded with 0.

    Args:
        dataset: the interactions.
        reading: how they become weights.
        visible: for each user the positions of the visible interactions among those of the dataset, int64.
        max_length: interactions at most, the latest.

    Returns:
        `history` (item indices, int32) and `strengths` (float32), both of shape (num_users, max_length); for each name
        of CONTENT `history_<name>`, of that shape or with the feature's own axis behind it, int32; `times`, of shape
        (num_users, num_time_buckets), float32.
    """
    pairs = dataset.interactions
    positions = np.zeros((len(visible), max_length), np.int64)
    strengths = np.zeros(positions.shape, np.float32)
    times = np.zeros((len(visible), reading.num_time_buckets), np.float32)
    for row, of_user in enumerate(visible):
        latest = of_user[np.argsort(pairs.age_days[of_user], kind="stable")[:max_length]]
        positions[row, : len(latest)] = latest
        of_latest = reading.strengths(pairs.weight[latest])
        strengths[row, : len(latest)] = of_latest
        times[row] = reading.times(pairs.age_days[latest], of_latest)
    items = pairs.item_index[positions] * (strengths > 0)
    return {
        "history": items.astype(np.int32),
        **{f"history_{name}": values for name, values in item_content(dataset, items, CONTENT).items()},
        "strengths": strengths,
        "times": times,
    }


def history_matrices(
    dataset: Dataset, reading: HistoryReading, user_indices: np.ndarray
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Whole histories, in the order of `user_indices`.

    Args:
        user_indices: shape (num_users,).

    Returns:
        The strength of each item in each user's history, a sparse float32 matrix of shape (num_users, num_items), and
        the share of each time bucket, of shape (num_users, num_time_buckets), float32.
    """
    pairs = dataset.interactions
    items, strengths = [], []
    times = np.zeros((len(user_indices), reading.num_time_buckets), np.float32)
    for row, user in enumerate(user_indices.tolist()):
        part = slice(int(pairs.offsets[user]), int(pairs.offsets[user + 1]))
        of_user = reading.strengths(pairs.weight[part])
        items.append(pairs.item_index[part])
        strengths.append(of_user)
        times[row] = reading.times(pairs.age_days[part], of_user)
    offsets = np.concatenate([[0], np.cumsum([len(of_user) for of_user in items])])
    shape = (len(user_indices), dataset.num_items)
    return sparse.csr_matrix((np.concatenate(strengths), np.concatenate(items), offsets), shape=shape), times


def masking_tasks(dataset: Dataset, user_weight_exponent: float) -> list[MaskingTask]:
    """The masking tasks that have at least one user.

    A department can be hidden from who also met another one; random items from who met more than one item.

    Args:
        user_weight_exponent: see `DomainBatches`.
    """
    pairs, domain_of = dataset.interactions, dataset.item_features["domain_index"]
    known_items = np.arange(FIRST_VALUE_INDEX, dataset.num_items)
    num_met = np.diff(pairs.offsets)
    wanted = pairs.demand > 0
    tasks = [_masking_task(dataset, None, wanted & (num_met[pairs.user_index] > 1), known_items, user_weight_exponent)]
    of_pairs = domain_of[pairs.item_index]
    for domain in np.unique(of_pairs[wanted]):
        of_domain = of_pairs == domain
        num_within = np.bincount(pairs.user_index[of_domain], minlength=dataset.num_users)
        is_asked = of_domain & wanted & (num_met > num_within)[pairs.user_index]
        items = known_items[domain_of[known_items] == domain]
        tasks.append(_masking_task(dataset, int(domain), is_asked, items, user_weight_exponent))
    return [task for task in tasks if len(task.users)]


def _masking_task(
    dataset: Dataset, domain: int | None, is_answer: np.ndarray, items: np.ndarray, user_weight_exponent: float
) -> MaskingTask:
    users, num_targets = np.unique(dataset.interactions.user_index[is_answer], return_counts=True)
    counts = np.bincount(dataset.interactions.item_index[is_answer], minlength=dataset.num_items)
    mean_user_weight = float(np.mean(num_targets**user_weight_exponent)) if len(users) else 1.0
    return MaskingTask(domain, users, items, counts / max(1, counts.sum()), mean_user_weight)
