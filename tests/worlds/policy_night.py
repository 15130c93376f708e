"""Nights in which a policy has something to learn from, written from literal rows; without any network."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from deltalake import write_deltalake

from expectations.runtime.days import days_before
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, night_from, night_parser
from expectations.tables import HISTORIES, RUN_MANIFEST, USER_RECOMMENDATIONS
from models.data.arrow_rows import arrow_rows
from tests.worlds.judged_night import (
    manifest_contract,
    manifest_row,
    put_in_force,
    write_events,
    write_features,
    write_interactions,
    write_model,
    write_vocabulary,
)
from tests.worlds.named_by_gate import publish_model

DS, AS_OF = "2024-03-11", "2024-03-01"
UNUSED = ("gap_buckets", "session_starts", "weekdays", "older_purchase_indices", "older_purchase_times")
"""Columns of `histories` that no policy looks at."""
USERS, ITEMS, TOP_K = 160, 16, 3
SHOP = """
name = "corner"
horizon_days = 10
top_k = 3
num_candidates = 12
models = ["two_tower"]
[events]
path = "{data}/{ds}.csv"
columns = { event_time = "time", user_id = "customer", item_id = "article" }
constants = { event_type = "purchase", domain = "things" }
[policy]
agent = "policy_gradient"
temperature = 0.5
max_loss = 0.1
"""


def flags_of(folder: Path) -> list[str]:
    return ["--ds", DS, "--shop", str(folder / "corner.toml"), "--root", str(folder / "root"), "--data", str(folder)]


def night_of(folder: Path) -> Night:
    """The night of a folder that one of these functions wrote."""
    return night_from(night_parser(None).parse_args(flags_of(folder)))


def write_world(folder: Path) -> None:
    """Users who view one of the list's best items every other day, and buy it when it is of their kind of item."""
    lake, rng = Lake(str(folder / "root")), np.random.default_rng(2)
    (folder / "corner.toml").write_text(SHOP)
    score = rng.normal(size=(USERS, ITEMS))
    users, items = [f"u{n}" for n in range(USERS)], [f"i{n}" for n in range(ITEMS)]
    days = [days_before(DS, n) for n in range(10)][::-1]
    events: dict[str, list[tuple[str, str, str, str, float]]] = {day: [] for day in days}
    histories: list[list[tuple[int, int, int]]] = [[] for _ in range(USERS)]
    for user in range(USERS):
        best = np.argsort(-score[user])[:5]
        for day in days[user % 2 :: 2]:
            item = int(rng.choice(best))
            event_type = "purchase" if item % 2 == user % 2 else "view"
            events[day].append(("09:00:00", users[user], items[item], event_type, 1.0))
            at = datetime.fromisoformat(f"{day}T09:00:00+00:00")
            histories[user].append((item + 2, {"view": 2, "purchase": 5}[event_type], int(at.timestamp())))
    for day in days:
        write_events(lake, day, events[day])
    for as_of in (AS_OF, DS):
        # On the earlier day the items have other indices.
        known = items if as_of == DS else items[::-1]
        write_vocabulary(lake, as_of, users, known)
        write_interactions(lake, as_of, [(user + 2, 2) for user in range(USERS)])
        write_features(lake, as_of, USERS, [[]] * ITEMS)
        lists = [
            (user + 2, known.index(items[item]) + 2, float(score[user, item]), False)
            for user in range(USERS)
            for item in range(ITEMS)
        ]
        write_model(lake, as_of, "two_tower", lists, kind="deep")
    columns = ("item_indices", "event_type_indices", "event_times")
    rows = [
        {"user_index": user + 2, **dict(zip(columns, map(list, zip(*told, strict=True)), strict=True))}
        for user, told in enumerate(histories)
    ]
    unused: dict[str, list[int]] = {name: [] for name in UNUSED}
    lake.write(HISTORIES, DS, arrow_rows(HISTORIES, DS, [{**row, **unused} for row in rows]), "histories")
    put_in_force(lake, night_of(folder).shop, AS_OF, DS)
    publish_two_tower(lake)


def publish_two_tower(lake: Lake, ds: str = DS) -> None:
    """The gate's decision."""
    publish_model(lake, ds, "two_tower")


def write_small_log(folder: Path) -> Night:
    """A night of its own that shares nothing: two users, and lists that stood on the days before."""
    lake = Lake(str(folder / "root"))
    (folder / "corner.toml").write_text(SHOP)
    users, items = ["u0", "u1", "u2"], ["a", "b", "c", "d"]
    for day in (days_before(DS, 2), days_before(DS, 1), DS):
        write_vocabulary(lake, day, users, items if day == DS else items[::-1])
        write_features(lake, day, 3, [[]] * 4)
        index = {item: n + 2 for n, item in enumerate(items if day == DS else items[::-1])}
        listed = [
            (user, index[item], score, False)
            for user in (2, 3, 4)
            for item, score in zip("abc", (3, 2, 1), strict=True)
        ]
        write_model(lake, day, "two_tower", listed)
    write_events(lake, days_before(DS, 1), [("10:00:00", "u0", "b", "purchase", 1.0)])
    write_events(lake, DS, [("10:00:00", "u1", "a", "click", 1.0), ("11:00:00", "u1", "d", "purchase", 1.0)])
    night = night_of(folder)
    empty: dict[str, list[int]] = {name: [] for name in UNUSED}
    history = {"item_indices": [3], "event_type_indices": [5], "event_times": [1_709_800_000]}
    rows = [{"user_index": user, **history, **empty} for user in (2, 3)]
    lake.write(HISTORIES, DS, arrow_rows(HISTORIES, DS, rows), "histories")
    put_in_force(lake, night.shop, DS)
    return night


def publish(night: Night, ds: str, lists: dict[str, list[tuple[str, float | None]]]) -> None:
    """Rows of `user_recommendations` that readers see, and what the manifest says of the night."""
    moment = datetime.fromisoformat(f"{ds}T00:00:00+00:00") + timedelta(days=1)
    told = {"score": 0.0, "source": "two_tower", "reason_code": "r", "reason": "R", "because_item_ids": []}
    signed = {"is_fallback": False, "model_version": "v", "generated_at": moment, "expires_at": moment}
    rows = [
        {"user_id": user, "rank": rank, "item_id": item, "propensity": chance, **told, **signed}
        for user, listed in lists.items()
        for rank, (item, chance) in enumerate(listed, start=1)
    ]
    path = night.lake.table_path(USER_RECOMMENDATIONS)
    table = arrow_rows(USER_RECOMMENDATIONS, ds, rows)
    write_deltalake(path, table, mode="append", partition_by=["ds"])
    publish_two_tower(night.lake, ds)
    manifest = arrow_rows(manifest_contract(), ds, [manifest_row(USER_RECOMMENDATIONS.name, "two_tower")])
    write_deltalake(night.lake.table_path(RUN_MANIFEST), manifest, mode="append", partition_by=["ds"])
