"""What a hand-written decision of the gate names."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from expectations.runtime.lake import Lake, fingerprint_of
from expectations.semantics.models_in_force import NO_MODEL
from expectations.tables import (
    BACKTESTS,
    CANDIDATES,
    FITTED_MODELS,
    GATE_DECISIONS,
    HISTORY_VECTORS,
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    SCORES,
    USER_VECTORS,
)
from models.data.arrow_rows import arrow_rows

_TABLES = (FITTED_MODELS, CANDIDATES, SCORES, USER_VECTORS, ITEM_VECTORS, HISTORY_VECTORS, ITEM_NEIGHBOURS)


def all_that_is_there(lake: Lake, ds: str, named: Collection[str] | None = None) -> dict[str, dict[str, str]]:
    """Table -> model -> fingerprint, as if all of it, or what is `named`, had been made from the night's inputs."""
    found = {
        table.name: {
            model: lake.require(table, ds, model).fingerprint
            for model in lake.models(table, ds)
            if named is None or model in named
        }
        for table in _TABLES
    }
    backtest = lake.current(BACKTESTS, ds)
    return {**found, BACKTESTS.name: {NO_MODEL: backtest.fingerprint}} if backtest else found


def publish_model(lake: Lake, ds: str, model: str, **changes: Any) -> None:
    """A decision of the gate that publishes a model: all that is there counts."""
    row = {"published_model": model, "similar_model": "", "is_fallback": False, "champion": None, "decision": "{}"}
    row |= {"model_versions": "{}", "in_force": json.dumps(all_that_is_there(lake, ds)), **changes}
    lake.write(GATE_DECISIONS, ds, arrow_rows(GATE_DECISIONS, ds, [row]), fingerprint_of(row))
