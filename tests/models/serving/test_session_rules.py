"""What a session is, and how the shop's rules choose among the scored items."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.semantics.gap_buckets import gap_bucket
from expectations.semantics.list_caps import Cap
from expectations.semantics.repeat_purchases.in_spark import excluded_pairs
from expectations.semantics.titles import readable_title, readable_title_in_spark
from expectations.tables import HISTORIES, ITEMS, NEW_USER_RECOMMENDATIONS, RUN_MANIFEST, Table
from jobs.features.histories import gap_buckets
from models.data.dataset import Dataset, load_dataset
from models.serving.capped_top_k import capped_top_k, top_k
from models.serving.new_user_lists import NewcomerLists
from models.serving.repurchase_days import ReturnDays
from models.serving.session_model import SessionModel
from tests.worlds.communities import DAY
from tests.worlds.good_tables import write_rows
from tests.worlds.session_night import SETTINGS
from tests.worlds.session_requests import (
    built,
    event,
    events_of,
    items_of,
    scores_of,
)


def test_a_known_users_session_goes_on_from_their_history(model: SessionModel, world: Dataset) -> None:
    clicks = [event("item 5", "view", 0), event("item 7", "view", 40)]
    for user in (2, 3, 10):
        known, told = model.predict(
            [{"user_id": f"user {user}", "events": clicks}, {"events": [*events_of(world, user), *clicks]}]
        )
        assert known["num_events"] == told["num_events"] == SETTINGS["max_length"] - 1
        assert items_of(known) == items_of(told)
        np.testing.assert_allclose(scores_of(known), scores_of(told), rtol=1e-5)


def test_what_the_night_knows_already_is_not_read_twice(model: SessionModel, world: Dataset) -> None:
    click = event("item 5")
    once, again = model.predict(
        [{"user_id": "user 4", "events": [click]}, {"user_id": "user 4", "events": [*events_of(world, 4), click]}]
    )
    assert again == once


def test_answers_stand_in_the_order_of_the_requests(model: SessionModel) -> None:
    asked = [{"user_id": "user 2"}, {}, {"user_id": "user 3", "k": 1}]
    together = model.predict(asked)
    assert together == [model.predict([request])[0] for request in asked]
    assert [len(answer["items"]) for answer in together] == [3, 3, 1]


def test_somebody_new_gets_the_nights_list_for_people_like_them(model: SessionModel) -> None:
    def listed(place: str, *items: str) -> list[dict[str, Any]]:
        why = {"source": "segment_demand", "reason_code": "popular", "reason": f"Popular in {place} this week"}
        return [{"rank": rank, "item_id": item, "score": 1 / rank, **why} for rank, item in enumerate(items, start=1)]

    lists = {"all": listed("the world", "item 4", "item 5"), "country=Norway": listed("Norway", "item 7", "item 8")}
    asked = SessionModel(replace(model.bundle, newcomers=NewcomerLists(lists)))
    finest_first = ["country=Norway&gender=f", "country=Norway", "all"]
    norway, anybody, clicked = asked.predict(
        [
            {"segments": finest_first, "k": 4},
            {"k": 2},
            {"segments": finest_first, "events": [event("item 6")], "k": 4},
        ]
    )
    assert items_of(norway)[:2] == ["item 7", "item 8"]
    assert norway["items"][0]["reason"] == "Popular in Norway this week"
    assert len(set(items_of(norway))) == 4
    assert [row["rank"] for row in norway["items"]] == [1, 2, 3, 4]
    assert {row["source"] for row in norway["items"][2:]} == {"recent_demand"}
    assert {tuple(row) for row in norway["items"]} == {tuple(clicked["items"][0])}, "each row has the same keys"
    assert items_of(anybody) == ["item 4", "item 5"]
    assert {row["source"] for row in clicked["items"]} == {"sequence"}


def test_lists_for_new_people_are_those_that_the_night_published(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert NewcomerLists.published(lake, DAY).find(["country=Norway"]) == ()
    why = {"score": 0.5, "source": "segment_demand", "reason_code": "popular", "reason": "Popular"}
    rows = [
        {"ds": ds, "segment": segment, "rank": rank, "item_id": f"{segment} {ds} {rank}", **why}
        for ds in (DAY, "2024-03-11")
        for segment in ("all", "country=Norway")
        for rank in (2, 1)
    ]
    write_deltalake(lake.table_path(NEW_USER_RECOMMENDATIONS), pa.Table.from_pylist(rows))
    named = [{"ds": DAY, "table_name": NEW_USER_RECOMMENDATIONS.name, "table_version": 0}]
    write_deltalake(lake.table_path(RUN_MANIFEST), pa.Table.from_pylist(named))
    # What the manifest does not name yet is not published.
    write_deltalake(lake.table_path(NEW_USER_RECOMMENDATIONS), pa.Table.from_pylist(rows[:1]), mode="overwrite")
    found = NewcomerLists.published(lake, DAY)
    assert [row["item_id"] for row in found.find(["country=Norway"])] == [f"country=Norway {DAY} {n}" for n in (1, 2)]
    assert found.find(["country=Sweden"]) == found.find([])
    found.save(tmp_path / "lists", {})
    assert NewcomerLists.load(tmp_path / "lists") == found


def test_reasons_follow_what_was_done(model: SessionModel) -> None:
    (answer,) = model.predict([{"events": [event("item 3", "view"), event("item 5", "purchase", 1)], "k": 20}])
    reason = {row["item_id"]: (row["reason_code"], row["because_item_ids"]) for row in answer["items"]}
    assert reason["item 5"] == ("buy_again", ["item 5"])
    assert {code for code, cited in reason.values() if cited == ["item 5"]} <= {"buy_again", "because_you_bought"}
    assert [row["rank"] for row in answer["items"]] == list(range(1, len(reason) + 1))
    assert scores_of(answer) == sorted(scores_of(answer), reverse=True)


def test_a_shop_that_never_repeats_bars_what_was_bought_before_and_in_the_session(night: Night, tmp_path: Path) -> None:
    model = built(replace(night, shop=replace(night.shop, repeats="never")), tmp_path)
    dataset = load_dataset(night.lake, night.shop, DAY)
    known, session = model.predict([{"user_id": "user 2", "k": 1000}, {"events": [event("item 3", "purchase")]}])
    bought = {f"item {item}" for item in dataset.seen_by(np.array([2])).indices}
    assert len(bought) > 3 and not bought & set(items_of(known))
    assert "item 3" not in items_of(session)


def test_a_list_holds_no_more_repeats_than_the_shop_says(night: Night, tmp_path: Path) -> None:
    model = built(replace(night, shop=replace(night.shop, max_repeat_share=0.4)), tmp_path)
    dataset = load_dataset(night.lake, night.shop, DAY)
    (answer,) = model.predict([{"user_id": "user 2", "k": 5}])
    bought = {f"item {item}" for item in dataset.seen_by(np.array([2])).indices}
    assert len(set(items_of(answer)) & bought) == 2
    assert len(answer["items"]) == 5


def test_a_list_holds_no_more_of_a_category_than_the_shop_says(night: Night, tmp_path: Path) -> None:
    rules = replace(night.shop.rules, version="1", max_per_category=3)
    model = built(replace(night, shop=replace(night.shop, rules=rules)), tmp_path)
    names = dict(zip(model.bundle.items.item_ids, model.bundle.items.category.tolist(), strict=True))
    assert len(set(names.values()) - {0}) == 2
    free = [event("item 3"), event("item 5", minute=1)]
    short, long = model.predict([{"events": free, "k": 6}, {"events": free, "k": 8}])
    assert sorted(Counter(names[item] for item in items_of(short)).values()) == [3, 3]
    # Two categories hold six items; what follows is better than a list that falls short.
    assert items_of(long)[:6] == items_of(short)
    assert len(items_of(long)) == 8


def test_a_list_holds_one_variant_of_an_item(night: Night, tmp_path: Path) -> None:
    """Here the shop says that equal titles are variants, and every four items have one title."""
    rows = night.lake.read(ITEMS, DAY).to_pylist()
    titles = {row["item_id"]: f"Thing {place // 4}" for place, row in enumerate(rows)}
    rules = replace(night.shop.rules, version="1", group_equal_titles=True)
    try:
        write_rows(night.lake, ITEMS, [{**row, "title": titles[row["item_id"]]} for row in rows], DAY)
        bound = built(replace(night, shop=replace(night.shop, rules=rules)), tmp_path / "bound")
    finally:
        write_rows(night.lake, ITEMS, rows, DAY)
    asked = [{"events": [event("item 3"), event("item 5", minute=1)], "k": 5}]
    listed, free = items_of(bound.predict(asked)[0]), items_of(built(night, tmp_path / "free").predict(asked)[0])
    assert len({titles[item] for item in listed}) == len(listed) == 5
    assert len({titles[item] for item in free}) < 5
    assert listed[0] == free[0]


@pytest.mark.parametrize("repeats", ["never", "after_gap", "allowed"])
def test_return_days_bar_what_the_nights_policy_bars(spark: SparkSession, night: Night, repeats: str) -> None:
    dataset, shop = load_dataset(night.lake, night.shop, DAY), replace(night.shop, repeats=repeats)

    def read(table: Table) -> Any:
        rows = spark.read.parquet(night.lake.require(table, DAY).path)
        # This world's vocabulary gives "purchase" another index than the night's.
        of_type = F.transform("event_type_indices", lambda _: F.lit(5))
        return rows.withColumn("event_type_indices", of_type) if table is HISTORIES else rows

    expected = excluded_pairs(read, shop, DAY)
    pairs = {(row[0], row[1]) for row in expected.collect()} if expected is not None else set()
    found, days = set(), ReturnDays.of(night.lake, dataset, repeats, shop.num_prior_gaps, purchase_index=2)
    today = dataset.end // 86_400
    for user in range(2, dataset.num_users):
        found |= {
            (user, item) for item, day in zip(*(a.tolist() for a in days.of_user(user)), strict=True) if day > today
        }
    assert found == pairs
    assert bool(pairs) == (repeats != "allowed")


def test_gaps_and_titles_are_told_as_the_night_tells_them(spark: SparkSession) -> None:
    seconds = [0, 59, 60, 119, 120, 7_000, 90_000, 90_000_000]
    rows = spark.createDataFrame([(seconds,)], "seconds array<bigint>")
    (row,) = rows.select(gap_buckets(F.col("seconds"))).collect()
    assert row[0] == [0, *(gap_bucket(b - a) for a, b in pairwise(seconds))]
    titles = [None, "", " \t\n", "Lamp", "A\nlamp \x07", "x" * 80, "long " * 40, " wide\u00a0space "]
    rows = spark.createDataFrame([(n, title) for n, title in enumerate(titles)], "n int, title string")
    found = rows.select(readable_title_in_spark(F.col("title"), F.lit("id"))).collect()
    assert [row[0] for row in found] == [readable_title(title, "id") for title in titles]


def test_equal_scores_stand_in_the_order_of_the_index() -> None:
    scores = np.array([-np.inf, 2, 1, 3, 2, 2, -np.inf], dtype=np.float32)
    assert top_k(scores, 3).tolist() == [3, 1, 4]
    assert top_k(scores, 100).tolist() == [3, 1, 4, 5, 2]


def test_caps_pass_over_what_is_too_much_however_far_the_next_one_stands() -> None:
    scores = np.arange(100, 0, -1).astype(np.float32)
    group = np.where(np.arange(100) < 60, 1, np.arange(100))
    group[99] = 0
    assert capped_top_k(scores, 4, [Cap(2, group)]).tolist() == [0, 1, 60, 61]
    assert capped_top_k(scores, 4, [Cap(2, group), Cap(1, np.ones(100, int))]).tolist() == [0, 1, 2, 3]
    assert capped_top_k(scores, 4, []).tolist() == [0, 1, 2, 3]
    assert len(capped_top_k(np.full(3, -np.inf), 4, [Cap(2, group)])) == 0
