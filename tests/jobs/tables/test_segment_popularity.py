"""Segments of people that a reader can count by hand."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from expectations.runtime.days import end_of
from expectations.runtime.program import Night
from expectations.shop.table_settings import NewUsers
from jobs.tables.new_user_recommendations import recent_wishes
from jobs.tables.segment_popularity import (
    PARTS_OF_WISH,
    Variants,
    demand_by_segment,
    segments_of,
    shrunk_rates,
)
from tests.worlds.small_night import ANN, BOB, LANTERN, MUG

SETTINGS = NewUsers()
PRIOR_DEMAND = SETTINGS.prior_demand
PEOPLE_DDL = "user_index int, country string, age_bucket string, gender string"
NUM_ITEMS = 4
FAVOURITE_OF_ALL, SECOND, OF_THE_FEW, NOBODYS = range(2, 2 + NUM_ITEMS)


def people_of(spark: SparkSession, **countries: int) -> DataFrame:
    """So many people of each country, of whom nothing else is known."""
    names = [name for name, count in countries.items() for _ in range(count)]
    return spark.createDataFrame([(index, name, None, None) for index, name in enumerate(names)], PEOPLE_DDL)


def wishes_of(spark: SparkSession, items: list[int], times: int = 1) -> DataFrame:
    """The wish of each person, as if it had been uttered `times` times."""
    rows = [(index, item, times * PARTS_OF_WISH) for index, item in enumerate(items)]
    return spark.createDataFrame(rows, "user_index int, item_index int, parts bigint")


def lists(
    spark: SparkSession, wishes: DataFrame, people: DataFrame, min_people: int, variants: Variants | None = None
) -> dict[str, list[tuple[int, str]]]:
    """Segment -> its items and their reasons, best first."""
    available = spark.createDataFrame([(item,) for item in range(2, 2 + NUM_ITEMS)], "item_index int")
    demand = demand_by_segment(wishes, people, min_people)
    rows = sorted(
        shrunk_rates(demand, available, 3, PRIOR_DEMAND, variants).collect(),
        key=lambda row: (row.segment, -row.rate, row.item_index),
    )
    found: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        found.setdefault(row.segment, []).append((row.item_index, row.reason_code))
    return found


def test_a_segment_holds_one_variant_of_an_item(spark: SparkSession) -> None:
    """The next best takes the place of another; whose people want another variant have that one."""
    people = people_of(spark, Germany=4, France=2)
    wishes = wishes_of(spark, [FAVOURITE_OF_ALL] * 4 + [SECOND] * 2, times=100)
    alike = spark.createDataFrame([(FAVOURITE_OF_ALL, "g"), (SECOND, "g")], "item_index int, item_group string")
    found = lists(spark, wishes, people, min_people=1, variants=Variants(alike, 1))
    items = {segment: [item for item, _ in rows] for segment, rows in found.items()}
    assert items == {
        "all": [FAVOURITE_OF_ALL, OF_THE_FEW, NOBODYS],
        "country=Germany": [FAVOURITE_OF_ALL, OF_THE_FEW, NOBODYS],
        "country=France": [SECOND, OF_THE_FEW, NOBODYS],
    }


def test_a_person_belongs_to_every_set_of_what_is_known_of_them(spark: SparkSession) -> None:
    people = spark.createDataFrame([(2, "Germany", "25-34", None), (3, None, None, None)], PEOPLE_DDL)
    found = {(row.user_index, row.segment, row.parent) for row in segments_of(people).collect()}
    assert found == {
        (2, "all", "all"),
        (2, "country=Germany", "all"),
        (2, "age_bucket=25-34", "all"),
        (2, "country=Germany&age_bucket=25-34", "country=Germany"),
        (3, "all", "all"),
    }


def test_a_value_cannot_pass_for_two(spark: SparkSession) -> None:
    people = spark.createDataFrame([(2, "X&gender=f %", None, None)], PEOPLE_DDL)
    segments = {row.segment for row in segments_of(people).collect()}
    assert segments == {"all", "country=X%26gender%3Df %25"}


def test_a_few_people_do_not_outvote_the_rest(spark: SparkSession) -> None:
    people = people_of(spark, Norway=3, Germany=40)
    wishes = wishes_of(spark, [OF_THE_FEW] * 3 + [FAVOURITE_OF_ALL] * 30 + [SECOND] * 10)
    found = lists(spark, wishes, people, min_people=3)
    assert [item for item, _ in found["country=Norway"]] == [FAVOURITE_OF_ALL, SECOND, OF_THE_FEW]
    assert found["country=Norway"][2] == (OF_THE_FEW, "popular_in_country")
    assert found["country=Norway"][0] == (FAVOURITE_OF_ALL, "popular_now")


def test_many_people_of_a_kind_do(spark: SparkSession) -> None:
    people = people_of(spark, Norway=30, Germany=40)
    wishes = wishes_of(spark, [OF_THE_FEW] * 30 + [FAVOURITE_OF_ALL] * 40, times=20)
    found = lists(spark, wishes, people, min_people=3)
    assert found["country=Norway"][0] == (OF_THE_FEW, "popular_in_country")
    assert found["all"][0] == (FAVOURITE_OF_ALL, "popular_now")


def test_a_segment_of_too_few_is_left_out_and_all_is_always_there(spark: SparkSession) -> None:
    people = people_of(spark, Norway=3, Germany=4)
    wishes = wishes_of(spark, [SECOND] * 7)
    assert set(lists(spark, wishes, people, min_people=4)) == {"all", "country=Germany"}
    nobody = lists(spark, wishes.limit(0), people, min_people=4)
    assert nobody == {"all": [(item, "in_our_range") for item in (FAVOURITE_OF_ALL, SECOND, OF_THE_FEW)]}


def test_rates_are_posterior_means(spark: SparkSession) -> None:
    people = people_of(spark, Norway=2)
    available = spark.createDataFrame([(item,) for item in range(2, 2 + NUM_ITEMS)], "item_index int")
    demand = demand_by_segment(wishes_of(spark, [SECOND, SECOND]), people, 1)
    rates = {
        (row.segment, row.item_index): row.rate
        for row in shrunk_rates(demand, available, NUM_ITEMS, PRIOR_DEMAND).collect()
    }
    of_all = (2 + PRIOR_DEMAND / NUM_ITEMS) / (2 + PRIOR_DEMAND)
    assert rates["all", SECOND] == pytest.approx(of_all)
    assert rates["country=Norway", SECOND] == pytest.approx((2 + PRIOR_DEMAND * of_all) / (2 + PRIOR_DEMAND))
    for segment in ("all", "country=Norway"):
        assert sum(rate for (name, _), rate in rates.items() if name == segment) == pytest.approx(1)


def test_the_best_of_a_segment_are_those_of_all_its_rates(spark: SparkSession) -> None:
    people = people_of(spark, Norway=4, Germany=9)
    wishes = wishes_of(spark, [OF_THE_FEW] * 4 + [FAVOURITE_OF_ALL] * 5 + [SECOND] * 4)
    available = spark.createDataFrame([(item,) for item in range(2, 2 + NUM_ITEMS)], "item_index int")
    demand = demand_by_segment(wishes, people, 1)
    everything = shrunk_rates(demand, available, NUM_ITEMS, PRIOR_DEMAND).collect()
    whole = sorted(
        (row for row in everything if row.segment == "country=Norway"), key=lambda r: (-r.rate, r.item_index)
    )
    short = [item for item, _ in lists(spark, wishes, people, 1)["country=Norway"]]
    assert short == [row.item_index for row in whole[:3]]


def test_what_people_want_when_they_are_new_counts_more(spark: SparkSession, night: Night) -> None:
    days = {ANN: "2024-03-09", BOB: "2024-01-01"}
    seconds = 1_710_028_800  # 2024-03-10 00:00 UTC, a day before the night's day ends
    histories = spark.createDataFrame(
        [(user, [LANTERN, MUG], [5, 2], [seconds, seconds], [], []) for user in days],
        "user_index int, item_indices array<int>, event_type_indices array<int>, event_times array<bigint>, "
        "older_purchase_indices array<int>, older_purchase_times array<bigint>",
    )
    vocabulary = [("event_type", "purchase", 5), ("event_type", "view", 2)]
    vocabularies = spark.createDataFrame(vocabulary, "field string, value string, index int")
    first_days = spark.createDataFrame(list(days.items()), "user_index int, first_seen string")
    end, targets = end_of(night.ds, night.shop.drops.day_timezone), night.shop.target_events
    rows = recent_wishes(histories, first_days, vocabularies, end, targets, SETTINGS).collect()
    parts = {(row.user_index, row.item_index): row.parts for row in rows}
    assert set(parts) == {(ANN, LANTERN), (BOB, LANTERN)}
    assert parts[BOB, LANTERN] == pytest.approx(SETTINGS.later_weight * parts[ANN, LANTERN])
