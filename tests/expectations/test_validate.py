"""A stage passes whole and is noted, or stops the night with one line and leaves Data Docs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.checks.inputs import events_day, min_events
from expectations.checks.partitions import Partitions, shuffle_partitions
from expectations.checks.published_tables import min_listed_rows
from expectations.checks.row_rules import MAX_TOLD_LENGTH
from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.drop_settings import Drops
from expectations.tables import EVENTS, TABLES, USER_RECOMMENDATIONS, USERS, TableContractError
from expectations.validate import STAGES, main, validate_stage
from tests.worlds.good_tables import DS, good_tables, write_good_night, write_rows

SHOP = """
name = "corner"
top_k = 3
events.path = "{data}/{ds}.csv"
events.columns = {event_time = "time", user_id = "customer", item_id = "article"}
events.constants = {event_type = "purchase"}
"""


@pytest.mark.parametrize("stage", list(STAGES))
def test_good_tables_pass_and_are_noted(spark: SparkSession, night: Night, stage: str) -> None:
    write_good_night(night.lake)
    validate_stage(night, spark, stage, as_of=DS)
    noted = [name for name in TABLES if night.lake.is_validated(TABLES[name], DS)]
    assert noted == [name for name in TABLES if name in STAGES[stage]]
    index = Path(night.lake.root, "data_docs", "index.html").read_text(encoding="utf-8")
    assert index.count("all met") == len(STAGES[stage])


def test_a_failure_is_one_line_leaves_data_docs_and_notes_nothing(spark: SparkSession, night: Night) -> None:
    write_good_night(night.lake)
    users = good_tables()["users"]
    users[0]["user_id"] = "<script>alert(1)</script>\nann"
    users[0]["last_active"] = "2024-03-11"
    write_rows(night.lake, USERS, users)
    with pytest.raises(TableContractError) as caught:
        validate_stage(night, spark, "inputs", as_of=DS)
    docs = f"{night.lake.root}/data_docs/index.html"
    assert str(caught.value) == (
        "users ds=2024-03-10: expect_column_values_to_be_null(last_active_is_not_after_ds), Nobody was last active "
        "after 2024-03-10: 1 rows fail, such as user_id=<script>alert(1)</script>\\nann last_active=2024-03-11. "
        f"Data Docs: {docs}"
    )
    assert not any(night.lake.is_validated(TABLES[name], DS) for name in STAGES["inputs"])
    pages = list(Path(night.lake.root, "data_docs").rglob("*.html"))
    assert Path(docs) in pages
    (page,) = (p for p in pages if "validations/users/" in str(p))
    for path in (page, Path(docs)):
        text = path.read_text(encoding="utf-8")
        assert "last_active_is_not_after_ds" in text
        assert "<script>alert(1)" not in text, "what a shop sends must not run in a reader's browser"
    record = json.loads(next(Path(night.lake.root, "data_docs", "runs").glob("*.json")).read_text(encoding="utf-8"))
    assert (Path(docs).parent / record["tables"][2]["page"]) == page


def test_few_failing_values_are_shown_and_long_ones_cut(spark: SparkSession, night: Night) -> None:
    write_good_night(night.lake)
    user = good_tables()["users"][2]
    users = [{**user, "user_id": f"{n:03}" + "x" * 500, "last_active": "2024-03-11"} for n in range(20)]
    write_rows(night.lake, USERS, users)
    with pytest.raises(TableContractError) as caught:
        validate_stage(night, spark, "inputs", as_of=DS)
    assert "20 rows fail" in str(caught.value)
    assert str(caught.value).count("user_id=") == 5
    assert "x" * (MAX_TOLD_LENGTH + 1) not in str(caught.value)


def test_features_are_those_of_the_day_that_is_asked_for(spark: SparkSession, night: Night) -> None:
    write_good_night(night.lake)
    with pytest.raises(TableContractError, match="vocabularies ds=2024-03-03: no such partition"):
        validate_stage(night, spark, "features", as_of="2024-03-03")


def test_an_empty_partition_is_an_error(spark: SparkSession, night: Night) -> None:
    write_good_night(night.lake)
    write_rows(night.lake, EVENTS, [])
    with pytest.raises(TableContractError, match=r"events ds=2024-03-10: expect_table_row_count_to_be_between.* 0"):
        validate_stage(night, spark, "inputs", as_of=DS)


def test_a_half_empty_list_is_an_error(spark: SparkSession, night: Night) -> None:
    write_good_night(night.lake)
    previous = write_rows(night.lake, USER_RECOMMENDATIONS, good_tables()["user_recommendations"] * 3, "2024-03-09")
    night.lake.note_validated(USER_RECOMMENDATIONS, "2024-03-09", previous)
    with pytest.raises(TableContractError, match=r"user_recommendations .*row_count_to_be_between: found 9"):
        validate_stage(night, spark, "outputs", as_of=DS)


@pytest.mark.parametrize(
    ("is_noted", "metadata", "least"), [(True, {}, 5), (False, {}, 1), (True, {"top_k": 9}, 2), (True, {"top_k": 1}, 5)]
)
def test_lists_are_compared_with_the_latest_that_passed(
    night: Night, is_noted: bool, metadata: dict[str, int], least: int
) -> None:
    rows = good_tables()["user_recommendations"]
    previous = write_rows(night.lake, USER_RECOMMENDATIONS, rows, "2024-03-08", **metadata)
    if is_noted:
        night.lake.note_validated(USER_RECOMMENDATIONS, "2024-03-08", previous)
    write_rows(night.lake, USER_RECOMMENDATIONS, rows * 9, "2024-03-11")
    assert min_listed_rows(night.lake, USER_RECOMMENDATIONS, DS, night.shop) == least
    none = replace(night.shop, publish=replace(night.shop.publish, min_rows_share=0.0))
    assert min_listed_rows(night.lake, USER_RECOMMENDATIONS, DS, none) == 1


def test_a_day_is_compared_with_the_median_of_the_days_before(night: Night) -> None:
    night = replace(night, shop=replace(night.shop, drops=Drops(min_rows_share=0.5)))
    assert min_events(night.lake, EVENTS, DS, night.shop) == 1
    event = good_tables()["events"][0]
    for day, num_rows in (("2024-03-06", 100), ("2024-03-07", 9), ("2024-03-08", 10), ("2024-03-11", 100)):
        write_rows(night.lake, EVENTS, [event] * num_rows, day)
    assert min_events(night.lake, EVENTS, DS, night.shop) == 5
    for compared, median in ((28, 10), (2, 9.5)):
        shop = replace(night.shop, drops=Drops(min_rows_share=2.0, compared_drops=compared))
        assert min_events(night.lake, EVENTS, DS, shop) == 2 * median


def test_on_a_closed_day_the_latest_drop_is_checked(night: Night) -> None:
    write_rows(night.lake, EVENTS, good_tables()["events"], "2024-03-08")
    write_rows(night.lake, EVENTS, good_tables()["events"], "2024-03-11")
    assert events_day(night.lake, night.ds, night.shop) == DS
    closed = replace(night, shop=replace(night.shop, drops=Drops(missing_day="closed")))
    assert events_day(closed.lake, closed.ds, closed.shop) == "2024-03-08"


def test_one_version_is_read_throughout(spark: SparkSession, lake: Lake) -> None:
    partitions = Partitions(spark, lake)
    first = write_rows(lake, USERS, good_tables()["users"])
    assert partitions.version(USERS, DS) == first
    write_rows(lake, USERS, [])
    assert partitions.rows(USERS, DS).count() == 3


@pytest.mark.parametrize(("num_rows", "partitions"), [(0, 2), (1_000_000, 4), (10**12, 400)])
def test_small_data_is_shuffled_in_few_pieces(num_rows: int, partitions: int) -> None:
    assert shuffle_partitions(num_rows) == partitions


def test_a_stage_that_is_none_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["--ds", DS, "--stage", "middle"])


def test_as_a_program_it_ends_with_the_reason_and_exit_1(tmp_path: Path) -> None:
    shop = tmp_path / "corner.toml"
    shop.write_text(SHOP, encoding="utf-8")
    root = tmp_path / "root"
    write_good_night(Lake(str(root)))
    events = good_tables()["events"]
    events[0]["price"] = -2.5
    write_rows(Lake(str(root)), EVENTS, events)
    command = [sys.executable, "-m", "expectations.validate", "--stage", "inputs", "--shop", str(shop)]
    environment = {**os.environ, "SPARK_MASTER": "local[2]", "SPARK_DRIVER_MEMORY": "1g"}
    done = subprocess.run(
        [*command, "--ds", DS, "--root", str(root)],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == (
        "ERROR events ds=2024-03-10: expect_column_values_to_be_between(price): 1 rows fail, such as -2.5. "
        f"Data Docs: {root}/data_docs/index.html"
    )
    assert "Calculating Metrics" not in done.stderr
