"""The published tables in the readers that the documents show, with the queries that they show."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.program import Night
from expectations.semantics.published_tables import output_tables
from expectations.tables import RUN_MANIFEST, TABLES, USER_RECOMMENDATIONS
from jobs.publish_tables import publish_tables
from jobs.publishing.delta_commit import commit_partitions, files_of
from tests.worlds.staged_night import audience, newcomers, similar, stage_marked, stage_night, stage_rows

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


@pytest.fixture
def version(night: Night, path: str) -> int:
    """What the manifest names; a publish that was killed after its first table has committed a later one."""
    rows = DeltaTable(night.lake.table_path(RUN_MANIFEST)).to_pyarrow_table(filters=[("ds", "=", night.ds)]).to_pylist()
    (named,) = [row["table_version"] for row in rows if row["table_name"] == USER_RECOMMENDATIONS.name]
    killed = files_of(night.lake, USER_RECOMMENDATIONS, stage_marked(night, "killed")[USER_RECOMMENDATIONS])
    assert commit_partitions(night.lake, USER_RECOMMENDATIONS, {night.ds: killed}, {}) == named + 1
    return int(named)


def test_each_reader_reads_the_version_that_the_manifest_names(path: str, version: int) -> None:
    recommendations = DeltaTable(path, version=version).to_pyarrow_dataset()
    asked = "select distinct model_version from recommendations where ds = '2024-03-10'"
    through_duckdb = duckdb.execute(asked).fetchall()
    through_polars = pl.scan_delta(path, version=version).filter(pl.col("ds") == "2024-03-10").collect()
    through_pandas = DeltaTable(path, version=version).to_pandas(filters=[("ds", "=", "2024-03-10")])
    assert recommendations.schema.names == list(USER_RECOMMENDATIONS.column_names)
    assert through_duckdb == [("m-1",)]
    assert set(through_polars["model_version"]) == set(through_pandas["model_version"]) == {"m-1"}
    assert set(pl.read_delta(path).filter(pl.col("ds") == "2024-03-10")["model_version"]) == {"killed"}


def test_duckdbs_own_reader_is_asked_for_that_version_by_the_query_that_is_shown(path: str, version: int) -> None:
    """The extension `delta` is a download: a macro that takes the same arguments stands for its function."""
    connection = duckdb.connect()
    for name, at in ((RUN_MANIFEST.name, None), (USER_RECOMMENDATIONS.name, version)):
        table = DeltaTable(path.replace(USER_RECOMMENDATIONS.name, name), version=at)
        connection.register(f"{name}@{at}", table.to_pyarrow_dataset())
    connection.execute(
        "CREATE MACRO delta_scan(path, version := 'None') AS TABLE "
        "FROM query_table(split_part(path, '/', -1) || '@' || version)"
    )
    shown = shown_sql("reading_tables.md", "DuckDB's own reader").replace("2025-05-31", "2024-03-10")
    found = connection.execute(shown.replace("C000001", "user-2")).fetchall()
    assert found == [("item-2", "Picked for you"), ("item-3", "Picked for you")]


def shown_sql(page: str, name: str) -> str:
    """Returns the queries that a page of docs/ shows together with that of a name."""
    shown = re.findall(r"```sql\n(.*?)```", (REPOSITORY / "docs" / page).read_text("utf-8"), re.DOTALL)
    (found,) = [queries for queries in shown if f"-- {name}:" in queries]
    return str(found)


@pytest.fixture
def queries(night: Night) -> dict[str, list[tuple[object, ...]]]:
    """Place of the shop's page -> what the query that docs/reading_tables.md shows for it finds."""
    stage_night(night, "item-2", "item-3")
    similar_rows = [similar("item-2", 1, "item-3"), similar("item-2", 2, "item-4"), similar("item-3", 1, "item-4")]
    stage_rows(night, TABLES["similar_items"], [similar_rows[0] | {"reason_code": "alike"}, *similar_rows[1:]])
    segments = ("all", "country=Germany", "country=Germany&age_bucket=25-34")
    lists = [newcomers(segment, 1, f"item-{place}") for place, segment in enumerate(segments[:2], start=2)]
    stage_rows(night, TABLES["new_user_recommendations"], lists)
    stage_rows(night, TABLES["new_item_audiences"], [audience("item-4", 1, "user-2"), audience("item-5", 1, "user-3")])
    publish_tables(night)
    shown = shown_sql("reading_tables.md", "Home")
    values = {
        "ds": night.ds,
        "user_id": "user-2",
        "item_id": "item-2",
        "basket": ["item-2", "item-3"],
        "segments": [*reversed(segments)],
    }
    connection = duckdb.connect()
    for table in output_tables(night.lake, night.ds):
        connection.register(table.name, DeltaTable(night.lake.table_path(table)).to_pyarrow_dataset())
    found = {}
    for query in shown.strip().split(";\n\n"):
        asked = {name: value for name, value in values.items() if f"${name}" in query}
        found[query.removeprefix("-- ").partition(":")[0]] = connection.execute(query, asked).fetchall()
    return found


def test_the_queries_of_a_shops_page_find_what_they_say(queries: dict[str, list[tuple[object, ...]]]) -> None:
    reason = "Often bought with item-2"
    assert queries == {
        "Home": [("item-2", "Picked for you"), ("item-3", "Picked for you")],
        "Product page": [("bought_together", "item-4", reason), ("alike", "item-3", reason)],
        "Basket": [("item-4",)],
        "Mail": [("item-4", "Because you bought MUG")],
        # Nobody of Germany's young people has a list of their own: the country's serves them.
        "New visitor": [("item-3", "Popular right now")],
    }


def test_the_query_for_what_was_shown_finds_what_came_of_it(path: str) -> None:
    connection = duckdb.connect()
    connection.register("user_recommendations", DeltaTable(path).to_pyarrow_dataset())
    connection.execute("CREATE TABLE events (ds TEXT, user_id TEXT, item_id TEXT)")
    connection.execute(
        "INSERT INTO events VALUES ('2024-03-11', 'user-2', 'item-3'), ('2024-03-11', 'user-2', 'item-3'), "
        "('2024-03-10', 'user-3', 'item-9'), ('2024-03-12', 'user-2', 'item-2')"
    )
    # Nobody of the list of the day before came on the day that it stood.
    assert connection.execute(shown_sql("policies.md", "Shown")).fetchall() == [
        ("2024-03-10", "user-2", 1, "item-2", 1.0, 0),
        ("2024-03-10", "user-2", 2, "item-3", 1.0, 2),
    ]
