"""People who stay away for `retention_days` are forgotten, the same way whichever nights ran before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.program import Night
from expectations.tables import EVENTS, GRAPH_EDGES, HISTORIES, INTERACTIONS, USER_UPDATES, VOCABULARIES
from jobs.features.user_retention import first_day_after_return
from jobs.preprocess import preprocess
from tests.jobs.features.test_increments import LAST, NIGHTS, new_shop_night, rows_of
from tests.worlds.small_night import new_night, write_rows

RETENTION_DAYS = 5


def with_retention(night: Night, days: int) -> Night:
    return replace(night, shop=replace(night.shop, retention_days=days, active_days=days))


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (["2024-03-05"], None),
        # Sunday the 10th is the first on which five days have passed since Tuesday the 5th.
        (["2024-03-05", "2024-03-11"], "2024-03-11"),
        (["2024-03-05", "2024-03-10"], None),
        (["2024-03-06", "2024-03-11"], None),
        (["2024-03-06", "2024-03-17", "2024-03-18"], None),
        (["2024-03-06", "2024-03-18", "2024-03-19"], "2024-03-18"),
        (["2024-02-01", "2024-03-01", "2024-03-02", "2024-03-30"], "2024-03-30"),
        (["2024-02-01", "2024-03-01", "2024-03-02"], "2024-03-01"),
    ],
)
def test_a_sunday_forgets_whoever_was_away_for_so_long(
    spark: SparkSession, days: Sequence[str], expected: str | None
) -> None:
    events = spark.createDataFrame([("ann", day) for day in days], "user_id string, ds string")
    found = {
        row["user_id"]: row["first_day_after_return"]
        for row in first_day_after_return(events, RETENTION_DAYS).collect()
    }
    assert found == ({"ann": expected} if expected else {})


def test_nights_one_after_another_forget_whom_one_night_alone_forgets(spark: SparkSession, tmp_path: Path) -> None:
    nightly, alone = (with_retention(new_shop_night(str(tmp_path / name)), 1) for name in ("nightly", "alone"))
    for day in (*NIGHTS[:1], LAST):
        preprocess(spark, nightly, day)
    preprocess(spark, alone, LAST)
    assert rows_of(nightly, LAST) == rows_of(alone, LAST)
    assert len(nightly.lake.read(HISTORIES, LAST)) < 9, "nobody was away on the last day, so that nothing was tested"


def test_whoever_comes_back_begins_anew_under_the_old_index(spark: SparkSession, tmp_path: Path) -> None:
    night = with_retention(new_night(tmp_path), RETENTION_DAYS)
    visits = {
        "2024-03-04": [("ann", "lamp"), ("bob", "lamp"), ("cyd", "lamp")],
        "2024-03-07": [("bob", "rug")],
        "2024-03-12": [("ann", "rug"), ("bob", "tea")],
    }
    for ds, met in visits.items():
        rows = [{"user_id": user, "item_id": item, "event_time": datetime.fromisoformat(ds)} for user, item in met]
        write_rows(night, EVENTS, [{**row, "event_type": "purchase", "quantity": 1.0} for row in rows], ds=ds)
        write_rows(night, USER_UPDATES, [{"user_id": user} for user, _ in met], ds=ds)
    preprocess(spark, night, "2024-03-12")
    words = {
        (row["field"], row["index"]): row["value"]
        for row in night.lake.read(VOCABULARIES, "2024-03-12").to_pylist()
        if row["field"] in ("user_id", "item_id")
    }
    assert {value for (field, _), value in words.items() if field == "user_id"} == {"ann", "bob", "cyd"}
    retained = {("ann", "rug"), ("bob", "lamp"), ("bob", "rug"), ("bob", "tea")}
    pairs = night.lake.read(INTERACTIONS, "2024-03-12").to_pylist()
    assert {(words["user_id", r["user_index"]], words["item_id", r["item_index"]]) for r in pairs} == retained
    histories = night.lake.read(HISTORIES, "2024-03-12").to_pylist()
    assert {words["user_id", r["user_index"]]: len(r["item_indices"]) for r in histories} == {"ann": 1, "bob": 3}
    edges = [r for r in night.lake.read(GRAPH_EDGES, "2024-03-12").to_pylist() if r["kind"] == "user_item"]
    assert {words["user_id", r["source_index"]] for r in edges} == {"ann", "bob"}
