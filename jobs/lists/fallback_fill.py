"""Fills lists that fall short, in the order of demand and under the caps of the shop's rules.

First come allowed items that no cap forbids. A user may have bought so many of these that too few are left: then
allowed items beyond the caps follow, so that every list has as many items as the shop asks for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

_ITEMS_AT_A_TIME = 256
"""Items of the order at a time: most lists are full soon."""


@dataclass(frozen=True)
class Cap:
    """A bound on how many items of one group a list may hold.

    Attributes:
        most: the bound; the same for every group.
        group: the group of each item, by item_index, int. Items of group 0, and items beyond the end, belong to none
            and are not bounded. Shape (num_items,).
    """

    most: int
    group: np.ndarray

    def group_of(self, items: np.ndarray) -> np.ndarray:
        """Returns the groups of items, int, in the shape of `items`."""
        is_known = items < len(self.group)
        groups: np.ndarray = np.where(is_known, self.group[np.where(is_known, items, 0)], 0)
        return groups


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
        return self._under_caps(order, num, listed, taken) if self.caps else _first_free(order, num, taken)

    def beyond_caps(self, num: int, listed: np.ndarray, excluded: np.ndarray) -> np.ndarray:
        """Returns at most `num` items that the list does not hold, best first, and looks at no cap.

        Args:
            listed: item indices of the list so far, int. Shape (num_listed,).
            excluded: item indices that the list must not hold, int. Shape (num_excluded,).

        Returns:
            Item indices, int. Shape (num_found,).
        """
        return _first_free(self.items, num, np.concatenate([listed, excluded]))

    def _under_caps(self, order: np.ndarray, num: int, listed: np.ndarray, taken: np.ndarray) -> np.ndarray:
        found: list[int] = []
        is_taken = set(taken.tolist())
        uses = [Counter(cap.group_of(listed).tolist()) for cap in self.caps]
        for start in range(0, len(order), _ITEMS_AT_A_TIME):
            part = order[start : start + _ITEMS_AT_A_TIME]
            for item, *groups in zip(part.tolist(), *(cap.group_of(part).tolist() for cap in self.caps), strict=True):
                uses_by_cap = list(zip(self.caps, uses, groups, strict=True))
                if item in is_taken or any(group and use[group] >= cap.most for cap, use, group in uses_by_cap):
                    continue
                found.append(item)
                if len(found) == num:
                    return np.array(found, order.dtype)
                for _, use, group in uses_by_cap:
                    use[group] += 1
        return np.array(found, order.dtype)


def _first_free(order: np.ndarray, num: int, taken: np.ndarray) -> np.ndarray:
    # No more than this many can be among the taken, so the rest of the order need not be looked at.
    head = order[: max(num, 0) + len(taken)]
    return head[~np.isin(head, taken)][: max(num, 0)]
