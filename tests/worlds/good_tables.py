"""A tiny night whose every table keeps its contract; tests break one row of it at a time."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from expectations.runtime.arrow_types import arrow_type
from expectations.runtime.lake import Lake, Version
from expectations.tables import TABLES, Table

DS = "2024-03-10"
Rows = list[dict[str, Any]]
"""What programs note with a version and checks read."""


def write_rows(lake: Lake, table: Table, rows: Rows, ds: str = DS, **metadata: Any) -> Version:
    """Commits rows as a job would: the files of a published table do not hold `ds`."""
    columns = [c for c in table.columns if table.home == "lake" or c.name != "ds"]
    schema = pa.schema([(c.name, arrow_type(c.type)) for c in columns])
    path = lake.new_version_path(table, ds, "fingerprint")
    filesystem, local = fs.FileSystem.from_uri(path)
    filesystem.create_dir(local, recursive=True)
    content = pa.Table.from_pylist([{"ds": ds, **row} for row in rows], schema=schema)
    pq.write_table(content, f"{local}/part-00000.parquet", filesystem=filesystem)
    return lake.commit(table, ds, path, "fingerprint", len(rows), **metadata)


def write_good_night(lake: Lake) -> None:
    """Every table of every stage, as of DS."""
    for name, rows in good_tables().items():
        write_rows(lake, TABLES[name], rows)


def at(day: int, hour: int = 12) -> datetime:
    """A moment of March 2024."""
    return datetime(2024, 3, day, hour, tzinfo=timezone.utc)


def good_tables() -> dict[str, Rows]:
    """Three users, of whom ann and bob met items; four items that are sold, and one that is not."""
    return {**_inputs(), **_features(), **_outputs()}


def _inputs() -> dict[str, Rows]:
    def event(user_id: str, item_id: str, hour: int) -> dict[str, Any]:
        return {
            "event_time": at(10, hour),
            "user_id": user_id,
            "item_id": item_id,
            "event_type": "purchase",
            "quantity": 1.0,
            "price": 2.5,
            "session_id": None,
            "domain": "things",
            "place": hour,
        }

    def item(item_id: str, is_available: bool = True, domain: str = "things") -> dict[str, Any]:
        return {
            "item_id": item_id,
            "title": f"Thing {item_id}",
            "category": ["things"],
            "price": 2.5,
            "domain": domain,
            "is_available": is_available,
            "is_filed": True,
            "first_seen": "2024-03-08" if item_id == "d" else "2024-02-01",
            "last_seen": "2024-03-09",
        }

    def user(user_id: str, last_active: str | None) -> dict[str, Any]:
        known = {"age": 40, "interests": [], "filed": ["age"]}
        return {"user_id": user_id, **known, "first_seen": "2024-03-01", "last_active": last_active}

    return {
        "events": [event("ann", "a", 9), event("ann", "b", 10), event("bob", "c", 11)],
        "items": [item("a"), item("b"), item("c"), item("d", domain="games"), item("old", is_available=False)],
        "users": [user("ann", DS), user("bob", DS), user("cy", None)],
    }


def _features() -> dict[str, Rows]:
    words = {
        "user_id": ["ann", "bob", "cy"],
        "item_id": ["a", "b", "c", "d", "old"],
        "event_type": ["purchase"],
        "category": ["things"],
        "domain": ["things"],
        "token": ["thing"],
    }
    vocabularies = [
        {"field": field, "value": value, "index": index, "vocabulary_hash": "h"}
        for field, values in words.items()
        for index, value in enumerate(values, start=2)
    ]

    def met(user_index: int, item_index: int) -> dict[str, Any]:
        return {
            "user_index": user_index,
            "item_index": item_index,
            "weight": 5.0,
            "num_events": 1,
            "num_purchases": 1,
            "first_time": at(10),
            "last_time": at(10),
        }

    def history(user_index: int, item_indices: list[int]) -> dict[str, Any]:
        return {
            "user_index": user_index,
            "item_indices": item_indices,
            "event_type_indices": [2] * len(item_indices),
            "gap_buckets": [0] * len(item_indices),
            "session_starts": [1] * len(item_indices),
            "weekdays": [7] * len(item_indices),
            "event_times": [int(at(10).timestamp())] * len(item_indices),
            "older_purchase_indices": item_indices[:1],
            "older_purchase_times": [int(at(9).timestamp())] * len(item_indices[:1]),
        }

    def item(item_index: int) -> dict[str, Any]:
        return {
            "item_index": item_index,
            "category_indices": [2],
            "brand_index": 1,
            "domain_index": 2,
            "price_bucket": 5,
            "token_indices": [2],
            "description_token_indices": [2],
            "is_available": item_index != 6,
            "age_days": 9,
        }

    def image(item_index: int, status: str, pixels: bytes | None) -> dict[str, Any]:
        return {"item_index": item_index, "status": status, "pixels": pixels, "source": f"{item_index}.png 9 1"}

    def user(user_index: int) -> dict[str, Any]:
        unknown = {"age_bucket_index": 1, "gender_index": 1, "country_index": 1, "interest_indices": []}
        return {"user_index": user_index, **unknown}

    return {
        "vocabularies": vocabularies,
        "interactions": [met(2, 2), met(2, 3), met(3, 4)],
        "histories": [history(2, [2, 3]), history(3, [4])],
        "item_features": [item(index) for index in range(2, 7)],
        "item_images": [
            image(2, "decoded", bytes(64 * 64 * 3)),
            image(3, "absent", None),
            image(4, "unreadable", None),
            image(5, "decoded", bytes(64 * 64 * 3)),
        ],
        "user_features": [user(index) for index in range(2, 5)],
        **_graph(),
    }


def _graph() -> dict[str, Rows]:
    return {
        "graph_edges": [
            {"kind": kind, "source_index": source, "target_index": target, "weight": weight}
            for kind, source, target, weight in (
                ("user_item", 2, 2, 5.0),
                ("user_item", 4, 3, 5.0),
                ("session", 2, 3, 0.5),
                ("session", 3, 2, 0.5),
                ("window", 6, 2, 1.0),
            )
        ],
    }


def _outputs() -> dict[str, Rows]:
    published = {
        "source": "recent_demand",
        "reason_code": "popular_now",
        "reason": "Popular right now",
        "model_version": "recent_demand-1",
        "generated_at": at(11, 2),
        "expires_at": at(12, 2),
    }

    def recommended(user_id: str, rank: int, item_id: str, because: list[str]) -> dict[str, Any]:
        listed = {"user_id": user_id, "rank": rank, "item_id": item_id, "score": 1.0 / rank}
        return {**listed, "because_item_ids": because, "is_fallback": False, "propensity": 1.0, **published}

    def similar(item_id: str, rank: int, similar_item_id: str) -> dict[str, Any]:
        listed = {"item_id": item_id, "rank": rank, "similar_item_id": similar_item_id, "score": 1.0 / rank}
        return {**listed, **published}

    def wanted(segment: str, rank: int, item_id: str) -> dict[str, Any]:
        return {"segment": segment, "rank": rank, "item_id": item_id, "score": 1.0 / rank, **published}

    def fan(rank: int, user_id: str) -> dict[str, Any]:
        return {"item_id": "d", "rank": rank, "user_id": user_id, "score": 1.0 / rank, **published}

    def crossed(user_id: str, domain: str, rank: int, item_id: str, because: list[str]) -> dict[str, Any]:
        listed = {"user_id": user_id, "domain": domain, "rank": rank, "item_id": item_id, "score": 1.0 / rank}
        return {**listed, "because_item_ids": because, **published}

    because = {"ann": ["a", "b"], "bob": ["c"], "cy": []}
    return {
        "user_recommendations": [
            recommended(user_id, rank, item_id, because[user_id])
            for user_id in because
            for rank, item_id in enumerate("abc", start=1)
        ],
        "similar_items": [
            similar(item_id, rank, other)
            for item_id in ("a", "b", "c", "d", "old")
            for rank, other in enumerate([other for other in "abcd" if other != item_id][:3], start=1)
        ],
        "new_user_recommendations": [
            wanted(segment, rank, item_id)
            for segment in ("all", "country=Bosnia %26 Herzegovina&age_bucket=<18")
            for rank, item_id in enumerate("abc", start=1)
        ],
        "new_item_audiences": [fan(1, "bob"), fan(2, "ann")],
        "cross_domain_recommendations": [
            crossed("ann", "games", 1, "d", ["b"]),
            crossed("bob", "games", 1, "d", ["c"]),
        ],
    }
