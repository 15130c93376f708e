"""What the published tables of a night are built from, looked up once before the first of them is built.

Between two looks at a pointer a backfill may replace what it points to. Here every pointer is read once: all tables of
a night are built from the same versions, and their fingerprints are taken of the versions that are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from expectations.runtime.lake import Lake, Version
from expectations.shop.reasons import CATALOGUE_ORDER
from expectations.shop.shop import Shop
from expectations.tables import ATTRIBUTIONS, ITEM_NEIGHBOURS
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.gate_decision import GateDecision, gate_decision
from jobs.lists.popularity_order import PopularityVectors, popularity_vectors
from jobs.lists.published_candidates import RecommendedLists, recommended_lists, with_policy_version
from jobs.tables.domain_vectors import DomainVectors, domain_vectors
from jobs.tables.similarity_sources import SimilaritySource, similarity_sources


@dataclass(frozen=True)
class TableInputs:
    """The versions that a night's tables are built from.

    Attributes:
        features: the feature tables of `ds`.
        gate: what may be published; it can also tell the version of re-ranked rows.
        lists: the candidates of users, before the shop's rules.
        attributions: which item of the user each row of these very lists owes most to; None where nobody explained
            them.
        neighbours: the item-item weights that give reasons where there are no attributions; None when no model has any.
        popularity: the demand for every item; None when no model of demand was fitted.
        similarity: who has a say on which items belong together.
        domain_vectors: what scores the items of each domain.
    """

    features: FeatureTables
    gate: GateDecision
    lists: RecommendedLists
    attributions: Version | None
    neighbours: Version | None
    popularity: PopularityVectors | None
    similarity: tuple[SimilaritySource, ...]
    domain_vectors: DomainVectors

    @property
    def ds(self) -> str:
        """The day as of which all of it is."""
        return self.features.ds

    @property
    def fallback_source(self) -> str:
        """Whose order fills lists that fall short."""
        return self.popularity.model if self.popularity else CATALOGUE_ORDER


def table_inputs(lake: Lake, ds: str, shop: Shop) -> TableInputs:
    """Looks up what is current for `ds`, each pointer once.

    Raises:
        TableContractError: the gate did not decide, or a table was never built.
        NightError: the published model has no lists.
    """
    gate = gate_decision(lake, ds)
    lists = recommended_lists(lake, ds, gate, shop)
    weights = gate.in_force.version(lake, ITEM_NEIGHBOURS, gate.similar_model) if gate.similar_model else None
    features, popularity = FeatureTables.resolve(lake, ds), popularity_vectors(lake, gate.in_force)
    return TableInputs(
        features=features,
        gate=with_policy_version(gate, lists),
        lists=lists,
        attributions=_attributions(lake, ds, gate, lists),
        neighbours=_neighbours(lake, gate, weights),
        popularity=popularity,
        similarity=similarity_sources(lake, features, gate, weights),
        domain_vectors=domain_vectors(lake, gate, popularity),
    )


def _attributions(lake: Lake, ds: str, gate: GateDecision, lists: RecommendedLists) -> Version | None:
    """Returns what the rows of the published lists owe most to, where these very lists were explained."""
    version = lake.current(ATTRIBUTIONS, ds, gate.published_model)
    return version if version and version.metadata.get("lists") == lists.version.fingerprint else None


def _neighbours(lake: Lake, gate: GateDecision, weights: Version | None) -> Version | None:
    """Returns the published model's own neighbours where it has any, else those of the similar items' model."""
    if gate.published_model == gate.similar_model:
        return weights
    return gate.in_force.version(lake, ITEM_NEIGHBOURS, gate.published_model) or weights
