"""The training rows of a ranking model: users at past cuts, with items that they wanted next, and drawn negatives.

Negatives are drawn from the catalogue by popularity, and from the user's own past: a ranker has to tell which of the
old items come again. Every row carries the log-rate at which its pair was drawn, so that the loss can be corrected and
the network's output is the log-odds of the real event, not of the sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from expectations.shop.bounds import AtLeastOne, Bounded, NotNegativeInt
from models.batches.negative_sampling import NegativeSampler
from models.batches.reshuffled_batches import ReshuffledBatches
from models.data.dataset import Dataset
from models.data.item_similarity import SimilarityConfig
from models.data.pair_features import PairFeatures
from models.data.snapshot import Snapshot, Window, positive_pairs
from models.data.tower_inputs import item_arrays, mask_item, user_arrays


@dataclass(frozen=True)
class SamplingConfig(Bounded):
    """How many items a user's row holds, and where they are drawn from.

    Attributes:
        num_positives: wanted items at most; a random choice where a user wanted more.
        num_from_catalogue: negatives that are drawn from the catalogue.
        num_from_history: negatives that are drawn from the user's own past.
        popularity_exponent: see `NegativeSampler`.
        uniform_share: see `NegativeSampler`.
    """

    num_positives: AtLeastOne
    num_from_catalogue: AtLeastOne
    num_from_history: NotNegativeInt
    popularity_exponent: float
    uniform_share: Annotated[float, Field(gt=0, le=1), "must lie in (0, 1]"]

    @property
    def row_length(self) -> int:
        """Number of items in a row."""
        return self.num_positives + self.num_from_catalogue + self.num_from_history


@dataclass(frozen=True)
class Rows:
    """The items drawn for some users. All arrays have the shape (num_users, row_length).

    Attributes:
        items: item indices, int64.
        labels: 1 where the item was wanted in the window, otherwise 0; float32.
        weights: 0 where a slot of the row was not filled, or where a drawn negative was wanted after all; otherwise 1.
            float32.
        log_rate: log of the rate at which a pair is drawn if it is a positive, minus that if it is a negative; float32.
    """

    items: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    log_rate: np.ndarray


class WindowRows:
    """The users of one window with what they wanted, and the negatives that can be drawn for them.

    Attributes:
        users: user indices with at least one wanted item, ascending. Shape (num_users,).
        wanted: user index -> indices of the wanted items.
    """

    def __init__(
        self, dataset: Dataset, window: Window, sampling: SamplingConfig, neighbours: SimilarityConfig
    ) -> None:
        self.sampling = sampling
        self.snapshot = Snapshot(dataset, window.cut)
        self.pair_features = PairFeatures(self.snapshot, neighbours)
        known = self.snapshot.known_items
        users, items = positive_pairs(dataset, window)
        is_known = np.isin(items, known)
        users, items = users[is_known], items[is_known]
        self.users, starts = np.unique(users, return_index=True)
        self.wanted = dict(zip(self.users.tolist(), np.split(items, starts[1:]), strict=True)) if len(users) else {}
        self.sampler = NegativeSampler.from_demand(
            known, self.snapshot.num_events, sampling.popularity_exponent, sampling.uniform_share
        )
        self.draw_rate = np.zeros(dataset.num_items)
        self.draw_rate[known] = np.diff(self.sampler.cumulative, prepend=0.0)

    def draw(self, user_indices: np.ndarray, rng: np.random.Generator) -> Rows:
        """Draws new rows, of shape (len(user_indices), row_length).

        Args:
            user_indices: some of `users`, int64. Shape (any number,).
        """
        shape = (len(user_indices), self.sampling.row_length)
        rows = Rows(*(np.zeros(shape, dtype=kind) for kind in (np.int64, np.float32, np.float32, np.float32)))
        num_positives, from_catalogue = self.sampling.num_positives, self.sampling.num_from_catalogue
        rows.items[:, num_positives : num_positives + from_catalogue] = self.sampler.draw(
            (len(user_indices), from_catalogue), rng
        )
        for row, user in enumerate(user_indices.tolist()):
            self._fill(rows, row, user, rng)
        return rows

    def _fill(self, rows: Rows, row: int, user: int, rng: np.random.Generator) -> None:
        """Completes one user's row: positives first, then the catalogue's draws, then those of the own past."""
        sampling, wanted = self.sampling, self.wanted[user]
        chosen = wanted
        if len(wanted) > sampling.num_positives:
            chosen = rng.choice(wanted, sampling.num_positives, replace=False)
        snapshot = self.snapshot
        past = np.unique(snapshot.dataset.events.item_index[snapshot.starts[user] : snapshot.ends[user]])
        items = rows.items[row]
        items[: len(chosen)] = chosen
        if len(past) and sampling.num_from_history:
            items[-sampling.num_from_history :] = rng.choice(past, sampling.num_from_history)
        is_wanted = np.isin(items, wanted)
        rows.labels[row, : len(chosen)] = 1
        rows.weights[row] = (items > 0) & ~is_wanted
        rows.weights[row, : len(chosen)] = 1
        as_negative = sampling.num_from_catalogue * self.draw_rate[items]
        as_negative = as_negative + sampling.num_from_history * np.isin(items, past) / max(1, len(past))
        as_positive = len(chosen) / len(wanted)
        rows.log_rate[row] = np.log(as_positive) - np.log(np.maximum(as_negative, 1e-9))


class RankingBatches(ReshuffledBatches[tuple[WindowRows, np.ndarray]]):
    """Batches of rows with all that the network reads. Each epoch draws anew, unless `is_fixed`."""

    def __init__(
        self,
        windows: list[WindowRows],
        batch_size: int,
        *,
        max_length: int,
        num_members: int,
        seed: int,
        is_fixed: bool,
    ) -> None:
        """Shuffles the first epoch.

        Args:
            windows: those without users are left out.
            batch_size: users at most.
            max_length: events at most that are read of a history.
            num_members: networks that answer together; each gets the labels.
            seed: of shuffling and drawing.
            is_fixed: whether every epoch sees the same rows.
        """
        super().__init__(seed)
        self.windows = [window for window in windows if len(window.users)]
        self.num_examples = sum(len(window.users) for window in self.windows)
        self.batch_size = min(batch_size, max((len(window.users) for window in self.windows), default=0))
        self.max_length, self.num_members, self.is_fixed = max_length, num_members, is_fixed
        self.order = self.shuffled()

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        window, users = self.order[index]
        rows = window.draw(users, self.rng(index))
        inputs = {
            **ranking_arrays(window.pair_features, users, rows.items, self.max_length),
            "log_rate": rows.log_rate,
        }
        return inputs, np.repeat(rows.labels[..., None], self.num_members, axis=-1), rows.weights

    def on_epoch_end(self) -> None:
        """Shuffles, and draws new rows for the next epoch, unless the batches are fixed."""
        if not self.is_fixed:
            super().on_epoch_end()

    def shuffled(self) -> list[tuple[WindowRows, np.ndarray]]:
        """A batch holds users of one window; a window's last batch is filled from its first users: one shape.

        Returns:
            For each batch the window and the user indices, int64, of shape (batch_size,).
        """
        rng = self.rng()
        batches = []
        for window in self.windows:
            num_batches = -(-len(window.users) // self.batch_size)
            filled = np.resize(rng.permutation(window.users), num_batches * self.batch_size)
            batches += [(window, users) for users in np.split(filled, num_batches)]
        return [batches[n] for n in rng.permutation(len(batches))]


def ranking_arrays(
    pair_features: PairFeatures,
    user_indices: np.ndarray,
    item_indices: np.ndarray,
    max_length: int,
    without: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The inputs of a ranking network: features of users, of the items in their rows, and of the pairs.

    Args:
        pair_features: as of the cut.
        user_indices: shape (num_users,).
        item_indices: shape (num_users, row_length).
        max_length: events at most that are read of a history.
        without: an item for each row that its user is taken never to have met; 0 takes nothing out. Shape (num_users,).

    Returns:
        The arrays of `models.data.tower_inputs.user_arrays`, those of `item_arrays`, and `pair`, of shape
        (num_users, row_length, PAIR_DIM), float32.
    """
    visible = None if without is None else mask_item(without)
    return {
        **user_arrays(pair_features.snapshot, user_indices, max_length, visible),
        **item_arrays(pair_features.snapshot, item_indices),
        "pair": pair_features.of(user_indices, item_indices, without),
    }
