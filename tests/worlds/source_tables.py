"""One small shop's purchases in a real table of each kind that raw rows may come from."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import psycopg
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from psycopg.conninfo import conninfo_to_dict
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.transforms import IdentityTransform

from expectations.shop.raw_files import RawFile
from expectations.shop.table_source import TableSource
from tests.worlds.postgres_server import PASSWORD

COLUMNS = {"event_time": "sold_at", "user_id": "customer", "item_id": "article", "quantity": "units", "price": "price"}
CONSTANTS = {"event_type": "purchase", "domain": "things"}
SCHEMA = pa.schema(
    [
        ("day", pa.date32()),
        ("sold_at", pa.timestamp("us", "UTC")),
        ("customer", pa.string()),
        ("article", pa.int64()),
        ("units", pa.int32()),
        ("price", pa.decimal128(10, 2)),
        # Nobody maps it.
        ("note", pa.string()),
    ]
)
Row = tuple[str, str | None, int, int, str]
"""Time of the day, customer, article, units, price."""


def purchases(ds: str, rows: Sequence[Row]) -> pa.Table:
    """The rows of a day as Arrow has them."""
    day = date.fromisoformat(ds)
    dicts = [
        {
            "day": day,
            "sold_at": datetime.fromisoformat(f"{ds}T{at}").replace(tzinfo=timezone.utc),
            "customer": customer,
            "article": article,
            "units": units,
            "price": price,
            "note": "gift",
        }
        for at, customer, article, units, price in rows
    ]
    texts = pa.schema([field if field.name != "price" else pa.field("price", pa.string()) for field in SCHEMA])
    return pa.Table.from_pylist(dicts, texts).cast(SCHEMA)


class SourceWorld(ABC):
    """A table that a test fills.

    Attributes:
        connections: what the environment holds.
    """

    connections: Mapping[str, str] = {}

    @abstractmethod
    def source(self) -> RawFile:
        """What the shop file says."""

    @abstractmethod
    def set_day(self, ds: str, rows: Sequence[Row]) -> None:
        """Puts rows in the place of all rows of a day."""


class DeltaWorld(SourceWorld):
    """A Delta table that is partitioned by the day."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "delta")

    def source(self) -> RawFile:
        return RawFile(self.path, "delta", COLUMNS, CONSTANTS, table=TableSource(day_column="day"))

    def set_day(self, ds: str, rows: Sequence[Row]) -> None:
        if not DeltaTable.is_deltatable(self.path):
            DeltaTable.create(self.path, SCHEMA, partition_by=["day"])
        write_deltalake(self.path, purchases(ds, rows), mode="overwrite", predicate=f"day = '{ds}'")


class IcebergWorld(SourceWorld):
    """An Iceberg table that is partitioned by the day, in a catalog that is an SQLite file."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder}/catalog.db"
        self.connections = {"SHOP_CATALOG": json.dumps({"name": "shop", "uri": self.uri})}
        self.warehouse = f"file://{folder}/warehouse"

    def source(self) -> RawFile:
        table = TableSource(connection="SHOP_CATALOG", name="shop.purchases", day_column="day")
        return RawFile("", "iceberg", COLUMNS, CONSTANTS, table=table)

    @property
    def catalog(self) -> Catalog:
        return load_catalog("shop", type="sql", uri=self.uri, warehouse=self.warehouse)

    def set_day(self, ds: str, rows: Sequence[Row]) -> None:
        catalog = self.catalog
        catalog.create_namespace_if_not_exists("shop")
        if not catalog.table_exists("shop.purchases"):
            created = catalog.create_table("shop.purchases", schema=SCHEMA)
            with created.update_spec() as spec:
                spec.add_field("day", IdentityTransform())
        catalog.load_table("shop.purchases").overwrite(purchases(ds, rows), f"day = '{ds}'")


class DuckDbWorld(SourceWorld):
    """A DuckDB file, whose second query counts and gives the time of the latest change."""

    days_query = "SELECT day, count(*), max(changed) FROM purchases GROUP BY day"

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "shop.duckdb")

    def source(self) -> RawFile:
        queries = TableSource(query="SELECT * FROM purchases WHERE day = $1;", days_query=self.days_query)
        return RawFile(self.path, "duckdb", COLUMNS, CONSTANTS, table=queries)

    def set_day(self, ds: str, rows: Sequence[Row]) -> None:
        with duckdb.connect(self.path) as database:
            database.register("rows", purchases(ds, rows))
            database.execute("CREATE SEQUENCE IF NOT EXISTS changes")
            database.execute("CREATE TABLE IF NOT EXISTS purchases AS SELECT *, 0::bigint changed FROM rows LIMIT 0")
            database.execute("DELETE FROM purchases WHERE day = $1", [ds])
            database.execute("INSERT INTO purchases SELECT *, nextval('changes') FROM rows")


class PostgresWorld(SourceWorld):
    """A table of a PostgreSQL server, whose second query counts and gives the time of the latest change.

    Args:
        address: of the server, without the password.
    """

    days_query = "SELECT day, count(*), max(changed) FROM purchases GROUP BY day"

    def __init__(self, address: str) -> None:
        parts = conninfo_to_dict(address)
        place = f"{parts['host']}:{parts['port']}/{parts['dbname']}"
        self.connections = {"SHOP_DATABASE": f"postgresql://shop:{quote(PASSWORD, safe='')}@{place}"}
        self.run("DROP TABLE IF EXISTS purchases")
        self.run(
            "CREATE TABLE purchases (day date, sold_at timestamptz, customer text, article bigint, units int, "
            "price numeric(10, 2), note text, changed bigserial)"
        )

    def source(self) -> RawFile:
        queries = TableSource("SHOP_DATABASE", query=self.query, days_query=self.days_query)
        return RawFile("", "postgres", COLUMNS, CONSTANTS, table=queries)

    query = "SELECT * FROM purchases WHERE sold_at >= $1::date AND sold_at < $1::date + 1"

    def run(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Runs a statement, for each row of parameters where there are any."""
        with psycopg.connect(self.connections["SHOP_DATABASE"]) as database, database.cursor() as cursor:
            cursor.executemany(statement, rows) if rows else cursor.execute(statement)

    def set_day(self, ds: str, rows: Sequence[Row]) -> None:
        self.run("DELETE FROM purchases WHERE day = %s", [(ds,)])
        self.run(
            "INSERT INTO purchases VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [tuple(row.values()) for row in purchases(ds, rows).to_pylist()],
        )
