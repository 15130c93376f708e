"""Nights with hand-written staged tables, so that publishing is tested without building."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from pyarrow import fs

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.days import end_of
from expectations.runtime.input_fingerprint import MADE_FROM, made_from_log
from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.runtime.program import Night
from expectations.tables import (
    EVENTS,
    GATE_DECISIONS,
    NEW_ITEM_AUDIENCES,
    NEW_USER_RECOMMENDATIONS,
    RUN_MANIFEST,
    SIMILAR_ITEMS,
    USER_RECOMMENDATIONS,
    Table,
)
from tests.worlds.plain_reader import MARK
from tests.worlds.small_night import write_small_night


def stage_rows(night: Night, table: Table, rows: Sequence[dict[str, Any]], is_validated: bool = True) -> Version:
    """Stages rows as `jobs.build_tables` leaves them."""
    signed = {"ds": night.ds, "model_version": "m-1", "generated_at": night.now, "expires_at": end_of(night.ds)}
    arrow = pa.Table.from_pylist([{**signed, **row} for row in rows], schema=arrow_schema(table))
    fingerprint = fingerprint_of(table.name, night.ds, rows)
    path = night.lake.new_version_path(table, night.ds, fingerprint)
    filesystem, local = fs.FileSystem.from_uri(path)
    filesystem.create_dir(local, recursive=True)
    pq.write_table(arrow.drop_columns(["ds"]), f"{local}/part-00000.parquet")
    noted: dict[str, Any] = {MADE_FROM: made_from_log(night.lake.versions(EVENTS, night.ds), night.shop)}
    version = night.lake.commit(table, night.ds, path, fingerprint, len(rows), **noted)
    if is_validated:
        night.lake.note_validated(table, night.ds, version)
    return version


def recommendation(user_id: str, rank: int, item_id: str, score: float, **more: Any) -> dict[str, Any]:
    """One row of user_recommendations."""
    row = {"user_id": user_id, "rank": rank, "item_id": item_id, "score": score, "source": "two_tower"}
    because = {
        "reason_code": "picked_for_you",
        "reason": "Picked for you",
        "because_item_ids": [],
        "is_fallback": False,
        "propensity": 1.0,
    }
    return {**row, **because, **more}


def similar(item_id: str, rank: int, similar_item_id: str) -> dict[str, Any]:
    """One row of similar_items."""
    row = {"item_id": item_id, "rank": rank, "similar_item_id": similar_item_id, "score": 0.5, "source": "item_item"}
    return {**row, "reason_code": "bought_together", "reason": f"Often bought with {item_id}"}


def newcomers(segment: str, rank: int, item_id: str) -> dict[str, Any]:
    """One row of new_user_recommendations."""
    row = {"segment": segment, "rank": rank, "item_id": item_id, "score": 0.5, "source": "segment_demand"}
    return {**row, "reason_code": "popular_now", "reason": "Popular right now"}


def audience(item_id: str, rank: int, user_id: str) -> dict[str, Any]:
    """One row of new_item_audiences."""
    row = {"item_id": item_id, "rank": rank, "user_id": user_id, "score": 0.5, "source": "item_features"}
    return {**row, "reason_code": "because_you_bought", "reason": "Because you bought MUG"}


def stage_night(night: Night, *items: str, ds: str | None = None) -> Night:
    """A whole night with every table staged: `items` for one user, best first."""
    night = replace(night, ds=ds or night.ds)
    write_small_night(night)
    stage_tables(night, *items)
    return night


def stage_tables(night: Night, *items: str) -> None:
    """Every table of a night whose features and models are there: `items` for one user, best first."""
    for table, rows in _rows(items).items():
        stage_rows(night, table, rows)


def stage_marked(night: Night, mark: str) -> dict[Table, Version]:
    """Stages every table of a night; `mark` is the `model_version` of all rows, so that publishes are told apart."""
    if night.lake.current(GATE_DECISIONS, night.ds) is None:
        write_small_night(night)
    marked = {table: [{**row, MARK: mark} for row in rows] for table, rows in _rows(["item-2", "item-3"]).items()}
    return {table: stage_rows(night, table, rows) for table, rows in marked.items()}


def _rows(items: Sequence[str]) -> dict[Table, list[dict[str, Any]]]:
    ranked = [recommendation("user-2", rank, item, 1.0 / rank) for rank, item in enumerate(items, start=1)]
    return {
        USER_RECOMMENDATIONS: ranked,
        SIMILAR_ITEMS: [similar("item-2", 1, "item-3")],
        NEW_USER_RECOMMENDATIONS: [newcomers("all", 1, "item-2")],
        NEW_ITEM_AUDIENCES: [audience("item-4", 1, "user-2")],
    }


def forget_versions(lake: Lake) -> None:
    """Makes the manifest one of a release that named no versions, and let Delta drop the log's old entries."""
    path = lake.table_path(RUN_MANIFEST)
    rows = DeltaTable(path).to_pyarrow_table().drop_columns(["table_version", "rollback"])
    shutil.rmtree(path)
    write_deltalake(path, rows, partition_by=["ds"])


def published_items(night: Night, ds: str | None = None) -> list[str]:
    """What readers find: the items of one `ds`, by rank."""
    table = DeltaTable(night.lake.table_path(USER_RECOMMENDATIONS)).to_pyarrow_table(
        filters=[("ds", "=", ds or night.ds)]
    )
    return list(table.sort_by("rank")["item_id"].to_pylist())
