"""The two communities as a night with a fitted `sequence`, from which a session model can be registered."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.tables import HISTORIES
from expectations.tables import ITEMS as CATALOGUE
from models.data.arrow_rows import arrow_rows
from models.train import train_models
from tests.models.conftest import communities_shop
from tests.worlds.communities import DAY, ITEMS, UNSOLD_ITEM, community_events, write_world
from tests.worlds.named_by_gate import publish_model

MODELS = ("recent_demand", "item_item", "sequence")
SETTINGS: dict[str, Any] = {
    "embedding_dim": 8,
    "feature_dim": 4,
    "title_dim": 4,
    "num_blocks": 1,
    "num_heads": 1,
    "max_length": 6,
    "dropout": 0.1,
    "learning_rate": 0.02,
    "batch_size": 8,
    "epochs": 30,
}
SOLD_OUT = 20
"""Of the even community; in everybody's past, and not to be had on the day after."""


def session_night(root: str, **changes: Any) -> Night:
    """A night whose models are fitted as of DAY.

    Args:
        changes: of the shop.
    """
    shop = replace(communities_shop(), models=MODELS, settings={"sequence": SETTINGS}, **changes)
    now = datetime(2024, 3, 11, 2, 0, tzinfo=timezone.utc)
    night = Night(Lake(root), "no drops", shop, DAY, "test", now)
    write_world(night.lake, community_events())
    write_gaps(night.lake)
    write_catalogue(night.lake)
    train_models(night, DAY, MODELS)
    publish_model(night.lake, DAY, "sequence")
    return night


def write_catalogue(lake: Lake) -> None:
    """What the items are called."""
    rows = [
        {
            "item_id": f"item {item}",
            "title": f"Thing\n{item}",
            "category": ["things", "odd" if item % 2 else "even"],
            "domain": "things",
            "is_available": item != SOLD_OUT,
            "is_filed": True,
            "first_seen": DAY,
            "last_seen": DAY,
        }
        for item in (*ITEMS, UNSOLD_ITEM)
    ]
    lake.write(CATALOGUE, DAY, arrow_rows(CATALOGUE, DAY, rows), "catalogue")


def write_gaps(lake: Lake) -> None:
    """Puts the gaps between events into the world's histories, as the night's own have them."""
    rows = lake.read(HISTORIES, DAY).to_pylist()
    for row in rows:
        minutes = [(after - before) // 60 for before, after in pairwise(row["event_times"])]
        row["gap_buckets"] = [0, *(math.floor(math.log2(minute + 1)) + 1 for minute in minutes)]
    lake.write(HISTORIES, DAY, arrow_rows(HISTORIES, DAY, rows), "with gaps")
