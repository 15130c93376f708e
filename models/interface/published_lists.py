"""What every night published: its lists, and by which model, as the manifest of published tables tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.lake import Lake
from expectations.runtime.published_tables import dataset_of, manifest_rows, published_table
from expectations.semantics.champions import champion_of, published_decision
from expectations.tables import USER_RECOMMENDATIONS, TableContractError


@dataclass(frozen=True)
class PublishedNights:
    """Every night whose recommendations were published, by ds.

    Attributes:
        models: whose lists they are.
        vocabulary_hashes: of the words that their indices mean.
        versions: of the models.
        table_versions: of `user_recommendations`, to read the night from; None where a release before there were any
            published it: then the latest.
    """

    models: dict[str, str]
    vocabulary_hashes: dict[str, str] = field(default_factory=dict, compare=False)
    versions: dict[str, str] = field(default_factory=dict, compare=False)
    table_versions: dict[str, int | None] = field(default_factory=dict, compare=False)

    def champion(self, ds: str) -> str | None:
        """The model published for the latest earlier ds."""
        return champion_of(self.models, ds)

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
    return dataset_of(published).to_table(columns, filter=asked)


def published_nights(lake: Lake) -> PublishedNights:
    """Reads the manifest; empty before anything was published."""
    columns = ("ds", "table_name", "metrics", "model_versions", "vocabulary_hash", "table_version")
    rows = [row for row in manifest_rows(lake, columns=columns) if row["table_name"] == USER_RECOMMENDATIONS.name]
    models = {row["ds"]: str(published_decision(row["metrics"])["published_model"]) for row in rows}
    versions = {row["ds"]: json.loads(row["model_versions"]).get(models[row["ds"]], "") for row in rows}
    return PublishedNights(
        models,
        vocabulary_hashes={row["ds"]: row["vocabulary_hash"] for row in rows},
        versions=versions,
        table_versions={row["ds"]: row["table_version"] for row in rows},
    )
