"""Completes the rows of raw files by files that are joined to them, such as orders to the lines of orders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.shop.raw_files import JoinedFile, RawFile
from expectations.tables import NightError
from jobs.raw.dropped_files import DroppedFile
from jobs.raw.ingest_plan import joined_kind
from jobs.raw.raw_rows import read_raw_rows
from jobs.raw.reading.cells import text_column
from jobs.raw.reject_rules import raw_text


def read_completed_rows(
    spark: SparkSession,
    kind: str,
    raw: RawFile,
    files: Sequence[DroppedFile],
    columns: Sequence[str],
    pictures: str | None = None,
    *,
    keeps_raw: bool = False,
) -> DataFrame:
    """Returns the rows of all files of a kind, as `read_raw_rows` does, with the columns of the files joined to them.

    A row whose key no row of a joined file has is a fault, `no_partner_in_<name>`; one without a key stays as it is.

    Args:
        files: those of the kind, and those joined to it.
        columns: raw columns of both; those of a join begin with its name and a dot.
        pictures, keeps_raw: as those of `read_raw_rows`; `raw` holds nothing of joined files.

    Raises:
        NightError: a joined file has a key twice.
    """
    inside = {name: _inside(name, raw, columns) for name in raw.join}
    own = [column for column in columns if not raw.is_joined(column)]
    rows = read_raw_rows(spark, raw, [file for file in files if file.kind == kind], own, pictures, keeps_raw=keeps_raw)
    for name, joined in raw.join.items():
        of_join = [file for file in files if file.kind == joined_kind(kind, name)]
        rows = _joined(rows, name, joined, _partners(spark, name, raw, of_join, inside[name]))
    return rows


def _inside(name: str, raw: RawFile, columns: Sequence[str]) -> list[str]:
    """Returns the columns of a joined file that are wanted, its key among them."""
    wanted = {column.removeprefix(f"{name}.") for column in columns if column.startswith(f"{name}.")}
    return sorted({*wanted, raw.join[name].key})


def _partners(
    spark: SparkSession, name: str, raw: RawFile, files: Sequence[DroppedFile], columns: Sequence[str]
) -> DataFrame:
    """Returns the rows of a joined file, the texts of its columns under their names in the shop file."""
    joined = raw.join[name]
    # Where the time of an event stands in it, it is read as that of any file of events is.
    time = {of: column.removeprefix(f"{name}.") for of, column in raw.columns.items() if of == "event_time"}
    is_time = raw.columns.get("event_time", "").startswith(f"{name}.")
    as_raw = RawFile(
        *(joined.path, joined.format, time if is_time else {}),
        encoding=joined.encoding,
        csv=joined.csv,
        null_words=joined.null_words,
        timezone=raw.timezone,
    )
    if joined.is_standing:
        # One file of all days is read once, however many days read it.
        files = list({file.path: file for file in files}.values())
    ids = frozenset(column for column in columns if f"{name}.{column}" in raw.id_columns)
    rows = read_raw_rows(spark, as_raw, files, columns, ids=ids)
    texts = [raw_text(column).alias(text_column(f"{name}.{column}")) for column in columns]
    moment = F.col("moment") if is_time else F.lit(None).cast("timestamp")
    return rows.select("ds", "file", "line", "place", "fault", "raw", moment.alias("moment_of_join"), *texts)


def _joined(rows: DataFrame, name: str, joined: JoinedFile, partners: DataFrame) -> DataFrame:
    key, source = text_column(f"{name}.{joined.key}"), text_column(joined.source)
    faults = partners.where(F.isnotnull("fault")).select("ds", "file", "line", "place", "fault", "raw")
    found = partners.where(F.isnull("fault") & F.isnotnull(key)).drop("fault", "raw")
    by = [key] if joined.is_standing else ["ds", key]
    _require_one_a_key(found, by, name, joined)
    found = found.drop("file", "line", "place", *(("ds",) if joined.is_standing else ()))
    found = found.withColumnsRenamed({"ds": "ds_of_join"}).withColumn("is_partner", F.lit(True))
    is_same = F.col(source) == F.col(key)
    if not joined.is_standing:
        is_same &= F.col("ds") == F.col("ds_of_join")
    both = rows.join(found, on=is_same, how="left")
    is_alone = F.isnull("fault") & F.isnotnull(source) & F.isnull("is_partner")
    completed = both.withColumns(
        {
            "fault": F.when(is_alone, F.lit(f"no_partner_in_{name}")).otherwise(F.col("fault")),
            "moment": F.coalesce("moment", "moment_of_join"),
        }
    ).drop("moment_of_join", "is_partner", "ds_of_join")
    # What cannot be taken apart is told of with the rows that it should have completed.
    return completed.unionByName(faults, allowMissingColumns=True)


def _require_one_a_key(found: DataFrame, by: Sequence[str], name: str, joined: JoinedFile) -> None:
    texts = [column for column in found.columns if column.startswith("text_")]
    kinds = F.count_distinct(reduce(lambda text, other: F.concat_ws("\x1f", text, other), map(F.col, texts)))
    lines = F.slice(F.array_sort(F.collect_list("line")), 1, 3).alias("lines")
    several = found.groupBy(*by).agg(kinds.alias("kinds"), lines, F.min("file").alias("file")).where("kinds > 1")
    first = several.orderBy(by[-1]).first()
    if first is not None:
        raise NightError(
            f"{first['file']}: {joined.key} {first[by[-1]]!r} stands in lines {', '.join(map(str, first['lines']))} "
            f"with different values. A file joined as {name!r} has each key once; correct it, or join by another key."
        )
