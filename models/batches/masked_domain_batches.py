"""Training batches that hide: a whole department of each user's history, or a share of all of it, and ask what it held.

To hide a department is the very question of a shopper who never entered it. Other batches hide items by chance, over
the whole catalogue, so that users with one department alone are learnt from, and departments can be compared.
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
"""What is read of an item beside its own index; words cost more than they told."""


@dataclass(frozen=True)
class HistoryReading:
    """How a user's pairs become weights: the same in training and in scoring.

    Attributes:
        era_days: the days of an era, which is a time that is told from others.
        num_eras: the latest is era 0; the last one holds all before it.
        era_spread_days: how far a pair tells of the eras around its own: a normal distribution's standard deviation;
            0: of its own alone.
    """

    era_days: float
    num_eras: int
    era_spread_days: float

    @cached_property
    def spread(self) -> np.ndarray:
        """The shares of all eras in a pair, by the pair's own era. Shape (num_eras, num_eras)."""
        apart = np.subtract.outer(np.arange(self.num_eras), np.arange(self.num_eras)) * self.era_days
        near = np.exp(-0.5 * (apart / max(self.era_spread_days, 1e-9)) ** 2)
        return (near / near.sum(axis=1, keepdims=True)).astype(np.float32)

    def times(self, age_days: np.ndarray, strengths: np.ndarray) -> np.ndarray:
        """The shares of all eras in a user's pairs, of which each counts as the square of its strength."""
        eras = np.minimum(age_days // self.era_days, self.num_eras - 1).astype(np.int32)
        return np.bincount(eras, strengths**2, self.num_eras).astype(np.float32) @ self.spread

    def strengths(self, weights: np.ndarray) -> np.ndarray:
        """The root of each pair's share of a user's weight: their squares sum to 1, or to 0 without any weight."""
        weights = np.maximum(weights, 0)
        return np.sqrt(weights / max(float(weights.sum()), 1e-9)).astype(np.float32)


@dataclass(frozen=True)
class Question:
    """Some users, all asked alike.

    Attributes:
        domain: index of the department that is hidden; None: items are, by chance.
        items: what may be the answer.
        frequency: share of each item among all answers, by item index.
        mean_breadth: mean over the users of what an answer counts.
    """

    domain: int | None
    users: np.ndarray
    items: np.ndarray
    frequency: np.ndarray
    mean_breadth: float


class DomainBatches(keras.utils.PyDataset):
    """Users with the part of their history that is shown, the candidates, and the distribution of what is hidden.

    Attributes:
        num_examples: users and questions.
    """

    def __init__(
        self,
        dataset: Dataset,
        reading: HistoryReading,
        hidden_share: float,
        chance_share: float,
        batch_size: int,
        min_steps: int,
        num_candidates: int,
        max_length: int,
        breadth_exponent: float,
    ) -> None:
        """Args:
        hidden_share: of a user's items, where no department is hidden.
        chance_share: of the users who can be asked for items hidden by chance, how many an epoch asks; all of them
            where no department can be hidden.
        batch_size: users at most; fewer where an epoch would else have less than `min_steps` steps.
        breadth_exponent: the power of how many items a user wanted, by which the user counts.
        """
        super().__init__()
        self.dataset, self.reading, self.hidden_share = dataset, reading, hidden_share
        self.max_length, self.breadth_exponent = max_length, breadth_exponent
        self.domain_of = dataset.item_features["domain_index"]
        self.rng = np.random.default_rng(dataset.seed)
        self.questions = questions_of(dataset, breadth_exponent)
        self.chance_share = chance_share if any(q.domain is not None for q in self.questions) else 1.0
        self.num_examples = sum(len(question.users) for question in self.questions)
        most = max([1, *(len(question.users) for question in self.questions)])
        self.batch_size = min(batch_size, max(SMALLEST_BATCH, self.num_examples // min_steps), most)
        self.num_candidates = num_candidates
        self.order: list[tuple[Question, np.ndarray]] = []
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        question, users = self.order[index]
        shown, wanted = zip(*(self._parted(user, question.domain) for user in users), strict=True)
        size = min(self.num_candidates, len(question.items))
        candidates = shared_candidates(np.concatenate(wanted), question.frequency, question.items, size, self.rng)
        shares = target_shares(wanted, candidates.items, len(question.frequency))
        breadth = np.array([len(items) for items in wanted], np.float32) ** self.breadth_exponent
        inputs = {
            **history_arrays(self.dataset, self.reading, shown, self.max_length),
            "candidates": candidates.items.astype(np.int32),
            "log_inclusion": candidates.log_inclusion,
        }
        return inputs, shares, breadth / question.mean_breadth

    def _parted(self, user: int, domain: int | None) -> tuple[np.ndarray, np.ndarray]:
        """The places of the pairs that are shown, and the items that were wanted among those that are not."""
        pairs = self.dataset.interactions
        places = np.arange(pairs.offsets[user], pairs.offsets[user + 1])
        items = pairs.item_index[places]
        is_hidden = (
            self.rng.random(len(items)) < self.hidden_share if domain is None else self.domain_of[items] == domain
        )
        return places[~is_hidden], items[is_hidden & (pairs.demand[places] > 0)]

    def on_epoch_end(self) -> None:
        """Shuffles. A batch keeps to one question, and the last one is filled from its start: one shape each."""
        self.order = []
        for question in self.questions:
            users = self.rng.permutation(question.users)
            if question.domain is None:
                users = users[: math.ceil(len(users) * self.chance_share)]
            num_batches = -(-len(users) // self.batch_size)
            batches = np.resize(users, (num_batches, self.batch_size))
            self.order += [(question, batch) for batch in batches]
        self.order = _ends_first([self.order[n] for n in self.rng.permutation(len(self.order))])


def _ends_first(order: list[tuple[Question, np.ndarray]]) -> list[tuple[Question, np.ndarray]]:
    """A batch with the fewest and one with the most candidates in front: Keras reads off two which lengths vary."""
    lengths = [len(question.items) for question, _ in order]
    ends = {lengths.index(length): None for length in (min(lengths), max(lengths))} if order else {}
    return [order[n] for n in ends] + [batch for n, batch in enumerate(order) if n not in ends]


def history_arrays(
    dataset: Dataset, reading: HistoryReading, shown: tuple[np.ndarray, ...], max_length: int
) -> dict[str, np.ndarray]:
    """Histories as a network reads them: the latest pairs, padded with 0. Shapes (len(shown), max_length).

    Args:
        shown: places of each user's pairs among those of the dataset.
    """
    pairs = dataset.interactions
    places = np.zeros((len(shown), max_length), np.int64)
    strengths = np.zeros(places.shape, np.float32)
    times = np.zeros((len(shown), reading.num_eras), np.float32)
    for row, of_user in enumerate(shown):
        latest = of_user[np.argsort(pairs.age_days[of_user], kind="stable")[:max_length]]
        places[row, : len(latest)] = latest
        of_latest = reading.strengths(pairs.weight[latest])
        strengths[row, : len(latest)] = of_latest
        times[row] = reading.times(pairs.age_days[latest], of_latest)
    items = pairs.item_index[places] * (strengths > 0)
    return {
        "history": items.astype(np.int32),
        **{f"history_{name}": values for name, values in item_content(dataset, items, CONTENT).items()},
        "strengths": strengths,
        "times": times,
    }


def history_matrices(
    dataset: Dataset, reading: HistoryReading, user_indices: np.ndarray
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Whole histories: each item's strength by user, and the share of each era. For `user_indices` in their order."""
    pairs = dataset.interactions
    items, strengths = [], []
    times = np.zeros((len(user_indices), reading.num_eras), np.float32)
    for row, user in enumerate(user_indices.tolist()):
        part = slice(int(pairs.offsets[user]), int(pairs.offsets[user + 1]))
        of_user = reading.strengths(pairs.weight[part])
        items.append(pairs.item_index[part])
        strengths.append(of_user)
        times[row] = reading.times(pairs.age_days[part], of_user)
    offsets = np.concatenate([[0], np.cumsum([len(of_user) for of_user in items])])
    shape = (len(user_indices), dataset.num_items)
    return sparse.csr_matrix((np.concatenate(strengths), np.concatenate(items), offsets), shape=shape), times


def questions_of(dataset: Dataset, breadth_exponent: float) -> list[Question]:
    """Of whom something can be hidden: a department, where they met another one as well; or any of several items."""
    pairs, domain_of = dataset.interactions, dataset.item_features["domain_index"]
    known_items = np.arange(FIRST_VALUE_INDEX, dataset.num_items)
    num_met = np.diff(pairs.offsets)
    wanted = pairs.demand > 0
    found = [_question(dataset, None, wanted & (num_met[pairs.user_index] > 1), known_items, breadth_exponent)]
    of_pairs = domain_of[pairs.item_index]
    for domain in np.unique(of_pairs[wanted]):
        of_domain = of_pairs == domain
        num_within = np.bincount(pairs.user_index[of_domain], minlength=dataset.num_users)
        is_asked = of_domain & wanted & (num_met > num_within)[pairs.user_index]
        items = known_items[domain_of[known_items] == domain]
        found.append(_question(dataset, int(domain), is_asked, items, breadth_exponent))
    return [question for question in found if len(question.users)]


def _question(
    dataset: Dataset, domain: int | None, is_answer: np.ndarray, items: np.ndarray, breadth_exponent: float
) -> Question:
    users, breadths = np.unique(dataset.interactions.user_index[is_answer], return_counts=True)
    counts = np.bincount(dataset.interactions.item_index[is_answer], minlength=dataset.num_items)
    mean_breadth = float(np.mean(breadths**breadth_exponent)) if len(users) else 1.0
    return Question(domain, users, items, counts / max(1, counts.sum()), mean_breadth)
