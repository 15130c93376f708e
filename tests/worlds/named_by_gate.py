"""What a hand-written decision of the gate names."""

from __future__ import annotations

from expectations.runtime.lake import Lake
from expectations.semantics.models_in_force import NO_MODEL
from expectations.tables import (
    BACKTESTS,
    CANDIDATES,
    FITTED_MODELS,
    HISTORY_VECTORS,
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    SCORES,
    USER_VECTORS,
)

_TABLES = (FITTED_MODELS, CANDIDATES, SCORES, USER_VECTORS, ITEM_VECTORS, HISTORY_VECTORS, ITEM_NEIGHBOURS)


def all_that_is_there(lake: Lake, ds: str) -> dict[str, dict[str, str]]:
    """Table -> model -> fingerprint, as if all of it had been made from the night's inputs."""
    found = {
        table.name: {model: lake.require(table, ds, model).fingerprint for model in lake.models(table, ds)}
        for table in _TABLES
    }
    backtest = lake.current(BACKTESTS, ds)
    return {**found, BACKTESTS.name: {NO_MODEL: backtest.fingerprint}} if backtest else found
