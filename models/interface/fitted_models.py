"""The rows of `fitted_models`: each makes a fit the current one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from expectations.runtime.lake import Lake, Version, parquet_dataset
from expectations.tables import FITTED_MODELS
from models.data.arrow_rows import arrow_rows
from models.interface import tracking
from models.interface.in_force import VECTOR_TABLES
from models.interface.registry import MODELS, ModelEntry

RETRIEVAL = "retrieval"
"""Under this name a fit notes which tables of vectors and neighbours were written with it."""


def write_fitted_model(
    lake: Lake,
    fit: tracking.Fit,
    fingerprint: str,
    path: str,
    run_id: str | None,
    notes: Mapping[str, Any] = MappingProxyType({}),
    stands_as: str | None = None,
    entry: ModelEntry | None = None,
) -> Version:
    """Writes the row that makes the fit the current one.

    Args:
        path: of the weights, as `models.interface.weights_store.weights_path` gives it.
        notes: what the version remembers of what it was made from.
        stands_as: the name in the table, where it is not the model's.
        entry: of what no shop names among its models.
    """
    entry, name = entry or MODELS[fit.model], stands_as or fit.model
    row = {
        "model": name,
        "kind": entry.kind,
        "role": entry.role,
        "version": fit.version,
        "weights_path": path,
        "tracking_run_id": run_id,
        "metrics": json.dumps({"curves": fit.curves, **fit.facts}, sort_keys=True),
        "vocabulary_hash": fit.vocabulary_hash,
    }
    rows = arrow_rows(FITTED_MODELS, fit.as_of, [row])
    return lake.write(FITTED_MODELS, fit.as_of, rows, fingerprint, model=name, **notes)


def reuse_fit(lake: Lake, as_of: str, model: str, fingerprint: str, notes: Mapping[str, Any]) -> bool:
    """Whether the model is fitted from just these inputs already; takes the fit and its vectors into the run.

    Args:
        notes: what the fit remembers of what it was made from.
    """
    fit = lake.reuse(FITTED_MODELS, as_of, fingerprint, model, **notes)
    if fit is None:
        return False
    found = [table.name for table in VECTOR_TABLES if lake.reuse(table, as_of, fingerprint, model)]
    return set(fit.metadata.get(RETRIEVAL, ())) <= set(found)


def fitted_model(fit: Version) -> dict[str, str | None]:
    """The row of a version of `fitted_models`."""
    row: dict[str, str | None] = parquet_dataset(fit.path).to_table().to_pylist()[0]
    return row
