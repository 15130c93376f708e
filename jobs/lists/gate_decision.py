"""What the gate allows a night to publish, as the programs that build and publish tables read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from expectations.runtime.lake import Lake, Version, parquet_dataset
from expectations.semantics.models_in_force import ModelsInForce
from expectations.shop.reasons import CATALOGUE_ORDER
from expectations.tables import (
    CANDIDATES,
    GATE_DECISIONS,
    GRAPH_EDGES,
    ITEM_FEATURES,
    SCORES,
    NightError,
    Table,
    TableContractError,
)

UNFITTED_SOURCES = (CATALOGUE_ORDER, ITEM_FEATURES.name, GRAPH_EDGES.name, "segment_demand")
"""What may choose a row without a fit: it follows from the tables of the day and the code."""


@dataclass(frozen=True)
class GateDecision:
    """One row of `gate_decisions`, its JSON read.

    Attributes:
        version: of the partition of `gate_decisions`.
        decision: every rule that was checked, what it saw and what it said.
        model_versions: model -> the version that its rows carry.
        in_force: the partitions of models that count this night.
    """

    ds: str
    version: Version
    published_model: str
    similar_model: str
    is_fallback: bool
    champion: str | None
    decision: dict[str, Any]
    model_versions: dict[str, str]
    in_force: ModelsInForce

    def version_of(self, source: str) -> str:
        """Returns the version that rows of `source` carry.

        Raises:
            TableContractError: the gate named none, so nobody could say later what made the row.
        """
        if source in UNFITTED_SOURCES:
            return f"{source}-{self.ds}"
        if source not in self.model_versions:
            raise TableContractError(
                f"{GATE_DECISIONS.name} ds={self.ds}: no version of {source!r}. Found: {sorted(self.model_versions)}"
            )
        return self.model_versions[source]

    def is_sound(self, model: str) -> bool:
        """Returns whether the gate looked at the model's fit of this night, and found nothing wrong with its lists."""
        healthy = {row["model"] for row in self.decision.get("models", ()) if row["is_healthy"]}
        return model in self.model_versions and model in healthy


def gate_decision(lake: Lake, ds: str) -> GateDecision:
    """Returns the current decision; raises TableContractError when the gate did not decide, or decided twice."""
    version = lake.require(GATE_DECISIONS, ds)
    rows = parquet_dataset(version.path).to_table().to_pylist()
    if len(rows) != 1:
        raise TableContractError(f"{GATE_DECISIONS.name} ds={ds}: must hold one row. Found: {len(rows)}")
    row = rows[0]
    return GateDecision(
        ds=ds,
        version=version,
        published_model=row["published_model"],
        similar_model=row["similar_model"],
        is_fallback=row["is_fallback"],
        champion=row["champion"],
        decision=json.loads(row["decision"]),
        model_versions=json.loads(row["model_versions"]),
        in_force=ModelsInForce.of_row(ds, row),
    )


def published_lists(lake: Lake, gate: GateDecision) -> tuple[Table, Version]:
    """Returns the lists of the published model: scores where it ranks, candidates where it retrieves.

    Raises:
        NightError: it has neither, or another run has replaced them since the gate decided.
    """
    lists = gate.in_force.lists(lake, gate.published_model)
    if lists is None:
        raise NightError(
            f"{gate.published_model} has no lists as of ds={gate.ds} that the gate named, neither in {SCORES.name} nor "
            f"in {CANDIDATES.name}. Were jobs.build_candidates and models.score run for it, and models.gate after them?"
        )
    return lists
