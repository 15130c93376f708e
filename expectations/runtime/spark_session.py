"""One Spark session, the same everywhere: UTC, exact partition values, nothing that listens beyond loopback."""

from __future__ import annotations

import os
import sys

from pyspark import SparkContext
from pyspark.sql import SparkSession

from expectations.runtime.borrowed_jvm import borrow


def spark_session(program: str, master: str, driver_memory: str) -> SparkSession:
    """Starts Spark, or returns the session that runs.

    Args:
        master: `local[*]`, or the URL of a cluster.
    """
    # Python workers take `python3` from PATH unless they are told which interpreter has our packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = (
        SparkSession.builder.appName(f"nightjar {program}")
        .master(master)
        .config("spark.driver.memory", driver_memory)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
        # The default, INT96, has no zone and is nobody's timestamp but Spark's.
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        # A shortened trace of a Python worker leaves out what the exception was raised from.
        .config("spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled", "false")
        .config("spark.sql.shuffle.partitions", "16")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
    )
    if master.startswith("local"):
        builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    return builder.getOrCreate()


def session_from_environment(program: str) -> SparkSession:
    """The session that `SPARK_MASTER` and `SPARK_DRIVER_MEMORY` ask for. Only `main()` calls this.

    It runs in the JVM that `NIGHTJAR_JVM` lends, where there is one to lend.
    """
    lent = borrow(os.environ.get("NIGHTJAR_JVM"))
    if lent:
        os.environ.update(lent)
        _end_session_before()
    return spark_session(program, os.environ.get("SPARK_MASTER", "local[*]"), driver_memory_from_environment())


def driver_memory_from_environment() -> str:
    """What `SPARK_DRIVER_MEMORY` says, or enough for a small shop."""
    return os.environ.get("SPARK_DRIVER_MEMORY", "3g")


def _end_session_before() -> None:
    """In a JVM that programs share one after another, ends what the one before left: it may have been killed."""
    SparkContext._ensure_initialized()
    jvm = SparkContext._jvm
    assert jvm is not None, "it has just been initialized"
    left = jvm.org.apache.spark.sql.classic.SparkSession.getDefaultSession()
    if left.isDefined():
        left.get().stop()
