"""How much an item is viewed organically by other users who viewed the same items: leave-one-out item-item similarity.

For the organic views h of a user, which fade, and an item i the score is the sum over all other users v of
<h, x_v> x_vi, where x_v counts the organic views of v, each item's over the length of its column (with SHRINKAGE in
it). So it is the sum of cosines between the item and what the user viewed, without the user's own views: the features
of a list that a policy learns from must not hold that list's own outcome.

Source: Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001 (cosines of columns).
What differs: the shrinkage, and that nobody's own row counts for themselves, for which the sums go over users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from models.slates.event_log import VIEW, EventLog

SHRINKAGE = 5.0
"""Added to the squared length of an item's column: an item that few found is like few others."""
ITEMS_AT_ONCE = 4_096
"""Items whose similarities are computed together: bounds memory."""


@dataclass(frozen=True)
class OrganicSimilarity:
    """Made by `OrganicSimilarity.of`.

    Attributes:
        users: who viewed anything organically, ascending. Shape (num_users,).
        organic_counts: x. Shape (num_users, num_items).
    """

    users: np.ndarray
    organic_counts: csr_array

    @classmethod
    def of(cls, event_log: EventLog, num_items: int) -> Self:
        """Counts views of items that the user was not shown (`EventLog.is_exposed`). Items are below `num_items`."""
        is_organic = (event_log.event_type == VIEW) & ~event_log.is_exposed
        item = event_log.item[is_organic]
        users, row = np.unique(event_log.user[is_organic], return_inverse=True)
        counts = csr_array((np.ones(len(row), np.float32), (row, item)), shape=(len(users), num_items))
        lengths = np.sqrt(SHRINKAGE + np.asarray(counts.multiply(counts).sum(axis=0)))
        counts.data /= lengths[counts.indices]
        return cls(users, counts)

    def leave_user_out_scores(
        self, user: np.ndarray, row: np.ndarray, item: np.ndarray, weight: np.ndarray, asked: np.ndarray
    ) -> np.ndarray:
        """Returns how much each asked item was viewed organically by other users who viewed the same.

        Args:
            user: of each list. Shape (num_lists,), int64.
            row, item, weight: the list's user viewed the item; how much that counts. Shape (num_views,), int64 and
                float64.
            asked: items. Shape (num_lists, num_asked), int64.

        Returns:
            Shape of `asked`, float64; 0 for who or what has nothing in common with anybody.
        """
        own = csr_array((weight.astype(np.float32), (row, item)), shape=(len(user), self.organic_counts.shape[1]))
        alike = (own @ self.organic_counts.T).toarray()
        place = np.minimum(np.searchsorted(self.users, user), max(len(self.users) - 1, 0))
        is_known = np.flatnonzero(self.users[place] == user) if len(self.users) else np.empty(0, np.int64)
        alike[is_known, place[is_known]] = 0
        found = np.zeros(asked.shape)
        items, of_asked = np.unique(asked, return_inverse=True)
        for start in range(0, len(items), ITEMS_AT_ONCE):
            part = items[start : start + ITEMS_AT_ONCE]
            sums = alike @ self.organic_counts[:, part]
            at = of_asked.reshape(asked.shape) - start
            lists, places = np.nonzero((at >= 0) & (at < len(part)))
            found[lists, places] = sums[lists, at[lists, places]]
        return found
