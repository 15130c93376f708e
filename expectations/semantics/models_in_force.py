"""Which partitions of models count in a night, as the gate named them for every program that comes after it.

The lake keeps what earlier runs of a `ds` left: a fit from other drops, vectors of a model that the shop no longer
runs. The gate names the fingerprints of what was computed from just this night's inputs; whatever else lies there is
absent, and so is a partition that another run has replaced since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from expectations.runtime.lake import Lake, Version, parquet_dataset
from expectations.tables import CANDIDATES, GATE_DECISIONS, SCORES, Table

NO_MODEL = ""
"""Stands for the model of a table that holds one partition for all."""


@dataclass(frozen=True)
class ModelsInForce:
    """What counts as of `ds`: table -> model -> fingerprint."""

    ds: str
    fingerprints: Mapping[str, Mapping[str, str]]

    @classmethod
    def of_row(cls, ds: str, row: Mapping[str, Any]) -> ModelsInForce:
        """Reads a row of `gate_decisions`; one that version 0.1.0 or earlier wrote names nothing."""
        return cls(ds, json.loads(row.get("in_force") or "{}"))

    def version(self, lake: Lake, table: Table, model: str = NO_MODEL) -> Version | None:
        """Returns the partition of a model where it counts, otherwise None."""
        fingerprint = self.fingerprints.get(table.name, {}).get(model)
        version = lake.current(table, self.ds, model or None) if fingerprint else None
        return version if version is not None and version.fingerprint == fingerprint else None

    def lists(self, lake: Lake, model: str) -> tuple[Table, Version] | None:
        """Returns the lists of a model: `scores` where it ranks, `candidates` where it retrieves."""
        for table in (SCORES, CANDIDATES):
            version = self.version(lake, table, model)
            if version is not None:
                return table, version
        return None


def models_in_force(lake: Lake, ds: str) -> ModelsInForce:
    """Returns what the gate named for `ds`; nothing before it decided."""
    decision = lake.current(GATE_DECISIONS, ds)
    rows = parquet_dataset(decision.path).to_table().to_pylist() if decision else []
    return ModelsInForce.of_row(ds, rows[0] if rows else {})
