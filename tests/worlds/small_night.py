"""A night small enough to check by hand: six items, four users, everything that publishing reads."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa

from expectations.runtime.arrow_types import arrow_type
from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.runtime.program import Night
from expectations.semantics.candidates import FEATURES_OF_CANDIDATES, FITTED_FROM
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import (
    CANDIDATES,
    EVENT_TYPES,
    EVENTS,
    FIRST_VALUE_INDEX,
    FITTED_MODELS,
    GATE_DECISIONS,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    ITEMS,
    PURCHASE_INDEX,
    USER_FEATURES,
    USER_VECTORS,
    USERS,
    VOCABULARIES,
    Table,
)
from tests.worlds.named_by_gate import all_that_is_there

_BLANKS: dict[str, Any] = {
    "string": "x",
    "int": 0,
    "bigint": 0,
    "float": 0.0,
    "double": 0.0,
    "boolean": False,
    "timestamp": datetime(2024, 3, 1, tzinfo=timezone.utc),
}

DS = "2024-03-10"

LANTERN, MUG, SPOON, CLOCK, BELL, SOLD_OUT = range(2, 8)
"""Item indices; ids are item-2 … item-7."""
ANN, BOB, CID, NEW = range(2, 6)
"""User indices; ids are user-2 … user-5. NEW never did anything, and gets no list."""


def new_night(root: Path) -> Night:
    """An empty night, for tests that share one; `top_k` is 3."""
    raw = RawFile(path="{data}/{ds}.csv", columns={name: name for name in ("event_time", "user_id", "item_id")})
    events = replace(raw, constants={"event_type": "purchase"})
    shop = Shop(name="corner", events=events, horizon_days=7, top_k=3, num_candidates=6)
    now = datetime(2024, 3, 11, 2, tzinfo=timezone.utc)
    return Night(Lake(str(root)), str(root), shop, DS, run_id="test", now=now)


def write_rows(
    night: Night,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    ds: str | None = None,
    model: str | None = None,
) -> Version:
    """Commits rows as a partition; columns that a row leaves out hold nothing of interest."""
    ds = ds or night.ds
    full = [
        {
            c.name: row.get(c.name, None if c.nullable else [] if c.type.startswith("array") else _BLANKS[c.type])
            for c in table.columns
        }
        | {"ds": ds}
        | ({"model": model} if model else {})
        for row in rows
    ]
    schema = pa.schema([pa.field(c.name, arrow_type(c.type)) for c in table.columns])
    arrow = pa.Table.from_pylist(full, schema=schema)
    return night.lake.write(table, ds, arrow, fingerprint_of(table.name, ds, model, full), model)


def write_sizes(night: Night, num_users: int, num_items: int) -> None:
    """The features, of which only the number of rows matters to who reads candidates and lists."""
    write_rows(night, USER_FEATURES, [{"user_index": i + 2} for i in range(num_users)])
    write_rows(night, ITEM_FEATURES, [{"item_index": i + 2} for i in range(num_items)])


def write_met(night: Night, met: Sequence[tuple[int, int, int]]) -> None:
    """Interactions from (user_index, item_index, num_purchases)."""
    rows = [{"user_index": u, "item_index": i, "num_events": 1, "num_purchases": n} for u, i, n in met]
    write_rows(night, INTERACTIONS, rows)


def write_histories(night: Night, events: Sequence[tuple[int, int, str, str]]) -> None:
    """Histories from (user_index, item_index, event type, day), in time order."""
    histories: dict[int, list[tuple[int, int, int]]] = {}
    for user, item, event_type, day in events:
        seconds = int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp())
        entry = (item, FIRST_VALUE_INDEX + EVENT_TYPES.index(event_type), seconds)
        histories.setdefault(user, []).append(entry)
    columns = ("item_indices", "event_type_indices", "event_times")
    rows = [
        {"user_index": user, **dict(zip(columns, map(list, zip(*entries, strict=True)), strict=True))}
        for user, entries in histories.items()
    ]
    write_rows(night, HISTORIES, rows)


def write_words(night: Night, words: Mapping[int, Sequence[int]]) -> None:
    """The features of items that are known by the pieces of their titles alone."""
    rows = [{"item_index": item, "token_indices": list(tokens), "brand_index": 1} for item, tokens in words.items()]
    write_rows(night, ITEM_FEATURES, rows)


def write_lists(night: Night, model: str, lists: Sequence[tuple[int, int, float]]) -> None:
    """Candidates from (user_index, item_index, score)."""
    write_rows(night, CANDIDATES, [{"user_index": u, "item_index": i, "score": s} for u, i, s in lists], model=model)


def write_neighbours(night: Night, neighbours: Sequence[tuple[int, int, float]], model: str = "item_item") -> None:
    """Item-item weights from (item_index, neighbour_index, weight)."""
    rows = [{"item_index": i, "neighbour_index": n, "weight": w} for i, n, w in neighbours]
    write_rows(night, ITEM_NEIGHBOURS, rows, model=model)


def write_vectors(
    night: Night, model: str, users: Mapping[int, Sequence[float]], items: Mapping[int, Sequence[float]]
) -> None:
    """User and item vectors of one model, by index."""
    write_rows(night, USER_VECTORS, [{"user_index": i, "vector": list(v)} for i, v in users.items()], model=model)
    write_rows(night, ITEM_VECTORS, [{"item_index": i, "vector": list(v)} for i, v in items.items()], model=model)


def write_fit(night: Night, model: str) -> None:
    """A fit of the features that are there, and its vectors or neighbours, which must be there, too."""
    inputs = {table.name: night.lake.require(table, night.ds).fingerprint for table in FEATURES_OF_CANDIDATES}
    for table in (USER_VECTORS, ITEM_VECTORS, ITEM_NEIGHBOURS):
        if version := night.lake.current(table, night.ds, model):
            night.lake.commit(table, night.ds, version.path, f"fit of {model}", version.rows, model)
    fit = write_rows(night, FITTED_MODELS, [{"version": f"{model}-{night.ds}-1"}], model=model)
    noted = {FITTED_FROM: inputs}
    night.lake.commit(FITTED_MODELS, night.ds, fit.path, f"fit of {model}", fit.rows, model, **noted)


def write_gate(
    night: Night,
    published_model: str = "two_tower",
    is_fallback: bool = False,
    similar_model: str = "item_item",
    healthy: Mapping[str, bool] = {},
    named: Collection[str] | None = None,
    by_champion: Mapping[str, str] = {},
) -> None:
    """The gate's decision of the night.

    Args:
        healthy: says of more models whether they are.
        named: the models whose partitions count; None: whatever is there.
        by_champion: champion -> whom the gate would publish, each time without a fallback; empty: it does not say.
    """
    models = ("two_tower", "item_item", "recent_demand", *healthy)
    told = [{"model": model, "is_healthy": is_healthy} for model, is_healthy in healthy.items()]
    would_publish = {
        champion: {"published_model": model, "is_fallback": False} for champion, model in by_champion.items()
    }
    outcomes = {"by_champion": would_publish} if by_champion else {}
    row = {
        "published_model": published_model,
        "similar_model": similar_model,
        "is_fallback": is_fallback,
        "decision": json.dumps({"reason": f"{published_model} is best.", "models": told, **outcomes}),
        "model_versions": json.dumps({model: f"{model}-{night.ds}-1" for model in models}),
        "in_force": json.dumps(all_that_is_there(night.lake, night.ds, named)),
    }
    write_rows(night, GATE_DECISIONS, [row])


def write_small_night(night: Night) -> None:
    """Everything that `jobs.build_tables` reads. Ann bought the lantern and viewed the mug, Bob bought the mug."""
    titles = ["WHITE  METAL\nLANTERN", "MUG", "{spoon} %s", None, "BELL", "SOLD OUT"]
    items = [
        {"item_id": f"item-{i}", "title": t, "is_available": i != SOLD_OUT, "first_seen": "2024-01-01"}
        for i, t in enumerate(titles, start=2)
    ]
    days = {i: None if i == NEW else "2024-03-09" for i in range(2, 6)}
    users = [{"user_id": f"user-{i}", "first_seen": "2024-03-01", "last_active": day} for i, day in days.items()]
    write_rows(night, ITEMS, items)
    write_rows(night, USERS, users)
    write_rows(night, EVENTS, [{"user_id": "user-2", "item_id": "item-2", "event_type": "purchase"}])
    fields = [("item_id", row["item_id"]) for row in items] + [("user_id", row["user_id"]) for row in users]
    vocabulary = [{"field": f, "value": v, "index": int(str(v)[-1]), "vocabulary_hash": "hash"} for f, v in fields]
    event_type = {"field": "event_type", "value": "purchase", "index": PURCHASE_INDEX, "vocabulary_hash": "hash"}
    write_rows(night, VOCABULARIES, [*vocabulary, event_type])
    write_sizes(night, num_users=4, num_items=6)
    write_words(night, {LANTERN: [2, 3], MUG: [4, 5], SPOON: [4, 6], CLOCK: [3, 7], BELL: [8], SOLD_OUT: [2, 9]})
    bought = [(ANN, LANTERN, "purchase"), (BOB, MUG, "purchase"), (BOB, MUG, "purchase")]
    write_histories(night, [(*event, "2024-03-01") for event in (*bought, (ANN, MUG, "view"), (CID, BELL, "view"))])
    write_met(night, [(ANN, LANTERN, 1), (ANN, MUG, 0), (BOB, MUG, 2), (CID, BELL, 0)])
    write_lists(
        night,
        "two_tower",
        [
            (ANN, SOLD_OUT, 0.9),
            (ANN, SPOON, 0.8),
            (ANN, LANTERN, 0.7),
            (ANN, CLOCK, 0.6),
            (ANN, BELL, 0.5),
            (BOB, BELL, 0.5),
            (BOB, CLOCK, 0.5),
        ],
    )
    write_neighbours(
        night,
        [
            (LANTERN, LANTERN, 5.0),
            (LANTERN, SPOON, 0.25),
            (LANTERN, SOLD_OUT, 0.5),
            (LANTERN, MUG, 0.25),
            (MUG, SPOON, 0.1),
            (MUG, BELL, 0.2),
        ],
    )
    demand = {LANTERN: [5.0], MUG: [3.0], SPOON: [3.0], CLOCK: [0.0], BELL: [0.0], SOLD_OUT: [9.0]}
    write_vectors(night, "recent_demand", {user: [1.0] for user in (ANN, BOB, CID, NEW)}, demand)
    write_gate(night)
