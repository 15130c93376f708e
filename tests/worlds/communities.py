"""A world with a known answer: two communities, each of which buys its own ten items and never the other's.

Users 2 to 25 belong by turns to the community of even and of odd items (2 to 21). User 26 never bought anything; item
22 was never bought. Everybody buys on eight days of the ten weeks before DAY, so that every window holds something.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pyarrow as pa

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.lake import Lake
from expectations.tables import (
    GRAPH_EDGES,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEM_IMAGES,
    USER_FEATURES,
    VOCABULARIES,
)

DAY = "2024-03-10"
USERS = range(2, 26)
ITEMS = range(2, 22)
SILENT_USER = 26
UNSOLD_ITEM = 22
NUM_DAYS = 70
PURCHASES_PER_USER = 8
PICTURE_SIZE = 8

Event = tuple[int, int, datetime]
"""user_index, item_index, time."""


def community_events(seed: int = 3) -> list[Event]:
    """What everybody bought, by user and then by time."""
    rng = np.random.default_rng(seed)
    first = datetime.combine(date.fromisoformat(DAY), datetime.min.time(), timezone.utc) - timedelta(days=NUM_DAYS - 1)
    events = []
    for user in USERS:
        own_items = [item for item in ITEMS if item % 2 == user % 2]
        days = np.sort(rng.choice(NUM_DAYS, PURCHASES_PER_USER, replace=False))
        items = rng.choice(own_items, PURCHASES_PER_USER)
        events += [(user, int(i), first + timedelta(days=int(d), hours=12)) for d, i in zip(days, items, strict=True)]
    return events


def write_world(lake: Lake, events: list[Event], ds: str = DAY) -> None:
    """Writes the feature tables as of `ds` from the events up to it."""
    end = datetime.combine(date.fromisoformat(ds) + timedelta(days=1), datetime.min.time(), timezone.utc)
    known = [event for event in events if event[2] < end]
    lake.write(VOCABULARIES, ds, vocabulary_rows(ds), "world")
    lake.write(INTERACTIONS, ds, interaction_rows(ds, known), "world")
    lake.write(HISTORIES, ds, history_rows(ds, known), "world")
    lake.write(ITEM_FEATURES, ds, item_feature_rows(ds), "world")
    lake.write(USER_FEATURES, ds, user_feature_rows(ds), "world")
    lake.write(GRAPH_EDGES, ds, graph_edge_rows(ds, known), "world")
    lake.write(ITEM_IMAGES, ds, item_image_rows(ds), "world")


def vocabulary_rows(ds: str) -> pa.Table:
    fields = {
        "user_id": [f"user {n}" for n in (*USERS, SILENT_USER)],
        "item_id": [f"item {n}" for n in (*ITEMS, UNSOLD_ITEM)],
        "event_type": ["purchase", "view"],
        "category": ["even", "odd"],
        "token": ["even", "odd", "thing"],
        "country": ["Evenland", "Oddland"],
    }
    rows = [
        {"ds": ds, "field": field, "value": value, "index": index, "vocabulary_hash": "world"}
        for field, values in fields.items()
        for index, value in enumerate(values, 2)
    ]
    return pa.Table.from_pylist(rows)


def interaction_rows(ds: str, events: list[Event]) -> pa.Table:
    rows: dict[tuple[int, int], dict] = {}
    for user, item, time in events:
        row = rows.setdefault((user, item), {"num_events": 0, "first_time": time})
        row |= {"num_events": row["num_events"] + 1, "last_time": time}
    return pa.Table.from_pylist(
        [
            {"ds": ds, "user_index": user, "item_index": item, "weight": 5.0 * row["num_events"]}
            | {"num_purchases": row["num_events"], **row}
            for (user, item), row in rows.items()
        ],
        schema=arrow_schema(INTERACTIONS),
    )


def history_rows(ds: str, events: list[Event]) -> pa.Table:
    users = sorted({user for user, _, _ in events})
    of_user = {user: [event for event in events if event[0] == user] for user in users}
    return pa.Table.from_pylist(
        [
            {
                "ds": ds,
                "user_index": user,
                "item_indices": [item for _, item, _ in of_user[user]],
                "event_type_indices": [2] * len(of_user[user]),
                "gap_buckets": [0] * len(of_user[user]),
                "session_starts": [1] * len(of_user[user]),
                "weekdays": [time.isoweekday() for _, _, time in of_user[user]],
                "event_times": [int(time.timestamp()) for _, _, time in of_user[user]],
                "older_purchase_indices": [],
                "older_purchase_times": [],
            }
            for user in users
        ],
        schema=arrow_schema(HISTORIES),
    )


def item_feature_rows(ds: str) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "ds": ds,
                "item_index": item,
                "category_indices": [2 + item % 2],
                "brand_index": 1,
                "domain_index": 1,
                "price_bucket": 1 + item % 10,
                "token_indices": [2 + item % 2, 4],
                "description_token_indices": [4],
                "is_available": True,
                "age_days": NUM_DAYS,
            }
            for item in (*ITEMS, UNSOLD_ITEM)
        ]
    )


def user_feature_rows(ds: str) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "ds": ds,
                "user_index": user,
                "age_bucket_index": 1,
                "gender_index": 1,
                "country_index": 2 + user % 2,
                "interest_indices": [],
            }
            for user in (*USERS, SILENT_USER)
        ],
        schema=pa.schema(
            [
                ("ds", pa.string()),
                ("user_index", pa.int32()),
                ("age_bucket_index", pa.int32()),
                ("gender_index", pa.int32()),
                ("country_index", pa.int32()),
                ("interest_indices", pa.list_(pa.int32())),
            ]
        ),
    )


def graph_edge_rows(ds: str, events: list[Event]) -> pa.Table:
    """Who bought what, and which items followed each other, in a session as it were."""
    users_items = Counter((user, item) for user, item, _ in events)
    followed = Counter(
        (first[1], second[1]) for first, second in pairwise(events) if first[0] == second[0] and first[1] != second[1]
    )
    both_ways = followed + Counter({(target, source): count for (source, target), count in followed.items()})
    return pa.Table.from_pylist(
        [
            {"ds": ds, "kind": kind, "source_index": source, "target_index": target, "weight": float(count) / divisor}
            for kind, pairs, divisor in (("user_item", users_items, 1), ("session", both_ways, 10))
            for (source, target), count in pairs.items()
        ]
    )


def item_image_rows(ds: str) -> pa.Table:
    """Pictures of one colour: even items are dark, odd ones bright. The unsold item's file is not there."""
    return pa.Table.from_pylist(
        [
            {
                "ds": ds,
                "item_index": item,
                "status": "absent" if item == UNSOLD_ITEM else "decoded",
                "pixels": None if item == UNSOLD_ITEM else bytes([40 + 160 * (item % 2)]) * (PICTURE_SIZE**2 * 3),
                "source": f"{item}.png",
            }
            for item in (*ITEMS, UNSOLD_ITEM)
        ]
    )
