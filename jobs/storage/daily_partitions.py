"""Writes many days of some tables, each in one pass: a first night of hundreds of drops is not hundreds of jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.lake import Lake
from expectations.tables import Table


@dataclass(frozen=True)
class WrittenDay:
    """The rows of a day as they lie on disk, current or not."""

    path: str
    rows: int


def write_days(
    spark: SparkSession, lake: Lake, tables: Mapping[Table, DataFrame], days: Sequence[str], batch: str
) -> dict[Table, dict[str, WrittenDay]]:
    """Writes rows of several days into one folder of each table, a subfolder a day. Readers see nothing of it yet.

    Args:
        tables: their rows have a column `ds`; the files keep it, as the contract wants.
        days: each gets a place of its own, also one without rows.
        batch: names the folders; new with every attempt.
    """
    roots = {table: f"{lake.table_path(table)}/batches/{batch}" for table in tables}
    written = []
    for table, rows in tables.items():
        columns = [F.col(c.name).cast(c.type).alias(c.name) for c in table.columns]
        sorted_rows = rows.select(F.col("ds").alias("day"), *columns).sortWithinPartitions("day", *_order(table))
        sorted_rows.write.partitionBy("day").parquet(f"{roots[table]}/days")
        on_disk = spark.read.schema(f"{table.ddl}, day string").parquet(f"{roots[table]}/days")
        written.append(on_disk.select(F.lit(table.name).alias("table"), "day"))
    counts: dict[str, dict[str, int]] = {table.name: {} for table in tables}
    for row in reduce(DataFrame.unionAll, written).groupBy("table", "day").count().collect():
        counts[row["table"]][row["day"]] = row["count"]
    for table, root in roots.items():
        if set(days) - set(counts[table.name]):
            spark.createDataFrame([], table.ddl).write.parquet(f"{root}/empty")
    return {
        table: {ds: _written_day(root, ds, counts[table.name].get(ds)) for ds in days} for table, root in roots.items()
    }


def _written_day(root: str, ds: str, num_rows: int | None) -> WrittenDay:
    return WrittenDay(f"{root}/empty", 0) if num_rows is None else WrittenDay(f"{root}/days/day={ds}", num_rows)


def _order(table: Table) -> list[str]:
    """Returns the columns that rows are sorted by, so that the same rows always lie in the same order."""
    return [column.name for column in table.columns if not column.type.startswith("array")]
