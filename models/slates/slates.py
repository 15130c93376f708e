"""Candidates that a policy orders, and slates, as arrays: what agents learn from, and what they answer.

A *slate* is a list shown to a user, filled slot by slot: each slot is drawn from the candidates that are left, with a
probability that is known given the slots above. Where this propensity is logged, the log tells what another policy
would have earned (`models.off_policy.estimators`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class CandidateSets:
    """What a policy may choose from, one row for each list that it makes.

    Attributes:
        user: whose list it is. Shape (num_slates,).
        day: on which the list stands, counted from any day. Shape (num_slates,).
        item: item indices; anything where `is_candidate` is False. Shape (num_slates, num_candidates).
        kind: what else is like it, such as its category: equal numbers are of one kind, -1 of none. Same shape.
        is_candidate: shape (num_slates, num_candidates).
        features: see `models.slates.slate_features`; 0 where there is no candidate. The first one is the ranker's
            score, less the mean of the row's candidates, over their standard deviation. Shape (num_slates,
            num_candidates, num_features), float32.
        history: the latest events of the user before the list, oldest first, for policies that read them in order: the
            kind + 2, the event type + 1, and the gap to the event before as the bit length of its minutes; then
            zeros. None: nobody looked. Shape (num_slates, num_events, 3), int32.
    """

    user: np.ndarray
    day: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    is_candidate: np.ndarray
    features: np.ndarray
    history: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.user)

    def rows(self, rows: np.ndarray) -> CandidateSets:
        """Returns some of the lists.

        Args:
            rows: shape (num_rows,), int64, or (num_slates,), bool.
        """
        return replace(self, **{f.name: _rows(getattr(self, f.name), rows) for f in fields(self)})


@dataclass(frozen=True)
class Slates:
    """Lists that were drawn from `CandidateSets`, one a row.

    Attributes:
        slots: which candidate stands at each rank; -1 where the list has ended. Shape (num_slates, top_k).
        propensity: with which probability this candidate came there, given the ranks before; NaN where nobody wrote it
            down. Same shape.
    """

    slots: np.ndarray
    propensity: np.ndarray

    def rows(self, rows: np.ndarray) -> Slates:
        """Returns some of the lists.

        Args:
            rows: shape (num_rows,), int64, or (num_slates,), bool.
        """
        return Slates(self.slots[rows], self.propensity[rows])


class SlatePolicy(Protocol):
    """Whatever makes lists out of candidates."""

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        """Returns lists drawn at random, with their propensities; without `rng` the best ones, with propensity 1."""

    def propensity(self, candidates: CandidateSets, slates: Slates) -> np.ndarray:
        """Returns the probability that this policy fills each rank of `slates` as it was, given the ranks before.

        Returns:
            Shape (num_slates, top_k), float64; 1 where a list has ended.
        """


def _rows(column: Any, rows: np.ndarray) -> Any:
    return None if column is None else column[rows]
