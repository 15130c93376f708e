"""Lists that hold several variants of one item are named, and none is thought too short for want of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.checks.partitions import Partitions
from expectations.checks.suite_runner import quiet_context, run_table
from expectations.checks.variants import Variants
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.list_rules import ListRules
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import CROSS_DOMAIN_RECOMMENDATIONS, ITEMS, TABLES
from expectations.validate import expectations_of
from tests.worlds.good_tables import DS, good_tables, write_good_night, write_rows


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """The good night, in which a and b are variants; everybody has both in their lists."""
    lake = Lake(str(tmp_path))
    write_good_night(lake)
    groups = {"a": "ab", "b": "ab", "d": "alone"}
    write_rows(lake, ITEMS, [{**row, "item_group_id": groups.get(row["item_id"])} for row in good_tables()["items"]])
    columns = {"event_time": "t", "user_id": "u", "item_id": "i"}
    events = RawFile(path="{data}/{ds}.csv", columns=columns, constants={"event_type": "purchase"})
    shop = Shop(name="corner", events=events, top_k=3, num_candidates=6)
    return Night(lake, "", shop, DS, "test", datetime(2024, 3, 11, 2, tzinfo=timezone.utc))


NAMED: dict[str, list[str]] = {
    "user_recommendations": ["user_id=ann max_per_group=id ab num_rows=2"],
    "new_user_recommendations": ["segment=all item_group=id ab num_rows=2"],
    "similar_items": [
        "item_id=c item_group=id ab num_rows=2",
        "item_id=a similar_item_id=b item_group=id ab",
    ],
    "cross_domain_recommendations": ["user_id=ann domain=games item_group=id ab num_rows=2"],
}


@pytest.mark.parametrize("name", NAMED)
def test_a_list_with_two_variants_is_named(spark: SparkSession, night: Night, name: str) -> None:
    if name == CROSS_DOMAIN_RECOMMENDATIONS.name:
        (row, *_) = good_tables()[name]
        rows = [{**row, "rank": rank, "item_id": item} for rank, item in enumerate("abd", start=1)]
        write_rows(night.lake, CROSS_DOMAIN_RECOMMENDATIONS, rows)

    def failures(night: Night) -> str:
        expected = expectations_of(night, Partitions(spark, night.lake), TABLES[name], DS)
        return "\n".join(run_table(quiet_context(), expected).failures)

    told = failures(night)
    assert [text for text in NAMED[name] if text not in told] == []
    unbound = replace(night, shop=replace(night.shop, rules=ListRules(version="1", max_per_group=0)))
    assert not any(text in failures(unbound) for text in NAMED[name])


def test_how_many_items_a_list_can_hold_follows_from_the_groups(spark: SparkSession) -> None:
    """Five items are allowed: three of one group, one of another, one without any. x and y are not."""
    groups = {"a": "g", "b": "g", "c": "g", "d": "h", "x": "g"}
    variants = Variants(spark.createDataFrame(list(groups.items()), "item_id string, item_group string"), most=2)
    allowed = spark.createDataFrame([(item, "things") for item in "abcde"], "item_id string, domain string")
    assert [row["num_listable"] for row in variants.listable(allowed.select("item_id")).collect()] == [4]
    assert [tuple(row) for row in variants.listable(allowed, ["domain"]).collect()] == [("things", 4)]
    lists = spark.createDataFrame([(i, i in "abcde") for i in "abdexy"], "item_id string, is_allowed boolean")
    found = variants.with_num_others(lists, allowed.select("item_id")).collect()
    others = {row["item_id"]: row["num_others"] for row in found}
    assert others == {"a": 2, "b": 2, "d": 3, "e": 3, "x": 2, "y": 4}
    barred = [("a", "ann", "things"), ("b", "ann", "things"), ("e", "ann", "things"), ("a", "bob", "things")]
    gone = spark.createDataFrame(barred, "item_id string, user_id string, domain string")
    lost = variants.lost(gone, allowed, ["domain"], ["user_id", "domain"]).collect()
    assert {row["user_id"]: row["num_barred"] for row in lost} == {"ann": 2, "bob": 0}
