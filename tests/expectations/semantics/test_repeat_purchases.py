"""What a shop says about items coming back, on a handful of purchases."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.days import end_of
from expectations.semantics.repeat_purchases.in_spark import usual_gaps, within_repurchase_gap
from expectations.tables import EVENT_TYPES, FIRST_VALUE_INDEX, HISTORIES

DS = "2024-03-31"
PURCHASE, VIEW = (FIRST_VALUE_INDEX + EVENT_TYPES.index(name) for name in ("purchase", "view"))
COFFEE, LAMP, SOAP = 2, 3, 4


def history(user: int, *events: tuple[int, str, int]) -> tuple[object, ...]:
    """Events of (item, day of 2024, event type)."""
    seconds = [(date.fromisoformat(f"2024-{day}") - date(1970, 1, 1)).days * 86_400 + 60 for _, day, _ in events]
    empty = [0] * len(events)
    items, types = [item for item, *_ in events], [kind for *_, kind in events]
    return (DS, user, items, types, empty, seconds, empty, empty, [], [])


@pytest.fixture
def pairs(spark: SparkSession) -> set[tuple[int, int]]:
    """Coffee is bought every ten days; nobody bought a lamp twice; the shop's gap is that of coffee and soap."""
    rows = [
        history(2, (COFFEE, "03-01", PURCHASE), (COFFEE, "03-11", PURCHASE), (COFFEE, "03-21", PURCHASE)),
        history(3, (COFFEE, "03-10", PURCHASE), (COFFEE, "03-10", PURCHASE), (COFFEE, "03-30", VIEW)),
        history(4, (LAMP, "03-20", PURCHASE), (SOAP, "01-01", PURCHASE), (SOAP, "03-01", PURCHASE)),
        history(5, (LAMP, "02-20", PURCHASE), (COFFEE, "03-25", PURCHASE), (SOAP, "03-30", VIEW)),
    ]
    histories = spark.createDataFrame(rows, HISTORIES.ddl)
    return {
        (row["user_index"], row["item_index"])
        for row in within_repurchase_gap(histories, end_of(DS), num_prior_gaps=1).collect()
    }


def test_what_was_bought_lately_does_not_come_back_yet(pairs: set[tuple[int, int]]) -> None:
    # Gaps: coffee (20 + 26.7) / 3 = 15.6 days, lamp the shop's (20 + 60) / 3 = 26.7, soap (60 + 26.7) / 2 = 43.3.
    assert pairs == {(2, COFFEE), (5, COFFEE), (4, LAMP), (4, SOAP)}


def test_where_nobody_ever_bought_twice_nothing_comes_back(spark: SparkSession) -> None:
    columns = "user_index int, item_index int, num_days long, first_day long, last_day long"
    bought = spark.createDataFrame([(2, COFFEE, 1, 5, 5)], columns)
    assert usual_gaps(bought, 20).collect()[0]["usual_gap_days"] == float("inf")
