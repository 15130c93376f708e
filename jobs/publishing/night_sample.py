"""A few users and items of a published night, with titles: what `jobs.show_night` shows. Reads without Spark.

The sample is the same in every re-run: users whose reasons differ most, the smaller id first. Only they, and what
they met, are read whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from expectations.runtime.lake import Lake
from expectations.runtime.published_tables import dataset_of, published_table
from expectations.tables import (
    CROSS_DOMAIN_RECOMMENDATIONS,
    HISTORIES,
    ITEMS,
    NEW_ITEM_AUDIENCES,
    NEW_USER_RECOMMENDATIONS,
    SIMILAR_ITEMS,
    USER_RECOMMENDATIONS,
    VOCABULARIES,
    NightError,
    Table,
)

ROWS_LOOKED_AT = 50_000
"""Of a large table the sample comes from the first rows alone."""


@dataclass(frozen=True)
class HistoryEvent:
    """One event of a user's history."""

    at: datetime
    event_type: str
    title: str


@dataclass(frozen=True)
class ShownItem:
    """One published row, with the title of its item."""

    rank: int
    title: str
    score: float
    reason: str
    is_fallback: bool


@dataclass(frozen=True)
class UserSample:
    """A user's history, latest first, and what is recommended to them."""

    user_id: str
    history: list[HistoryEvent]
    recommendations: list[ShownItem]


@dataclass(frozen=True)
class ItemSample:
    """An item, and what is published as similar to it."""

    title: str
    similar: list[ShownItem]


@dataclass(frozen=True)
class SegmentSample:
    """A segment of people, and what is recommended to new ones of them."""

    segment: str
    recommendations: list[ShownItem]


@dataclass(frozen=True)
class AudienceSample:
    """A new item, and the first of its audience: rank, user in place of a title, score and reason."""

    title: str
    num_users: int
    first: list[ShownItem]


@dataclass(frozen=True)
class DomainSample:
    """What a user is recommended in one domain."""

    user_id: str
    domain: str
    recommendations: list[ShownItem]


def sample_users(lake: Lake, ds: str, num_users: int) -> list[UserSample]:
    """Returns users of the published partition, whose reasons differ most."""
    dataset = _published(lake, USER_RECOMMENDATIONS, ds)
    head = dataset.scanner(columns=["user_id", "reason_code"], filter=pc.field("ds") == ds).head(ROWS_LOOKED_AT)
    reasons: dict[str, set[str]] = defaultdict(set)
    for row in head.to_pylist():
        reasons[row["user_id"]].add(row["reason_code"])
    user_ids = sorted(reasons, key=lambda user_id: (-len(reasons[user_id]), user_id))[:num_users]
    rows = dataset.to_table(filter=(pc.field("ds") == ds) & _is_in("user_id", user_ids)).to_pylist()
    titles = _titles(lake, ds, {row["item_id"] for row in rows})
    histories = _histories(lake, ds, user_ids)
    return [
        UserSample(
            user_id,
            histories.get(user_id, []),
            [_shown(row, titles[row["item_id"]]) for row in _by_rank(rows, "user_id", user_id)],
        )
        for user_id in user_ids
    ]


def sample_items(lake: Lake, ds: str, num_items: int) -> list[ItemSample]:
    """Items of the published partition whose reasons differ most; of equals those with the strongest neighbours."""
    dataset = _published(lake, SIMILAR_ITEMS, ds)
    columns = ["item_id", "rank", "score", "reason_code"]
    head = dataset.scanner(columns=columns, filter=pc.field("ds") == ds).head(ROWS_LOOKED_AT)
    reasons: dict[str, set[str]] = defaultdict(set)
    scores: dict[str, float] = defaultdict(float)
    for row in head.to_pylist():
        reasons[row["item_id"]].add(row["reason_code"])
        scores[row["item_id"]] = max(scores[row["item_id"]], row["score"])
    item_ids = sorted(scores, key=lambda item_id: (-len(reasons[item_id]), -scores[item_id], item_id))[:num_items]
    rows = dataset.to_table(filter=(pc.field("ds") == ds) & _is_in("item_id", item_ids)).to_pylist()
    titles = _titles(lake, ds, {*item_ids, *(row["similar_item_id"] for row in rows)})
    samples = []
    for item_id in item_ids:
        mine = [{"is_fallback": False, **row} for row in _by_rank(rows, "item_id", item_id)]
        samples.append(ItemSample(titles[item_id], [_shown(row, titles[row["similar_item_id"]]) for row in mine]))
    return samples


def sample_segments(lake: Lake, ds: str, num_segments: int) -> list[SegmentSample]:
    """Returns everybody, and the finest segments of the published partition."""
    rows = _published(lake, NEW_USER_RECOMMENDATIONS, ds).to_table(filter=pc.field("ds") == ds).to_pylist()
    finest_first = sorted({row["segment"] for row in rows} - {"all"}, key=lambda name: (-name.count("="), name))
    titles = _titles(lake, ds, {row["item_id"] for row in rows})
    return [
        SegmentSample(
            segment,
            [
                _shown({"is_fallback": False, **row}, titles[row["item_id"]])
                for row in _by_rank(rows, "segment", segment)
            ],
        )
        for segment in ["all", *finest_first[: num_segments - 1]]
    ]


def sample_audiences(lake: Lake, ds: str, num_items: int, num_users: int) -> list[AudienceSample]:
    """New items of the published partition with the surest audiences; none where nothing was new."""
    dataset = _published(lake, NEW_ITEM_AUDIENCES, ds)
    head = dataset.scanner(filter=(pc.field("ds") == ds) & (pc.field("rank") == 1)).head(ROWS_LOOKED_AT).to_pylist()
    item_ids = [row["item_id"] for row in sorted(head, key=lambda row: (-row["score"], row["item_id"]))[:num_items]]
    rows = dataset.to_table(filter=(pc.field("ds") == ds) & _is_in("item_id", item_ids)).to_pylist()
    titles, samples = _titles(lake, ds, item_ids), []
    for item_id in item_ids:
        mine = [{"is_fallback": False, **row} for row in _by_rank(rows, "item_id", item_id)]
        first = [_shown(row, row["user_id"]) for row in mine[:num_users]]
        samples.append(AudienceSample(titles[item_id], len(mine), first))
    return samples


def sample_domains(lake: Lake, ds: str, num_lists: int) -> list[DomainSample]:
    """Returns lists of the published partition with the most reasons that cite an item; one for each user."""
    dataset, is_of_ds = _published(lake, CROSS_DOMAIN_RECOMMENDATIONS, ds), pc.field("ds") == ds
    head = dataset.scanner(columns=["user_id", "domain", "because_item_ids"], filter=is_of_ds).head(ROWS_LOOKED_AT)
    num_cited: dict[tuple[str, str], int] = defaultdict(int)
    for row in head.to_pylist():
        num_cited[row["user_id"], row["domain"]] += len(row["because_item_ids"])
    best_first = sorted(num_cited, key=lambda owner: (-num_cited[owner], owner))
    domain_of: dict[str, str] = {}
    for user_id, domain in best_first:
        if len(domain_of) < num_lists:
            domain_of.setdefault(user_id, domain)
    rows = dataset.to_table(filter=is_of_ds & _is_in("user_id", domain_of)).to_pylist()
    titles = _titles(lake, ds, {row["item_id"] for row in rows})
    samples = []
    for user_id, domain in domain_of.items():
        mine = [{"is_fallback": False, **row} for row in rows if row["domain"] == domain]
        shown = [_shown(row, titles[row["item_id"]]) for row in _by_rank(mine, "user_id", user_id)]
        samples.append(DomainSample(user_id, domain, shown))
    return samples


def _published(lake: Lake, table: Table, ds: str) -> pads.Dataset:
    published = published_table(lake, table, ds)
    if published is None:
        raise NightError(f"{table.name} ds={ds}: run_manifest names no such table. Was jobs.publish_tables run for it?")
    return dataset_of(published)


def _is_in(column: str, texts: Collection[str]) -> pc.Expression:
    return pc.field(column).isin(pa.array(sorted(texts), pa.string()))


def _is_index_in(column: str, indices: Collection[int]) -> pc.Expression:
    return pc.field(column).isin(pa.array(sorted(indices), pa.int32()))


def _by_rank(rows: Sequence[dict[str, Any]], owner: str, value: str) -> list[dict[str, Any]]:
    return sorted((row for row in rows if row[owner] == value), key=lambda row: row["rank"])


def _shown(row: dict[str, Any], title: str) -> ShownItem:
    return ShownItem(row["rank"], title, row["score"], row["reason"], row["is_fallback"])


def _histories(lake: Lake, ds: str, user_ids: Sequence[str]) -> dict[str, list[HistoryEvent]]:
    """History by user_id, latest first; users without one are left out."""
    index_of = _indices(lake, ds, "user_id", user_ids)
    wanted = _is_index_in("user_index", index_of.values())
    rows = {row["user_index"]: row for row in lake.read(HISTORIES, ds, filter=wanted).to_pylist()}
    item_ids = _values(lake, ds, "item_id", {item for row in rows.values() for item in row["item_indices"]})
    event_types = _values(lake, ds, "event_type", {code for row in rows.values() for code in row["event_type_indices"]})
    titles = _titles(lake, ds, item_ids.values())
    histories = {}
    for user_id, index in index_of.items():
        if index in rows:
            columns = (rows[index][name] for name in ("event_times", "event_type_indices", "item_indices"))
            events = [
                HistoryEvent(
                    datetime.fromtimestamp(at, tz=timezone.utc),
                    event_types.get(code, "?"),
                    titles.get(item_ids.get(item, "?"), "?"),
                )
                for at, code, item in zip(*columns, strict=True)
            ]
            histories[user_id] = events[::-1]
    return histories


def _indices(lake: Lake, ds: str, field: str, values: Sequence[str]) -> dict[str, int]:
    wanted = (pc.field("field") == field) & _is_in("value", values)
    rows = lake.read(VOCABULARIES, ds, columns=["value", "index"], filter=wanted).to_pylist()
    return {row["value"]: row["index"] for row in rows}


def _values(lake: Lake, ds: str, field: str, indices: Collection[int]) -> dict[int, str]:
    wanted = (pc.field("field") == field) & _is_index_in("index", indices)
    rows = lake.read(VOCABULARIES, ds, columns=["value", "index"], filter=wanted).to_pylist()
    return {row["index"]: row["value"] for row in rows}


def _titles(lake: Lake, ds: str, item_ids: Collection[str]) -> dict[str, str]:
    """Returns the title of each item on one line; its id where it has none."""
    wanted = _is_in("item_id", item_ids)
    rows = lake.read(ITEMS, ds, columns=["item_id", "title"], filter=wanted).to_pylist()
    found = {row["item_id"]: " ".join((row["title"] or "").split()) or row["item_id"] for row in rows}
    return {item_id: found.get(item_id, item_id) for item_id in item_ids}
