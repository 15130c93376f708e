"""Whose vectors score the items of a domain: those of the model `cross_domain`, or one number for what sells."""

from __future__ import annotations

from dataclasses import dataclass

from expectations.runtime.lake import Lake, Version
from expectations.shop.reasons import CATALOGUE_ORDER
from expectations.tables import HISTORY_VECTORS, ITEM_VECTORS, USER_VECTORS
from jobs.lists.gate_decision import GateDecision
from jobs.lists.popularity_order import PopularityVectors

MODEL = "cross_domain"


@dataclass(frozen=True)
class DomainVectors:
    """The vectors that score the items of each domain.

    Attributes:
        source: MODEL, or a model that says what sells, or CATALOGUE_ORDER.
        items: the vectors of items; None for CATALOGUE_ORDER.
        histories, users: what each item adds to the vector of a user who met it, and the vectors of users; None for
            all but MODEL.
    """

    source: str
    items: Version | None = None
    histories: Version | None = None
    users: Version | None = None

    @property
    def versions(self) -> list[Version]:
        """All of them, as far as the source has any."""
        return [version for version in (self.items, self.histories, self.users) if version is not None]


def domain_vectors(lake: Lake, gate: GateDecision, popularity: PopularityVectors | None) -> DomainVectors:
    """Returns the vectors of MODEL as far as the gate found its lists sound, else those of demand, else none."""
    if gate.is_sound(MODEL):
        tables = (ITEM_VECTORS, HISTORY_VECTORS, USER_VECTORS)
        items, histories, users = (gate.in_force.version(lake, table, MODEL) for table in tables)
        if items and histories and users:
            return DomainVectors(MODEL, items, histories, users)
    return DomainVectors(popularity.model, popularity.version) if popularity else DomainVectors(CATALOGUE_ORDER)
