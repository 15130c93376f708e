"""How ages, gaps and titles become the values that features are made of."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.features.categorical_values import age_bucket, category_levels
from jobs.features.histories import gap_buckets, session_starts, weekday
from jobs.features.vocabulary_index import index_lists, with_index

VOCABULARY = [("token", "lamp", 2), ("token", "desk", 3), ("brand", "lamp", 9)]
VOCABULARY_DDL = "field string, value string, index int"


def test_ages_fall_into_their_buckets(spark: SparkSession) -> None:
    ages = [0, 17, 18, 24, 25, 34, 35, 44, 45, 54, 55, 64, 65, 99, None]
    rows = spark.createDataFrame([(age,) for age in ages], "age int").select(age_bucket(F.col("age")))
    assert [row[0] for row in rows.collect()] == [
        "<18", "<18", "18-24", "18-24", "25-34", "25-34", "35-44", "35-44", "45-54", "45-54", "55-64", "55-64",
        "65+", "65+", None,
    ]  # fmt: skip


def test_gaps_double_from_bucket_to_bucket(spark: SparkSession) -> None:
    # seconds since the event before: 0, 59, 60, 179, 180, 2 ** 20 minutes - 1 second, and a first event
    gaps, times = [0, 59, 60, 179, 180, (2**20 - 1) * 60], [1000]
    for gap in gaps:
        times.append(times[-1] + gap)
    rows = spark.createDataFrame([(times,)], "seconds array<bigint>").select(gap_buckets(F.col("seconds")))
    assert rows.collect()[0][0] == [0, 1, 1, 2, 2, 3, 21]


def test_a_session_begins_where_its_name_changes_or_after_a_long_pause(spark: SparkSession) -> None:
    half_hour = 30 * 60
    times = [0, 10, 10 + half_hour, 11 + 2 * half_hour, 12 + 2 * half_hour, 9 * half_hour]
    names = [7, 7, None, None, 8, 8]
    rows = spark.createDataFrame([(times, names)], "seconds array<bigint>, session array<bigint>")
    starts = rows.select(session_starts(F.arrays_zip("seconds", "session"), 30))
    assert starts.collect()[0][0] == [1, 0, 0, 1, 0, 0]


def test_weekdays_count_from_monday(spark: SparkSession) -> None:
    days = ["2024-03-03 23:59:59", "2024-03-04 00:00:00", "1970-01-01 00:00:00", "1969-12-31 23:59:59"]
    rows = spark.createDataFrame([(day,) for day in days], "day string").select(
        weekday(F.unix_timestamp(F.to_timestamp("day")))
    )
    assert [row[0] for row in rows.collect()] == [7, 1, 4, 3]


def test_a_category_level_carries_its_path(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(["A", "B", "C"],), ([],)], "path array<string>")
    assert [row[0] for row in rows.select(category_levels(F.col("path"))).collect()] == [
        ["A", "A > B", "A > B > C"],
        [],
    ]


def test_nothing_is_padding_and_an_unheard_value_is_unknown(spark: SparkSession) -> None:
    vocabulary = spark.createDataFrame(VOCABULARY, VOCABULARY_DDL)
    rows = spark.createDataFrame([("lamp",), ("vase",), (None,)], "word string")
    indexed = with_index(rows, vocabulary, "token", "word", "word_index").collect()
    assert {row["word"]: row["word_index"] for row in indexed} == {"lamp": 2, "vase": 1, None: 0}


def test_lists_keep_their_order_and_leave_out_repeats_and_unheard_values(spark: SparkSession) -> None:
    vocabulary = spark.createDataFrame(VOCABULARY, VOCABULARY_DDL)
    rows = spark.createDataFrame(
        [("a", ["desk", "vase", "lamp", "desk"]), ("b", ["vase"])], "id string, words array<string>"
    )
    (found,) = index_lists(rows, vocabulary, "token", "id", F.col("words")).collect()
    assert (found["id"], found["indices"]) == ("a", [3, 2])
