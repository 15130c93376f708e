"""Each table on a small world that a reader can check by hand: `tests/golden/<table>/`.

A folder holds the tables that the build reads, one JSON object a row, and `expect.jsonl`: what must come out. A
change in an `expect.jsonl` is reviewed like code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import TABLES
from jobs.features.histories import histories_from
from jobs.features.interactions import interactions_from_totals
from jobs.features.item_features import item_features_from
from jobs.features.items import items_from_updates
from jobs.features.pair_totals import came_back, indexed, totals_of_events
from jobs.features.recent_events import recent_events_of
from jobs.features.subwords import trained_model
from jobs.features.user_features import user_features_from
from jobs.features.users import users_from_updates
from jobs.features.vocabularies import fitted_vocabularies, with_hash
from jobs.raw.dropped_files import dropped_file
from jobs.raw.events import validated_events
from jobs.raw.ingest_plan import required_columns
from jobs.raw.item_user_updates import items_from_events, users_from_events
from jobs.raw.raw_rows import read_raw_rows
from jobs.storage.partitions import contract_columns

GOLDEN = Path(__file__).resolve().parent
AS_OF = "2024-03-03"
SHOP = Shop(
    name="corner",
    events=RawFile(
        path="{ds}.json",
        format="json",
        columns={name: name for name in ("event_time", "user_id", "item_id", "event_type", "quantity", "price")},
    ),
    items_from_events={"title": "name", "price": "price"},
    users_from_events={"country": "land"},
    max_history=4,
    max_values=2,
)
"""Everybody's shop of the golden folders; its drop is `raw.jsonl`."""
LEARNT_TEXTS = ("desk lamp", "red lamp", "red desk")
"""What the tokenizer of `item_features` was learnt from: 2 to 257 are bytes, then come the pieces of these words."""
PIECES = ("▁lamp", "▁desk")
"""The pieces of the tokenizer of `vocabularies`."""

Read = Callable[[str], DataFrame]


def judged(read: Read) -> DataFrame:
    return validated_events({"events": read("raw")}, SHOP, tasks_per_day=1)


def accepted(read: Read) -> DataFrame:
    return judged(read).where("reason IS NULL")


BUILDS: dict[str, Callable[[Read], DataFrame]] = {
    "events": accepted,
    "quarantine": lambda read: (
        judged(read)
        .where("reason IS NOT NULL")
        .selectExpr("* EXCEPT (file)", "'events' source", "substring_index(file, '/', -1) file")
    ),
    "item_updates": lambda read: items_from_events(accepted(read), SHOP),
    "user_updates": lambda read: users_from_events(accepted(read), SHOP),
    "items": lambda read: items_from_updates(read("item_updates"), read("events"), SHOP, AS_OF, read("items")),
    "users": lambda read: users_from_updates(read("user_updates"), read("events"), read("users")),
    "vocabularies": lambda read: with_hash(
        fitted_vocabularies(read("items"), read("users"), PIECES, SHOP, read("vocabularies"))
    ),
    "pair_totals": lambda read: totals_of_events(indexed(read("events"), read("vocabularies"))),
    "recent_events": lambda read: recent_events_of(read("events"), read("vocabularies"), SHOP.max_history),
    "interactions": lambda read: interactions_from_totals(read("pair_totals"), SHOP.event_weights),
    "histories": lambda read: histories_from(read("recent_events"), read("pair_totals").where(came_back()), SHOP),
    "item_features": lambda read: item_features_from(
        read("items"), read("vocabularies"), trained_model(LEARNT_TEXTS), AS_OF
    ),
    "user_features": lambda read: user_features_from(read("users"), read("vocabularies")),
}


@pytest.mark.parametrize("name", BUILDS)
def test_the_small_world_gives_the_golden_rows(spark: SparkSession, name: str) -> None:
    def read(table: str) -> DataFrame:
        return golden_rows(spark, GOLDEN / name / f"{table}.jsonl", table)

    built = contract_columns(BUILDS[name](read), TABLES[name], AS_OF)
    expected = golden_rows(spark, GOLDEN / name / "expect.jsonl", name)
    assert_df_equality(built, expected, ignore_row_order=True, ignore_nullable=True)


def golden_rows(spark: SparkSession, path: Path, table: str) -> DataFrame:
    """Rows of a golden file in the types of their table; the file leaves out `ds` where it is AS_OF, and nulls."""
    if table == "raw":
        file = dropped_file("events", AS_OF, str(path))
        return read_raw_rows(spark, SHOP.events, [file], required_columns(SHOP)["events"])
    rows = [{"ds": AS_OF, **json.loads(line)} for line in path.read_text("utf-8").splitlines()]
    schema = TABLES[table].ddl.replace(" NOT NULL", "")
    lines: list[Any] = [json.dumps(row) for row in rows]
    return spark.createDataFrame([(line,) for line in lines], "line string").selectExpr(
        f"inline(array(from_json(line, '{schema}', map('mode', 'FAILFAST'))))"
    )
