"""Fills lists that fall short, in the order of demand and under the caps of the shop's rules.

First come allowed items that no cap forbids. A user may have bought so many of these that too few are left: then
allowed items beyond the caps follow, so that every list has as many items as the shop asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from expectations.semantics.list_caps import Cap, split_by_caps


@dataclass(frozen=True)
class FallbackItems:
    """The items that fill lists; the same for every block.

    Attributes:
        items: indices of the items that rules allow, most demanded first, int. Shape (num_items,).
        new_items: those of them that are new, where lists need any, in the same order.
        caps: the bounds that a list keeps as long as enough items do.
    """

    items: np.ndarray
    new_items: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    caps: tuple[Cap, ...] = ()

    def best(self, num: int, listed: np.ndarray, excluded: np.ndarray, only_new: bool = False) -> np.ndarray:
        """Returns at most `num` items that a list can hold beside those listed without breaking a cap, best first.

        Args:
            listed: item indices of the list so far, int. Shape (num_listed,).
            excluded: item indices that the list must not hold, int. Shape (num_excluded,).
            only_new: takes new items alone.

        Returns:
            Item indices, int. Shape (num_found,).
        """
        order = self.new_items if only_new else self.items
        if num <= 0:
            return order[:0]
        taken = np.concatenate([listed, excluded])
        if not self.caps:
            return _first_free(order, num, taken)
        return np.array(split_by_caps(order, num, self.caps, listed, frozenset(taken.tolist()))[0], order.dtype)

    def beyond_caps(self, num: int, listed: np.ndarray, excluded: np.ndarray) -> np.ndarray:
        """Returns at most `num` items that the list does not hold, best first, and looks at no cap.

        Args:
            listed: item indices of the list so far, int. Shape (num_listed,).
            excluded: item indices that the list must not hold, int. Shape (num_excluded,).

        Returns:
            Item indices, int. Shape (num_found,).
        """
        return _first_free(self.items, num, np.concatenate([listed, excluded]))


def _first_free(order: np.ndarray, num: int, taken: np.ndarray) -> np.ndarray:
    # No more than this many can be among the taken, so the rest of the order need not be looked at.
    head = order[: max(num, 0) + len(taken)]
    return head[~np.isin(head, taken)][: max(num, 0)]
