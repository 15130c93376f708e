"""Writes many days of one table in one pass, so that a first night of hundreds of drops is one job, not hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    spark: SparkSession, lake: Lake, table: Table, rows: DataFrame, days: Sequence[str], batch: str
) -> dict[str, WrittenDay]:
    """Writes rows of several days into one folder of the table, a subfolder a day. Readers see nothing of it yet.

    Args:
        rows: has a column `ds`; the files keep it, as the contract wants.
        days: each gets a place of its own, also one without rows.
        batch: names the folder; new with every attempt.
    """
    root = f"{lake.table_path(table)}/batches/{batch}"
    columns = [F.col(c.name).cast(c.type).alias(c.name) for c in table.columns]
    sorted_rows = rows.select(F.col("ds").alias("day"), *columns).sortWithinPartitions("day", *_order(table))
    sorted_rows.write.partitionBy("day").parquet(f"{root}/days")
    written = spark.read.schema(f"{table.ddl}, day string").parquet(f"{root}/days")
    counts = {row["day"]: row["count"] for row in written.groupBy("day").count().collect()}
    if set(days) - set(counts):
        spark.createDataFrame([], table.ddl).write.parquet(f"{root}/empty")
    return {
        ds: WrittenDay(f"{root}/days/day={ds}" if ds in counts else f"{root}/empty", counts.get(ds, 0)) for ds in days
    }


def _order(table: Table) -> list[str]:
    """Returns the columns that rows are sorted by, so that the same rows always lie in the same order."""
    return [column.name for column in table.columns if not column.type.startswith("array")]
