"""Who is champion when a night is decided, and which decisions would be others under another one.

The champion is the model published for the latest earlier `ds`. The gate asks who it is; `make stale` asks which of the
published nights another champion would have decided otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

GATE_KEY = "gate"
"""Where the manifest's metrics hold the decision of the gate."""
BY_CHAMPION = "by_champion"
"""Where a decision says what it would have been under each champion."""
NO_CHAMPION = ""
"""Stands for none, and for a model that was none of the night's, which is nobody's bar."""


@dataclass(frozen=True)
class Outcome:
    """What the rows of a night take from a decision."""

    published_model: str
    is_fallback: bool


def published_decision(metrics: str) -> dict[str, Any]:
    """Returns the decision of the gate, from a row's `metrics` of `run_manifest`."""
    decision: dict[str, Any] = json.loads(metrics)[GATE_KEY]
    return decision


def champion_of(models: Mapping[str, str], ds: str) -> str | None:
    """Returns who is champion for `ds`: a backfilled night looks at its own past, not at today.

    Args:
        models: published day -> whose lists it has.
    """
    earlier = [day for day in models if day < ds]
    return models[max(earlier)] if earlier else None


def decided_otherwise(decisions: Mapping[str, Mapping[str, Any]], kept: Collection[str]) -> set[str]:
    """Returns the published days whose rows would be others, were the nights decided again in their order.

    Args:
        decisions: published day -> the decision of the gate; one that an earlier release made does not tell what it
            would have been, and is taken to stand.
        kept: days that stay as they are, whoever is champion.
    """
    found, champion = set(), None
    for ds, decision in sorted(decisions.items()):
        published = Outcome(decision["published_model"], decision["is_fallback"])
        now = published if ds in kept else _outcome_under(decision, champion) or published
        if now != published:
            found.add(ds)
        champion = now.published_model
    return found


def _outcome_under(decision: Mapping[str, Any], champion: str | None) -> Outcome | None:
    outcomes = decision.get(BY_CHAMPION)
    return Outcome(**outcomes.get(champion or NO_CHAMPION, outcomes[NO_CHAMPION])) if outcomes else None
