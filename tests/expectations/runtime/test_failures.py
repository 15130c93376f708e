"""What the last line of a failed program says: each failure is a real one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.failures import root_cause
from expectations.tables import NightError


def failure_of(act: Callable[[], object]) -> Exception:
    """What it raises."""
    try:
        act()
    except Exception as err:
        return err
    raise AssertionError("it should have failed")


def chained(how: str) -> Exception:
    """A loss of data that Python calls by another name."""

    def act() -> None:
        try:
            dict[str, float]()["price"]
        except KeyError as err:
            if how == "from":
                raise NightError("no column") from err
            if how == "none":
                raise ValueError("no column") from None
            raise ValueError("no column")  # noqa: B904

    return failure_of(act)


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("from", "KeyError: 'price'"),
        ("none", "ValueError: no column"),
        ("handling", "ValueError: no column (while handling KeyError: 'price')"),
    ],
)
def test_the_root_is_what_the_error_was_raised_from(how: str, line: str) -> None:
    assert root_cause(chained(how)) == line


def test_a_python_workers_own_exception_is_the_root(spark: SparkSession) -> None:
    def fail(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            try:
                int("12,50")
            except ValueError as err:
                raise RuntimeError(f"batch of {batch.num_rows} rows") from err
            yield batch

    rows = spark.range(3, numPartitions=1).mapInArrow(fail, "id bigint")
    for act in (rows.toArrow, rows.collect, rows.count):
        assert root_cause(failure_of(act)) == "ValueError: invalid literal for int() with base 10: '12,50'"


def test_the_deepest_cause_of_java_is_the_root(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more than that PAR0")
    line = root_cause(failure_of(spark.read.schema("a int").parquet(str(tmp_path)).collect))
    assert line.startswith("java.lang.RuntimeException: ") and "torn.parquet is not a Parquet file" in line


def test_an_error_of_spark_without_a_cause_is_its_own_first_line(spark: SparkSession) -> None:
    thrown = root_cause(failure_of(spark.range(1).select(F.raise_error(F.lit("the price is below 0"))).collect))
    assert "the price is below 0" in thrown
    missing = root_cause(failure_of(lambda: spark.range(1).select("price")))
    assert missing.startswith("AnalysisException: [UNRESOLVED_COLUMN")


def test_a_long_cause_is_cut() -> None:
    assert len(root_cause(ValueError("x" * 10_000))) == 500


# Tells the last line that each way to write gives, on a disk of 64 KiB and on one that is read-only.
ON_BAD_DISKS = """
import json, sqlite3, subprocess, sys
import deltalake, pandas as pd, pyarrow as pa
from expectations.runtime.failures import failure_line
from expectations.runtime.lake import Lake
from expectations.runtime.spark_session import spark_session

full, read_only = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], check=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", read_only], check=True)
spark = spark_session("x", "local[1]", "512m")
rows = pd.DataFrame({"a": map(str, range(100_000))})

def with_sqlite(root):
    with sqlite3.connect(f"{root}/mlflow.db") as database:
        database.execute("CREATE TABLE a AS SELECT hex(zeroblob(500000))")

def with_json(root):
    with open(f"{root}/a.json", "w") as file:
        file.write("x" * 100_000)

acts = {
    "json": with_json,
    "pandas": lambda root: rows.to_parquet(f"{root}/a.parquet"),
    "delta": lambda root: deltalake.write_deltalake(f"{root}/delta", pa.Table.from_pandas(rows)),
    "sqlite": with_sqlite,
    "spark": lambda root: spark.range(50_000).write.parquet(f"{root}/spark"),
}

def line_of(act, root):
    try:
        act(root)
    except Exception as err:
        return failure_line("jobs.x", err)
    raise AssertionError("it should have failed")

told = {"full": {name: line_of(act, full) for name, act in acts.items()}}
acts["lake"] = lambda root: Lake(f"{root}/root").bind_shop("corner")
told["read-only"] = {name: line_of(act, read_only) for name, act in acts.items()}
print(json.dumps(told))
spark.stop()
"""


@pytest.fixture(scope="module")
def on_bad_disks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The last lines, by state of the disk and by way to write."""
    own_mounts = ["unshare", "--mount", "--map-root-user"]
    full, read_only = (str(tmp_path_factory.mktemp(name)) for name in ("full", "read_only"))
    if (
        not shutil.which("unshare")
        or subprocess.run(
            [*own_mounts, "mount", "-t", "tmpfs", "tmpfs", full], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small disk needs `unshare` and the right to mount one")
    done = subprocess.run(
        [*own_mounts, sys.executable, "-c", ON_BAD_DISKS, full, read_only],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        check=True,
    )
    told: dict[str, dict[str, str]] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize(
    ("library", "cause"),
    [
        ("json", "OSError: [Errno 28] No space left on device"),
        ("pandas", "OSError: [Errno 28]"),
        ("delta", "No space left on device"),
        ("sqlite", "OperationalError: database or disk is full"),
        ("spark", "java.io.IOException: No space left on device"),
    ],
)
def test_a_full_disk_is_one_line_whoever_writes(
    on_bad_disks: dict[str, dict[str, str]], library: str, cause: str
) -> None:
    line = on_bad_disks["full"][library]
    assert line.startswith("jobs.x: the disk must have room for what a night writes. Received: ")
    assert cause in line
    assert line.endswith("a larger one, then clear the task.")


@pytest.mark.parametrize(
    ("library", "cause"),
    [
        ("json", "OSError: [Errno 30] Read-only file system"),
        ("pandas", "Read-only file system"),
        ("delta", "Could not create local directory"),
        ("sqlite", "OperationalError: "),
        ("spark", "java.io.IOException: Mkdirs failed to create"),
        ("lake", "OSError: [Errno 30] "),
    ],
)
def test_a_read_only_root_is_one_line_whoever_writes(
    on_bad_disks: dict[str, dict[str, str]], library: str, cause: str
) -> None:
    line = on_bad_disks["read-only"][library]
    assert line.startswith("jobs.x: what a night writes to must be writable. Received: ")
    assert cause in line
