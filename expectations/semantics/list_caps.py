"""Of each category, brand and group of variants, at most so many items in a list: `max_per_category` and the like.

`split_by_caps` goes down one order of items, as lists are filled and sessions are answered; `CapUse` counts for a block
of users at once, as lists are chosen. A test holds the two together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

_LOOKED_AT = 256
"""Items of the order at a time: most lists are full soon."""


@dataclass(frozen=True)
class Cap:
    """Of each group, at most so many items in a list.

    Attributes:
        most: how many.
        group: by item_index; 0 belongs to no group, and so do items beyond its end. Integers of shape (num_items,).
    """

    most: int
    group: np.ndarray

    def group_of(self, items: np.ndarray) -> np.ndarray:
        """Returns the groups of items, integers of the same shape.

        Args:
            items: item indices of any shape.
        """
        is_known = items < len(self.group)
        groups: np.ndarray = np.where(is_known, self.group[np.where(is_known, items, 0)], 0)
        return groups


def split_by_caps(
    order: np.ndarray, num: int, caps: Sequence[Cap], listed: np.ndarray | None = None, taken: Set[int] = frozenset()
) -> tuple[list[int], list[int]]:
    """Returns the first `num` items of an order that go into one list, and those that a cap passed over before them.

    Args:
        order: item indices, best first, each once. Shape (num_ordered,), integers.
        num: at least 1.
        listed: items that are in the list already and count for the caps. Shape (num_listed,), integers.
        taken: items of the order that are not looked at.
    """
    uses = [Counter([] if listed is None else cap.group_of(listed).tolist()) for cap in caps]
    kept: list[int] = []
    passed: list[int] = []
    for start in range(0, len(order), _LOOKED_AT):
        part = order[start : start + _LOOKED_AT]
        for item, *groups in zip(part.tolist(), *(cap.group_of(part).tolist() for cap in caps), strict=True):
            if item in taken:
                continue
            of_caps = list(zip(caps, uses, groups, strict=True))
            if any(group and use[group] >= cap.most for cap, use, group in of_caps):
                passed.append(item)
                continue
            kept.append(item)
            if len(kept) == num:
                return kept, passed
            for _, use, group in of_caps:
                use[group] += 1
    return kept, passed


class CapUse:
    """How much of a cap each user has used up for the group of each of their candidates.

    Args:
        items: item indices of the candidates. Shape (num_users, num_candidates), integers.
    """

    def __init__(self, cap: Cap, items: np.ndarray) -> None:
        self.cap, self.groups, self.num_used = cap, cap.group_of(items), np.zeros(items.shape, np.int32)

    def add(self, items: np.ndarray, is_counted: np.ndarray) -> None:
        """Counts one item a user.

        Args:
            items: item indices of any items, candidates or not. Shape (num_users,), integers.
            is_counted: False where a user's is not to be counted. Shape (num_users,), bool.
        """
        group = self.cap.group_of(items)
        self.num_used += (self.groups == group[:, None]) & is_counted[:, None]

    @property
    def is_full(self) -> np.ndarray:
        """Tells which candidates the cap forbids now. Shape (num_users, num_candidates), bool."""
        full: np.ndarray = (self.groups > 0) & (self.num_used >= self.cap.most)
        return full
