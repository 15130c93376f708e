"""The lake knows a raw file by its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.raw.dropped_files import dropped_file, hashed_files
from tests.worlds.raw_drops import write_drop


def test_files_are_hashed_as_they_lie_there_in_the_order_given(spark: SparkSession, tmp_path: Path) -> None:
    folder = str(tmp_path)
    paths = [write_drop(folder, f"{name}.csv.gz", f"time\n{name}\n") for name in "cab"]
    files = hashed_files(spark, [dropped_file("events", "2024-03-10", str(path)) for path in paths])
    assert [file.sha256 for file in files] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert [(file.size, file.path) for file in files] == [(path.stat().st_size, str(path)) for path in paths]
