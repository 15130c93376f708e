"""Reads and builds partitions of the lake with Spark."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.lake import Lake, Version, fingerprint_of, require_columns
from expectations.tables import Table

logger = logging.getLogger(__name__)


def read_partition(spark: SparkSession, lake: Lake, table: Table, ds: str, model: str | None = None) -> DataFrame:
    """Returns the current version of one partition; raises TableContractError when there is none."""
    return spark.read.schema(table.ddl).parquet(lake.require(table, ds, model).path)


def read_versions(spark: SparkSession, table: Table, versions: Collection[Version]) -> DataFrame:
    """Returns the rows of several partitions together; none of none."""
    if not versions:
        return spark.createDataFrame([], table.ddl)
    return spark.read.schema(table.ddl).parquet(*(version.path for version in versions))


def build_partition(
    lake: Lake,
    table: Table,
    ds: str,
    inputs: Sequence[Version],
    settings: Sequence[Any],
    rows: Callable[[], DataFrame],
    code: str,
    model: str | None = None,
    **metadata: Any,
) -> Version:
    """Builds partition `ds` of a lake table, unless the lake already holds what would come out.

    Args:
        inputs: every version that `rows` reads.
        settings: every setting of the shop that `rows` depends on.
        rows: computes the partition; called only when it has to be built.
        code: the version of the code that does so.
        model: whose partition, for tables that hold one per model in each `ds`.
        metadata: noted with the version.
    """
    fingerprint = fingerprint_of(table.name, ds, model, code, [v.fingerprint for v in inputs], list(settings))
    return put_partition(lake, table, ds, fingerprint, rows, model, **metadata)


def put_partition(
    lake: Lake,
    table: Table,
    ds: str,
    fingerprint: str,
    rows: Callable[[], DataFrame],
    model: str | None = None,
    **metadata: Any,
) -> Version:
    """Like `build_partition`, for a caller that knows the fingerprint of all that `rows` depends on."""
    of_model = f" model={model}" if model else ""
    built = lake.reuse(table, ds, fingerprint, model, **metadata)
    if built is not None:
        logger.info("already built: table=%s ds=%s%s rows=%d", table.name, ds, of_model, built.rows)
        return built
    started = time.monotonic()
    path = lake.new_version_path(table, ds, fingerprint, model)
    # In Spark's UI and event log, every job says which table it is for.
    SparkSession.active().sparkContext.setJobDescription(table.name)
    num_rows = write_parquet(contract_columns(rows(), table, ds), path)
    version = lake.commit(table, ds, path, fingerprint, num_rows, model, **metadata)
    seconds = time.monotonic() - started
    logger.info("built: table=%s ds=%s%s rows=%d seconds=%.1f", table.name, ds, of_model, num_rows, seconds)
    return version


def contract_columns(rows: DataFrame, table: Table, ds: str) -> DataFrame:
    """Returns `rows` with the contract's columns in its order and types; `ds` is added."""
    rows = rows.withColumn("ds", F.lit(ds))
    require_columns(table, ds, rows.columns)
    return rows.select(*(F.col(column.name).cast(column.type).alias(column.name) for column in table.columns))


def write_parquet(rows: DataFrame, path: str) -> int:
    """Writes a new folder of Parquet files. Returns the number of rows."""
    count = Observation()
    rows.observe(count, F.count(F.lit(1)).alias("rows")).write.mode("error").parquet(path)
    return int(count.get["rows"])
