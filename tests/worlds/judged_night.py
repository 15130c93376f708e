"""Writes the tables that a backtest and a gate read, from literal rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

import pyarrow as pa

from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.shop.shop import Shop
from expectations.tables import (
    CANDIDATES,
    EVENTS,
    FITTED_MODELS,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEM_NEIGHBOURS,
    RUN_MANIFEST,
    SCORES,
    USER_FEATURES,
    VOCABULARIES,
    Table,
)
from models.data.arrow_rows import arrow_rows
from models.interface.in_force import VECTOR_TABLES, ModelsAsOf
from models.interface.registry import MODELS

Listed = tuple[int, int, float, bool]
"""user_index, item_index, score, is_seen."""


def write_events(lake: Lake, ds: str, rows: Sequence[tuple[str, str, str, str, float]]) -> None:
    """Rows of (time of day or full time, user_id, item_id, event_type, quantity)."""
    times = [time if " " in time else f"{ds} {time}" for time, *_ in rows]
    table = pa.table(
        {
            "ds": pa.array([ds] * len(rows), pa.string()),
            "event_time": pa.array(
                [datetime.fromisoformat(time).replace(tzinfo=timezone.utc) for time in times], pa.timestamp("us", "UTC")
            ),
            "user_id": pa.array([row[1] for row in rows], pa.string()),
            "item_id": pa.array([row[2] for row in rows], pa.string()),
            "event_type": pa.array([row[3] for row in rows], pa.string()),
            "quantity": pa.array([row[4] for row in rows], pa.float64()),
            "price": pa.array([1.0] * len(rows), pa.float64()),
            "session_id": pa.array([None] * len(rows), pa.string()),
            "domain": pa.array(["things"] * len(rows), pa.string()),
            "place": pa.array(range(len(rows)), pa.int64()),
        }
    )
    lake.write(EVENTS, ds, table, _content(EVENTS, rows))


def write_vocabulary(lake: Lake, as_of: str, users: Sequence[str], items: Sequence[str], hash: str = "words") -> None:
    """Users and items get the indices 2, 3, … in the order given."""
    rows = [
        {"field": field, "value": value, "index": index, "vocabulary_hash": hash}
        for field, values in (("user_id", users), ("item_id", items))
        for index, value in enumerate(values, start=2)
    ]
    lake.write(VOCABULARIES, as_of, arrow_rows(VOCABULARIES, as_of, rows), _content(VOCABULARIES, rows))


def write_interactions(lake: Lake, as_of: str, pairs: Sequence[tuple[int, int]]) -> None:
    moment = datetime.fromisoformat(as_of).replace(tzinfo=timezone.utc)
    count = len(pairs)
    table = pa.table(
        {
            "ds": pa.array([as_of] * count, pa.string()),
            "user_index": pa.array([user for user, _ in pairs], pa.int32()),
            "item_index": pa.array([item for _, item in pairs], pa.int32()),
            "weight": pa.array([5.0] * count, pa.float32()),
            "num_events": pa.array([1] * count, pa.int32()),
            "num_purchases": pa.array([1] * count, pa.int32()),
            "first_time": pa.array([moment] * count, pa.timestamp("us", "UTC")),
            "last_time": pa.array([moment] * count, pa.timestamp("us", "UTC")),
        }
    )
    lake.write(INTERACTIONS, as_of, table, _content(INTERACTIONS, pairs))


def write_features(lake: Lake, as_of: str, num_users: int, words: Sequence[Sequence[int]]) -> None:
    """Users without features, and items with the words of their titles; both have the indices 2, 3, …"""
    unknown = {"age_bucket_index": 1, "gender_index": 1, "country_index": 1, "interest_indices": []}
    users = [{"user_index": index, **unknown} for index in range(2, 2 + num_users)]
    lake.write(USER_FEATURES, as_of, arrow_rows(USER_FEATURES, as_of, users), _content(USER_FEATURES, users))
    bare = {"category_indices": [], "brand_index": 1, "domain_index": 1, "price_bucket": 0, "age_days": 9}
    more = {"description_token_indices": [], "is_available": True}
    items = [
        {"item_index": index, "token_indices": list(tokens), **bare, **more}
        for index, tokens in enumerate(words, start=2)
    ]
    lake.write(ITEM_FEATURES, as_of, arrow_rows(ITEM_FEATURES, as_of, items), _content(ITEM_FEATURES, items))


def write_model(
    lake: Lake,
    as_of: str,
    model: str,
    lists: Sequence[Listed],
    kind: str = "baseline",
    role: str = "retrieval",
    hash: str = "words",
) -> None:
    """A fitted model and its lists: candidates, or scores for a ranking model."""
    fitted = {
        "model": model,
        "kind": kind,
        "role": role,
        "version": f"{model}-{as_of}",
        "metrics": "{}",
        "vocabulary_hash": hash,
    }
    lake.write(FITTED_MODELS, as_of, arrow_rows(FITTED_MODELS, as_of, [fitted]), f"fit-{model}", model=model)
    write_lists(lake, as_of, model, lists, SCORES if role == "ranking" else CANDIDATES)


def write_lists(lake: Lake, as_of: str, model: str, lists: Iterable[Listed], table: Table = CANDIDATES) -> Version:
    names = ("user_index", "item_index", "score", "is_seen")
    rows = [{"model": model, **dict(zip(names, row, strict=True))} for row in lists]
    return lake.write(table, as_of, arrow_rows(table, as_of, rows), _content(table, rows), model=model)


def put_in_force(lake: Lake, shop: Shop, *days: str) -> None:
    """Makes what is there of the shop's models count, as if it had been made from what lake and shop say now."""
    for as_of in days:
        for model in filter(lambda name: lake.current(FITTED_MODELS, as_of, name), shop.models):
            notes = ModelsAsOf(lake, shop, as_of).notes_of_fit(model, None)
            fit = lake.require(FITTED_MODELS, as_of, model)
            lake.commit(FITTED_MODELS, as_of, fit.path, fit.fingerprint, fit.rows, model, **notes)
            for table in VECTOR_TABLES:
                _sign(lake, table, as_of, model, fit.fingerprint)
            _sign(lake, CANDIDATES, as_of, model, ModelsAsOf(lake, shop, as_of).candidates_fingerprint(model))
        for model in shop.models:
            if MODELS[model].role == "ranking":
                _sign(lake, SCORES, as_of, model, ModelsAsOf(lake, shop, as_of).scores_fingerprint(model))


def _sign(lake: Lake, table: Table, as_of: str, model: str, fingerprint: str | None) -> None:
    version = lake.current(table, as_of, model)
    if version is not None and fingerprint is not None:
        lake.commit(table, as_of, version.path, fingerprint, version.rows, model)


def write_neighbours(lake: Lake, as_of: str, model: str, neighbours: Sequence[tuple[int, int, float]]) -> None:
    names = ("item_index", "neighbour_index", "weight")
    rows = [{"model": model, **dict(zip(names, row, strict=True))} for row in neighbours]
    table = arrow_rows(ITEM_NEIGHBOURS, as_of, rows)
    lake.write(ITEM_NEIGHBOURS, as_of, table, _content(ITEM_NEIGHBOURS, rows), model=model)


def manifest_contract() -> Table:
    """`run_manifest` without its times, which play no part in what the gate reads."""
    return replace(RUN_MANIFEST, columns=tuple(c for c in RUN_MANIFEST.columns if c.type != "timestamp"))


def manifest_row(table_name: str, published_model: str, ds: str = "2024-03-10") -> dict[str, object]:
    figures = {"status": "published", "rows": 1, "users": 1, "fallback_share": 0.0}
    texts = dict.fromkeys(("input_fingerprint", "vocabulary_hash", "run_id", "code_version"), "-")
    metrics = json.dumps({"gate": {"published_model": published_model}})
    versions = json.dumps({published_model: f"{published_model}-{ds}"})
    return {"table_name": table_name, "metrics": metrics, "model_versions": versions, **figures, **texts}


def _content(table: Table, rows: object) -> str:
    return fingerprint_of(table.name, rows)
