"""What cannot be read of a table is told in one line, with what to do and without a password."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from expectations.runtime.table_sources.opened_table import opened_table
from expectations.runtime.table_sources.source_table import SourceTable
from expectations.shop.raw_files import RawFile
from expectations.shop.table_source import TableSource
from expectations.tables import NightError
from tests.worlds.postgres_server import PASSWORD, postgres_server
from tests.worlds.source_tables import DeltaWorld, DuckDbWorld, IcebergWorld, PostgresWorld, SourceWorld

DS = "2024-03-08"
ROWS = [("09:00:00", "ann", 11, 1, "9.00")]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresWorld]:
    with postgres_server() as address:
        world = PostgresWorld(address)
        world.set_day(DS, ROWS)
        yield world


def opened(world: SourceWorld, connections: Mapping[str, str] | None = None, **changes: Any) -> SourceTable:
    """The table of a world, as a shop file with other keys under `table` would name it."""
    raw = world.source()
    assert raw.table
    path = changes.pop("path", raw.path)
    changed = replace(raw, path=path, table=replace(raw.table, **changes))
    return opened_table(changed, path, world.connections if connections is None else connections)


def refusal(table: SourceTable, ds: str = DS) -> str:
    """What is said where the days or the rows of a table are asked for."""
    with pytest.raises(NightError) as error:
        table.days()
        with table.rows_of(ds) as reader:
            reader.read_all()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_table_that_is_not_there_is_told_by_its_name(tmp_path: Path, postgres: PostgresWorld) -> None:
    iceberg = IcebergWorld(tmp_path)
    iceberg.set_day(DS, ROWS)
    assert f"{tmp_path}/delta is not there. Set `path`" in refusal(opened(DeltaWorld(tmp_path)))
    assert "shop.returns (catalog SHOP_CATALOG) is not there" in refusal(opened(iceberg, name="shop.returns"))
    assert f"{tmp_path}/shop.duckdb is not there. Set `path`" in refusal(opened(DuckDbWorld(tmp_path)))
    missing = refusal(opened(postgres, query="SELECT * FROM returns WHERE day = $1"))
    assert 'the PostgreSQL database of SHOP_DATABASE cannot be read: UndefinedTable: relation "returns"' in missing


@pytest.mark.parametrize("make", [DeltaWorld, IcebergWorld])
def test_a_day_column_that_is_not_there_is_told_with_those_that_are(
    make: Callable[[Path], SourceWorld], tmp_path: Path
) -> None:
    world = make(tmp_path)
    world.set_day(DS, ROWS)
    said = refusal(opened(world, day_column="dag"))
    assert "has no column 'dag', the `day_column`. Found: day, sold_at, customer" in said
    assert "'price', which is decimal" in refusal(opened(world, day_column="price"))
    assert "`day_format` = '%Y%m%d' says. Received: 11" in refusal(
        opened(world, day_column="article", day_format="%Y%m%d")
    )


def test_a_query_that_fails_is_told_with_the_databases_own_words(tmp_path: Path, postgres: PostgresWorld) -> None:
    duckdb = DuckDbWorld(tmp_path)
    duckdb.set_day(DS, ROWS)
    for world in (duckdb, postgres):
        assert "custommer" in refusal(opened(world, query="SELECT custommer FROM purchases WHERE day = $1"))
        said = refusal(opened(world, days_query="SELECT customer FROM purchases"))
        assert "the first column of `days_query` must give days" in said and "'ann'" in said


def test_queries_only_read(tmp_path: Path, postgres: PostgresWorld) -> None:
    duckdb = DuckDbWorld(tmp_path)
    duckdb.set_day(DS, ROWS)
    for world in (duckdb, postgres):
        for query in ("DELETE FROM purchases", "SELECT 1; DELETE FROM purchases", "DROP TABLE purchases"):
            refusal(opened(world, query=query))
        assert list(opened(world).days()) == [DS]
    assert "disabled" in refusal(opened(duckdb, query="SELECT * FROM read_text('/etc/hostname') WHERE $1 <> ''"))
    writes = "SELECT nextval('purchases_changed_seq') FROM purchases WHERE day = $1"
    assert "read-only" in refusal(opened(postgres, query=writes))


def test_a_variable_that_is_not_set_is_named(tmp_path: Path, postgres: PostgresWorld) -> None:
    for world, name in ((postgres, "SHOP_DATABASE"), (IcebergWorld(tmp_path), "SHOP_CATALOG")):
        assert f"the environment variable {name}, which is not set" in refusal(opened(world, {}))


WRONG = "n0t th/e one"


@pytest.mark.parametrize(
    "connection",
    [
        f"postgresql://shop:{quote(WRONG, safe='')}@{{host}}/postgres",
        f"host=127.0.0.1 port={{port}} user=shop dbname=postgres password='{WRONG}'",
        f"postgresql://shop:{quote(WRONG, safe='')}@127.0.0.1:1/postgres",
        f"postgresql://shop:{quote(WRONG, safe='')}@127.0.0.1:1/postgres?nonsense=1",
        f"shop password={WRONG}",
    ],
)
def test_a_password_is_in_no_message(
    postgres: PostgresWorld, connection: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    host = postgres.connections["SHOP_DATABASE"].rpartition("@")[2].partition("/")[0]
    text = connection.format(host=host, port=host.partition(":")[2])
    table = opened(postgres, {"SHOP_DATABASE": text})
    said = refusal(table) + repr(table.place) + caplog.text
    for word in (WRONG, quote(WRONG, safe=""), "th/e"):
        assert word not in said


def test_a_password_of_a_catalogue_is_in_no_message(tmp_path: Path) -> None:
    iceberg = IcebergWorld(tmp_path)
    uri = f"postgresql+psycopg://shop:{quote(PASSWORD, safe='')}@127.0.0.1:1/catalog"
    for text in (
        uri,
        json.dumps({"uri": uri}),
        json.dumps({"uri": "sqlite:////nowhere/x.db", "s3.secret-access-key": PASSWORD}),
        f'{{"token": "{PASSWORD}"',
    ):
        said = refusal(opened(iceberg, {"SHOP_CATALOG": text}))
        assert PASSWORD not in said and quote(PASSWORD, safe="") not in said


def test_a_shop_file_of_a_table_holds_no_secret() -> None:
    refused: list[dict[str, Any]] = [
        {"connection": "postgresql://shop:hunter2@db/shop"},
        {"connection": "SHOP", "query": "SELECT * FROM dblink('password=hunter2') WHERE day = $1"},
        {"connection": "SHOP", "days_query": "ATTACH 'postgres://shop:hunter2@db/shop'"},
    ]
    for changes in refused:
        with pytest.raises(ValueError, match="no secrets") as error:
            TableSource(**changes)
        assert "hunter2" not in str(error.value)
    for path in ("s3://key:hunter2@bucket/{ds}.csv", "https://shop/{ds}.csv?sig=hunter2"):
        with pytest.raises(ValueError, match="no secrets") as error:
            RawFile(path)
        assert "hunter2" not in str(error.value)


QUERIES: dict[str, Any] = {"query": "SELECT 1 WHERE $1 <> ''", "days_query": "SELECT 1"}


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"format": "delta", "path": "t"}, "needs `table.day_column`"),
        ({"format": "delta", "table": TableSource(day_column="day")}, "needs `path`, the folder"),
        ({"format": "duckdb", "table": TableSource(**QUERIES)}, "needs `path`, the DuckDB file"),
        ({"format": "delta", "path": "t/{ds}", "table": TableSource(day_column="day")}, "of all days, without {ds}"),
        ({"format": "iceberg"}, "needs `table.name`, `table.day_column`, `table.connection`"),
        ({"format": "postgres", "table": TableSource(**QUERIES)}, "needs `table.connection`"),
        ({"format": "postgres", "path": "x", "table": TableSource("A", **QUERIES)}, "`path` means nothing"),
        ({"format": "duckdb", "path": "x", "table": TableSource("A", **QUERIES)}, "Received: ['connection']"),
        ({"path": "{ds}.csv", "table": TableSource(day_column="day")}, "`table` is for format delta"),
    ],
)
def test_a_source_says_where_its_rows_are_and_nothing_that_means_nothing(values: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError) as error:
        RawFile(**values)
    assert rule in str(error.value)


@pytest.mark.parametrize("day_format", ["%Y-%m", "yyyyMMdd", "%d"])
def test_a_day_format_writes_whole_days(day_format: str) -> None:
    with pytest.raises(ValueError, match="`day_format` writes a day with %Y, %m and %d"):
        TableSource(day_column="day", day_format=day_format)
