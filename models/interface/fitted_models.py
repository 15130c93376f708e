"""The rows of `fitted_models`: each makes a fit the current one."""

from __future__ import annotations

import json
from collections.abc import Sequence

from expectations.runtime.lake import Lake, Version, vocabulary_hash
from expectations.tables import FITTED_MODELS, HISTORY_VECTORS, ITEM_NEIGHBOURS, ITEM_VECTORS, USER_VECTORS
from models.data.arrow_rows import arrow_rows
from models.interface import tracking
from models.interface.registry import MODELS, ModelEntry

RETRIEVAL_TABLES = (USER_VECTORS, ITEM_VECTORS, HISTORY_VECTORS, ITEM_NEIGHBOURS)


def write_fitted_model(
    lake: Lake,
    fit: tracking.Fit,
    fingerprint: str,
    path: str,
    run_id: str | None,
    stands_as: str | None = None,
    entry: ModelEntry | None = None,
    retrieval: Sequence[str] = (),
) -> Version:
    """Writes the row that makes the fit the current one.

    Args:
        retrieval: names of the tables of vectors and neighbours that were written with it.
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
    return lake.write(FITTED_MODELS, fit.as_of, rows, fingerprint, model=name, retrieval=list(retrieval))


def reuse_fit(lake: Lake, as_of: str, model: str, fingerprint: str) -> bool:
    """Whether the model is fitted from just these inputs already; takes the fit and its vectors into the run."""
    fit = lake.reuse(FITTED_MODELS, as_of, fingerprint, model)
    if fit is None:
        return False
    found = [table.name for table in RETRIEVAL_TABLES if lake.reuse(table, as_of, fingerprint, model)]
    return set(fit.metadata.get("retrieval", ())) <= set(found)


def is_fitted(lake: Lake, as_of: str, model: str) -> bool:
    """Whether the model was fitted under the current vocabulary: otherwise its indices mean something else by now."""
    if lake.current(FITTED_MODELS, as_of, model) is None:
        return False
    return fitted_model(lake, as_of, model)["vocabulary_hash"] == vocabulary_hash(lake, as_of)


def fitted_model(lake: Lake, as_of: str, model: str) -> dict[str, str | None]:
    """The row of `fitted_models`."""
    row: dict[str, str | None] = lake.read(FITTED_MODELS, as_of, model).to_pylist()[0]
    return row
