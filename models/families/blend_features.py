"""What the lists of several models say of the pairs of user and item that stand in any of them, on one scale.

The scores of two models, and of one model on two days, are not comparable. So a score becomes a standard score within
the user's own list, and a rank becomes the gain that it has in an NDCG.
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
    """Pairs in the order of users, then of items, each once.

    Attributes:
        keys: one integer for each pair, ascending; see `models.data.pair_keys`. Shape (num_pairs,).
        is_seen: whether the user had met the item. Shape (num_pairs,), bool.
        features: the FEATURES_OF_A_LIST of each list in turn, then whether the user had met the item. Shape
            (num_pairs, 2 * num_lists + 1), float64.
    """

    keys: np.ndarray
    is_seen: np.ndarray
    features: np.ndarray

    @property
    def user_indices(self) -> np.ndarray:
        """The user of each pair. Shape (num_pairs,), int64."""
        return users_of(self.keys)

    @property
    def item_indices(self) -> np.ndarray:
        """The item of each pair. Shape (num_pairs,), int64."""
        return items_of(self.keys)

    def where(self, is_kept: np.ndarray) -> ListedPairs:
        """Keeps the pairs where `is_kept`, bool of shape (num_pairs,), is true."""
        return ListedPairs(self.keys[is_kept], self.is_seen[is_kept], self.features[is_kept])

    def of_users(self, user_indices: np.ndarray) -> ListedPairs:
        """Keeps the pairs of some users. `user_indices` has the shape (any number,), int64."""
        return self.where(np.isin(self.user_indices, user_indices))

    @classmethod
    def joined(cls, parts: Sequence[ListedPairs]) -> ListedPairs:
        """Concatenates parts whose users ascend."""
        names = ("keys", "is_seen", "features")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def listed_pairs(lists: Sequence[Version], first_user: int, last_user: int) -> ListedPairs:
    """Reads the pairs of the users from `first_user` to `last_user`, both included.

    To a list that lacks a pair, the pair is as good as the last one that the list holds of the user; its gain of rank
    is 0.

    Args:
        lists: versions of rows (user_index, item_index, score, is_seen), one for each model.
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
    """Standard score and gain of rank of each of `keys`, which hold all pairs of `rows`. Both of shape (len(keys),)."""
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
