"""What every night published: its lists, and by which model, as the manifest of published tables tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from expectations.runtime.lake import Lake
from expectations.runtime.published_tables import published_table
from expectations.tables import RUN_MANIFEST, USER_RECOMMENDATIONS, TableContractError

GATE_KEY = "gate"
"""Where the manifest's metrics hold the decision of the gate."""


@dataclass(frozen=True)
class PublishedNights:
    """Model by ds, of every night whose recommendations were published; its version, and the hash of its vocabulary."""

    models: dict[str, str]
    vocabulary_hashes: dict[str, str] = field(default_factory=dict, compare=False)
    versions: dict[str, str] = field(default_factory=dict, compare=False)

    def champion(self, ds: str) -> str | None:
        """The model published for the latest earlier ds: a backfilled night looks at its own past, not at today."""
        earlier = [day for day in self.models if day < ds]
        return self.models[max(earlier)] if earlier else None

    def is_latest(self, ds: str) -> bool:
        """Whether no later night was published."""
        return all(day <= ds for day in self.models)


def published_lists(lake: Lake, ds: str, user_ids: pa.Array, columns: list[str]) -> pa.Table:
    """Rows that readers see of a night's `user_recommendations`: those of some users.

    Raises:
        TableContractError: the night did not publish them.
    """
    published = published_table(lake, USER_RECOMMENDATIONS, ds)
    if published is None:
        raise TableContractError(f"{USER_RECOMMENDATIONS.name} ds={ds}: run_manifest names no published version")
    asked = (pc.field("ds") == ds) & pc.field("user_id").isin(user_ids)
    return published.to_pyarrow_dataset().to_table(columns, filter=asked)


def published_nights(lake: Lake) -> PublishedNights:
    """Reads the manifest; empty before anything was published."""
    path = lake.table_path(RUN_MANIFEST)
    if not DeltaTable.is_deltatable(path):
        return PublishedNights({})
    columns = ["ds", "table_name", "metrics", "model_versions", "vocabulary_hash"]
    manifest = DeltaTable(path).to_pyarrow_table(columns=columns)
    rows = [row for row in manifest.to_pylist() if row["table_name"] == USER_RECOMMENDATIONS.name]
    models = {row["ds"]: str(json.loads(row["metrics"])[GATE_KEY]["published_model"]) for row in rows}
    versions = {row["ds"]: json.loads(row["model_versions"]).get(models[row["ds"]], "") for row in rows}
    return PublishedNights(models, {row["ds"]: row["vocabulary_hash"] for row in rows}, versions)
