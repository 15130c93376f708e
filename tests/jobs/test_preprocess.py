"""The whole of preprocessing on a few days: what a past day may know, and what a second run does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.runtime.run_pins import read_pin
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import FEATURE_TABLES, INTERACTIONS, TABLES, VOCABULARIES, NightError, TableContractError
from jobs.ingest import ingest
from jobs.preprocess import PREPROCESSED_TABLES, main, preprocess
from tests.worlds.raw_drops import write_drop

HEADER = "time,customer,article,units,price\n"
TABLE_NAMES = ("items", "users", *FEATURE_TABLES)


@pytest.fixture(scope="module")
def ingested(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Shared by the tests of this file: each builds what it needs, and nobody takes anything away."""
    folder = tmp_path_factory.mktemp("corner")
    columns = {"event_time": "time", "user_id": "customer", "item_id": "article", "quantity": "units", "price": "price"}
    raw = RawFile(path="{data}/{ds}.csv", columns=columns, constants={"event_type": "purchase"})
    shop = Shop(name="corner", events=raw, items_from_events={"title": "article"})
    now = datetime(2024, 3, 11, 2, 0, tzinfo=timezone.utc)
    night = Night(Lake(str(folder / "root")), str(folder / "drops"), shop, "2024-03-10", "test", now)
    days = {
        "2024-03-08": ("09:00:00,zoe,lamp,1,9", "10:00:00,bob,rug,1,50"),
        "2024-03-10": ("08:00:00,ann,art,2,55", "07:00:00,bob,rug,-1,50"),
    }
    for ds, lines in days.items():
        write_drop(night.data, f"{ds}.csv", HEADER + "".join(f"{ds} {line}\n" for line in lines))
    ingest(spark, night)
    return night


def rows(night: Night, as_of: str) -> dict[str, list[dict[str, object]]]:
    return {name: night.lake.read(TABLES[name], as_of).to_pylist() for name in TABLE_NAMES}


def vocabulary(night: Night, as_of: str, field: str) -> dict[str, int]:
    entries = night.lake.read(VOCABULARIES, as_of).to_pylist()
    return {e["value"]: e["index"] for e in entries if e["field"] == field}


def test_a_past_day_knows_nothing_of_later_ones(spark: SparkSession, ingested: Night) -> None:
    preprocess(spark, ingested, "2024-03-08")
    past = rows(ingested, "2024-03-08")
    assert {i["item_id"] for i in past["items"]} == {"lamp", "rug"}
    # bob's rug goes back two days later, which nobody can know yet
    assert len(past["interactions"]) == 2
    alone = replace(ingested, lake=Lake(f"{ingested.lake.root}-of-that-day"), ds="2024-03-08")
    ingest(spark, alone)
    preprocess(spark, alone, "2024-03-08")
    assert rows(alone, "2024-03-08") == past


def test_later_days_append_to_the_vocabularies(spark: SparkSession, ingested: Night) -> None:
    preprocess(spark, ingested, "2024-03-08")
    preprocess(spark, ingested, "2024-03-10")
    assert vocabulary(ingested, "2024-03-08", "user_id") == {"bob": 2, "zoe": 3}
    assert vocabulary(ingested, "2024-03-10", "user_id") == {"bob": 2, "zoe": 3, "ann": 4}
    assert vocabulary(ingested, "2024-03-10", "item_id") == {"lamp": 2, "rug": 3, "art": 4}
    hashes = {
        ds: {r["vocabulary_hash"] for r in rows(ingested, ds)["vocabularies"]} for ds in ("2024-03-08", "2024-03-10")
    }
    assert [len(found) for found in hashes.values()] == [1, 1]
    assert hashes["2024-03-08"] != hashes["2024-03-10"]


def test_a_purchase_that_came_back_is_gone_from_the_day_on_which_it_did(spark: SparkSession, ingested: Night) -> None:
    preprocess(spark, ingested, "2024-03-10")
    users, items = (vocabulary(ingested, "2024-03-10", field) for field in ("user_id", "item_id"))
    built = rows(ingested, "2024-03-10")
    pairs = {(r["user_index"], r["item_index"]) for r in built["interactions"]}
    assert pairs == {(users["zoe"], items["lamp"]), (users["ann"], items["art"])}
    assert {r["user_index"] for r in built["histories"]} == {users["zoe"], users["ann"]}
    assert len(built["user_features"]) == 3


def test_a_second_run_leaves_all_as_it_is(spark: SparkSession, ingested: Night, other_code: Callable[[], None]) -> None:
    def versions() -> dict[str, str]:
        return {name: ingested.lake.require(TABLES[name], "2024-03-10").path for name in TABLE_NAMES}

    preprocess(spark, ingested, "2024-03-10")
    first, first_rows = versions(), rows(ingested, "2024-03-10")
    preprocess(spark, ingested, "2024-03-10")
    assert versions() == first
    other_code()
    preprocess(spark, ingested, "2024-03-10")
    assert versions() != first
    assert rows(ingested, "2024-03-10") == first_rows


def test_the_nights_of_a_week_share_a_past_day(spark: SparkSession, ingested: Night) -> None:
    """What `weekly_backtest` saves."""
    preprocess(spark, replace(ingested, ds="2024-03-09"), "2024-03-08")
    first = [ingested.lake.require(TABLES[name], "2024-03-08").path for name in TABLE_NAMES]
    preprocess(spark, ingested, "2024-03-08")
    assert [ingested.lake.require(TABLES[name], "2024-03-08").path for name in TABLE_NAMES] == first


def test_a_day_before_all_drops_is_refused(spark: SparkSession, ingested: Night) -> None:
    with pytest.raises(NightError, match=r"events as of 2024-03-07: the lake holds none.*first day is 2024-03-08"):
        preprocess(spark, ingested, "2024-03-07")


def test_named_tables_are_built_and_no_others(spark: SparkSession, ingested: Night, tmp_path: Path) -> None:
    night = replace(ingested, lake=Lake(str(tmp_path)))
    ingest(spark, night)
    preprocess(spark, night, "2024-03-10", ["tokenizers", "vocabularies"])
    built = {name for name in PREPROCESSED_TABLES if night.lake.current(TABLES[name], "2024-03-10")}
    assert built == {"items", "users", "tokenizers", "vocabularies"}, "ingest builds items and users"


def test_a_named_table_says_which_of_those_it_reads_is_missing(
    spark: SparkSession, ingested: Night, tmp_path: Path
) -> None:
    night = replace(ingested, lake=Lake(str(tmp_path)))
    ingest(spark, night)
    with pytest.raises(TableContractError, match=r"vocabularies ds=2024-03-10.*jobs\.preprocess"):
        preprocess(spark, night, "2024-03-10", ["item_features"])


def test_a_table_that_preprocess_does_not_build_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--ds", "2024-03-10", "--tables", "histories", "history"])
    assert "invalid choice: 'history'" in capsys.readouterr().err


def test_a_run_reads_the_drops_that_it_pinned(spark: SparkSession, night: Night) -> None:
    """A night of another day takes a correction in while this one trains."""
    write_drop(night.data, "2024-03-10.csv", HEADER + "2024-03-10 08:00:00,ann,lamp,1,9\n")
    ingest(spark, replace(night, run_id="scheduled"))
    write_drop(night.data, "2024-03-10.csv", HEADER + "2024-03-10 08:00:00,robert,rug,1,50\n")
    ingest(spark, replace(night, run_id="another"))
    features = {}
    for run_id in ("scheduled", "another"):
        pin = read_pin(night.lake, run_id, night.ds)
        assert pin is not None
        run = replace(night, lake=replace(night.lake, run=pin.view))
        preprocess(spark, run, night.ds)
        features[run_id] = run
    values = {name: set(vocabulary(run, night.ds, "user_id")) for name, run in features.items()}
    assert values == {"scheduled": {"ann"}, "another": {"robert"}}
    drops = {
        name: run.lake.require(INTERACTIONS, night.ds).metadata["made_from"]["drops"] for name, run in features.items()
    }
    assert drops["scheduled"] != drops["another"]
