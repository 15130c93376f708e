"""The same program on a real Spark cluster, a master and two workers on loopback, by configuration alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest
from pyspark.sql import SparkSession

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.lake import Lake
from jobs.preprocess import preprocess
from tests.jobs.features.test_increments import BUILT, LAST, new_shop_night

SHOP = """\
name = "corner"
items_file = "full"
max_history = 7
min_value_count = 2
max_values = 6
[events]
path = "{data}/{ds}.csv"
columns = {event_time = "time", user_id = "user", item_id = "item"}
constants = {event_type = "purchase"}
[items]
path = "{data}/items-{ds}.csv"
columns = {item_id = "id"}
"""
COMPILES_LITTLE = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For a JVM that lives for a minute, compiling well takes longer than running."""
LOCAL = {
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYTHONPATH": str(REPOSITORY),
    "SPARK_DAEMON_JAVA_OPTS": COMPILES_LITTLE,
    "SPARK_SUBMIT_OPTS": f"{COMPILES_LITTLE} -Dspark.sql.codegen.wholeStage=false "
    "-Dspark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Starts a master and two workers of one core each. Yields the master's URL."""
    folder = tmp_path_factory.mktemp("cluster")
    processes = [_started(folder / "master.log", "master.Master", "--port", "0", "--webui-port", "0")]
    try:
        url = _found(folder / "master.log", r"Starting Spark master at (spark://127\.0\.0\.1:\d+)")
        for name in ("one", "two"):
            flags = ("--cores", "1", "--memory", "1g", "--webui-port", "0", "--work-dir", str(folder / name), url)
            processes.append(_started(folder / f"{name}.log", "worker.Worker", *flags))
            _found(folder / f"{name}.log", r"(Successfully registered)")
        yield url
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)


def _started(log: Path, program: str, *flags: str) -> subprocess.Popen[bytes]:
    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    command = [str(spark_class), f"org.apache.spark.deploy.{program}", "--host", "127.0.0.1", *flags]
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **LOCAL})


def _found(log: Path, pattern: str) -> str:
    """Waits until the log has the pattern."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        match = re.search(pattern, log.read_text("utf-8", "replace"))
        if match:
            return match[1]
        time.sleep(0.2)
    raise AssertionError(f"no {pattern!r} in:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def test_a_cluster_gives_the_rows_of_one_machine(spark: SparkSession, cluster: str, tmp_path: Path) -> None:
    shop = tmp_path / "corner.toml"
    shop.write_text(SHOP, "utf-8")
    night = new_shop_night(str(tmp_path / "local"))
    shutil.copytree(tmp_path / "local", tmp_path / "cluster")
    preprocess(spark, night, LAST)
    subprocess.run(
        [sys.executable, "-m", "jobs.preprocess", "--ds", LAST, "--shop", str(shop), "--root", "cluster"],
        check=True,
        cwd=tmp_path,
        env={**os.environ, **LOCAL, "SPARK_MASTER": cluster},
        timeout=300,
    )
    rows = {
        name: {table.name: sorted(map(str, lake.read(table, LAST).to_pylist())) for table in BUILT}
        for name, lake in (("local", night.lake), ("cluster", Lake(str(tmp_path / "cluster"))))
    }
    assert rows["local"]["histories"]
    assert rows["cluster"] == rows["local"]
