"""What a shop file says of raw rows that come from a table, or from a query, in place of files."""

from __future__ import annotations

import re
from dataclasses import dataclass

from expectations.shop.bounds import Bounded, NotNegativeInt

REQUIRED_KEYS = {
    "delta": ("day_column",),
    "iceberg": ("name", "day_column", "connection"),
    "postgres": ("query", "days_query", "connection"),
    "duckdb": ("query", "days_query"),
}
"""`format` of a source that is a table -> the keys that say where its rows are, beside `path`."""
TABLE_FORMATS = tuple(REQUIRED_KEYS)
_OPTIONAL_KEYS = {
    "delta": {"day_format", "connection"},
    "iceberg": {"day_format"},
    "postgres": {"recheck_days"},
    "duckdb": {"recheck_days"},
}
_WITH_PATH = ("delta", "duckdb")
_IN_WORDS = {"delta": "the folder of the Delta table", "duckdb": "the DuckDB file"}
_SECRETS = re.compile(
    r"://[^/\s@]*:[^/\s@]*@|\b(password|passwd|pwd|secret|access_key|secret_access_key)=\S|[?&](sig|token|key)=",
    re.IGNORECASE,
)
"""A password in a URL, in a connection string, or in the query of a link."""


@dataclass(frozen=True)
class TableSource(Bounded):
    """How the rows of a day are found in a table.

    Attributes:
        connection: the environment variable that says how the table is reached; no secret stands in this file. It holds
            a connection string of PostgreSQL; the URI of an Iceberg catalog, or its properties as a JSON object; or the
            options of the object store of a Delta table as a JSON object.
        name: of an Iceberg table in its catalog, such as `shop.events`.
        day_column: the column of a Delta or Iceberg table that tells the day of a row: a date, a time (whose day is
            that of UTC), or a text or whole number written as `day_format` says. Best one that the table is
            partitioned by.
        day_format: how days are written in `day_column`, where it holds texts or numbers.
        query: a SELECT for PostgreSQL or a DuckDB file that gives the rows of a day. `$1` stands for the day, a text
            such as 2026-03-06 that the driver binds.
        days_query: a SELECT whose first column gives the days that have rows; what its other columns say of a day,
            such as a count and the latest time of change, tells whether the day has changed since it was read.
        recheck_days: where `days_query` gives nothing but days, so many last days are read again every night, and
            compared; older ones count as they were read.
        order_by: columns of the table by which the rows of a day are put in order before all others: of two rows of an
            item the later one stands.
    """

    connection: str = ""
    name: str = ""
    day_column: str = ""
    day_format: str = "%Y-%m-%d"
    query: str = ""
    days_query: str = ""
    recheck_days: NotNegativeInt = 3
    order_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.connection and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.connection) is None:
            # What came is not repeated: it may well be what must not be in the file.
            raise ValueError(
                "`connection` must be the name of an environment variable, such as SHOP_DATABASE, that holds the "
                "connection string; a shop file holds no secrets"
            )
        for key in ("name", "day_column", "query", "days_query"):
            require_no_secret(key, getattr(self, key))
        if set(re.findall(r"%(.)", self.day_format)) != {"Y", "m", "d"}:
            raise ValueError(
                f"`day_format` writes a day with %Y, %m and %d, such as %Y%m%d. Received: {self.day_format!r}"
            )


def require_no_secret(key: str, text: str) -> None:
    """Refuses what looks like a password in a shop file, which logs, MLflow and `quarantine` repeat.

    Raises:
        ValueError: it does; names the key, and not what came.
    """
    if _SECRETS.search(text):
        raise ValueError(
            f"`{key}` seems to hold a password or a token, and a shop file holds no secrets: let `connection` under "
            f"[….table] name an environment variable that holds it"
        )


def require_table_source(format: str, path: str, table: TableSource | None) -> None:
    """Checks that a source says where its rows are, in the keys of its format and in no others.

    Raises:
        ValueError: a key is missing, or one means nothing here.
    """
    if format not in TABLE_FORMATS:
        if table is not None:
            raise ValueError(
                f"`table` is for format {', '.join(TABLE_FORMATS)}; take it out, or say `format`. Received: {format!r}"
            )
        return
    given = table or TableSource()
    missing = [f"`table.{key}`" for key in REQUIRED_KEYS[format] if not getattr(given, key)]
    if format in _WITH_PATH and not path:
        missing.insert(0, f"`path`, {_IN_WORDS[format]}")
    if missing:
        raise ValueError(f"format = {format!r} needs {', '.join(missing)}")
    if path and format not in _WITH_PATH:
        raise ValueError(f"`path` means nothing with format = {format!r}; `table.connection` says where. Take it out")
    if "{ds}" in path or "{ds:" in path or "*" in path:
        raise ValueError(f"`path` of format {format!r} is of all days, without {{ds}} and *. Received: {path!r}")
    known = {*REQUIRED_KEYS[format], *_OPTIONAL_KEYS[format], "order_by"}
    defaults = TableSource()
    foreign = sorted(key for key in vars(given) if key not in known and getattr(given, key) != getattr(defaults, key))
    if foreign:
        raise ValueError(f"`table` of format {format!r} knows {', '.join(sorted(known))}. Received: {foreign}")
