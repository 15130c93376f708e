"""The published tables in the readers that README shows, with the code that README shows."""

from __future__ import annotations

from datetime import datetime, timezone

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from expectations.program import Night
from expectations.tables import USER_RECOMMENDATIONS
from jobs.publish_tables import publish_tables
from tests.jobs.staged_night import stage_night

EXPECTED = [("2024-03-10", "user-2", 1, "item-2"), ("2024-03-10", "user-2", 2, "item-3")]


@pytest.fixture
def path(night: Night) -> str:
    publish_tables(stage_night(night, "item-9", ds="2024-03-09"))
    publish_tables(stage_night(night, "item-2", "item-3"))
    return night.lake.table_path(USER_RECOMMENDATIONS)


def test_duckdb_reads_one_user_of_one_night(path: str) -> None:
    recommendations = DeltaTable(path).to_pyarrow_dataset()
    rows = duckdb.execute(
        "select ds, user_id, rank, item_id from recommendations "
        "where ds = '2024-03-10' and user_id = 'user-2' order by rank"
    )
    assert recommendations.schema.names == list(USER_RECOMMENDATIONS.column_names)
    assert rows.fetchall() == EXPECTED


def test_polars_reads_one_night(path: str) -> None:
    night = pl.scan_delta(path).filter(pl.col("ds") == "2024-03-10").sort("user_id", "rank").collect()
    assert night.select("ds", "user_id", "rank", "item_id").rows() == EXPECTED
    assert night["expires_at"][0] == datetime(2024, 3, 11, tzinfo=timezone.utc)


def test_pandas_reads_one_night(path: str) -> None:
    night = DeltaTable(path).to_pandas(filters=[("ds", "=", "2024-03-10")]).sort_values(["user_id", "rank"])
    assert list(night[["ds", "user_id", "rank", "item_id"]].itertuples(index=False, name=None)) == EXPECTED
