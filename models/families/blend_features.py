"""What several models' lists say of the pairs of user and item that stand in any of them, on one scale.

The scores of two models, and of one model on two days, are no quantities of one kind. So a score is told as how far it
stands out of the user's own list (in standard deviations of that list), and a rank as the gain that it would have in
an NDCG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.lake import Version, parquet_dataset
from models.data.list_scaling import rank_gains, standard_scores_of_runs
from models.data.pair_keys import items_of, pair_keys, users_of

FEATURES_OF_A_LIST = ("standard score", "gain of rank")
_COLUMNS = ["user_index", "item_index", "score", "is_seen"]


@dataclass(frozen=True)
class ListedPairs:
    """Pairs by user, then by item, each once.

    Attributes:
        keys: one integer a pair, ascending.
        features: of every list in turn the FEATURES_OF_A_LIST; then whether the user had met the item. Shape
            (num_pairs, 2 * num_lists + 1).
    """

    keys: np.ndarray
    is_seen: np.ndarray
    features: np.ndarray

    @property
    def user_indices(self) -> np.ndarray:
        return users_of(self.keys)

    @property
    def item_indices(self) -> np.ndarray:
        return items_of(self.keys)

    def where(self, is_kept: np.ndarray) -> ListedPairs:
        """Some of the pairs."""
        return ListedPairs(self.keys[is_kept], self.is_seen[is_kept], self.features[is_kept])

    def of_users(self, user_indices: np.ndarray) -> ListedPairs:
        """The pairs of some users."""
        return self.where(np.isin(self.user_indices, user_indices))

    @classmethod
    def joined(cls, parts: Sequence[ListedPairs]) -> ListedPairs:
        """The pairs of parts whose users ascend."""
        names = ("keys", "is_seen", "features")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def listed_pairs(lists: Sequence[Version], first_user: int, last_user: int) -> ListedPairs:
    """The pairs of the users with these indices, both included.

    A pair that a list lacks is as good, to that list, as the last one it holds of the user; its gain of rank is 0.
    """
    tables = [_rows_of(version, first_user, last_user) for version in lists]
    together = pa.concat_tables(tables)
    keys, first = np.unique(_keys(together), return_index=True)
    is_seen = together["is_seen"].to_numpy()[first].astype(bool)
    columns = [column for table in tables for column in _features_of_list(table, keys)]
    features = np.stack([*columns, is_seen.astype(np.float64)], axis=1)
    return ListedPairs(keys, is_seen, features)


def _rows_of(version: Version, first_user: int, last_user: int) -> pa.Table:
    lies_between = (pc.field("user_index") >= first_user) & (pc.field("user_index") <= last_user)
    return parquet_dataset(version.path).to_table(columns=_COLUMNS, filter=lies_between)


def _keys(rows: pa.Table) -> np.ndarray:
    return pair_keys(rows["user_index"].to_numpy(), rows["item_index"].to_numpy())


def _features_of_list(rows: pa.Table, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard score and gain of rank of each of `keys`, which hold all pairs of `rows`."""
    standard, gain = np.zeros(len(keys)), np.zeros(len(keys))
    if not rows.num_rows:
        return standard, gain
    own_keys, scores = _keys(rows), rows["score"].to_numpy().astype(np.float64)
    order = np.lexsort((own_keys, -scores, users_of(own_keys)))
    own_keys, scores = own_keys[order], scores[order]
    starts = np.flatnonzero(np.diff(users_of(own_keys), prepend=-1))
    lengths = np.diff(starts, append=len(scores))
    standing = standard_scores_of_runs(scores, starts, lengths)
    owners, users = users_of(own_keys[starts]), users_of(keys)
    nth = np.minimum(np.searchsorted(owners, users), len(owners) - 1)
    standard[:] = np.where(owners[nth] == users, standing[starts + lengths - 1][nth], 0.0)
    places = np.searchsorted(keys, own_keys)
    standard[places] = standing
    gain[places] = rank_gains(np.arange(len(scores)) - np.repeat(starts, lengths))
    return standard, gain
