"""A file that cannot be read whole is named before Spark opens it."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from expectations.tables import NightError
from jobs.raw.inspect_files import DroppedFile, found_file, inspect_files, inspected
from tests.worlds.raw_drops import write_drop


def dropped(path: Path, file_format: str = "csv") -> DroppedFile:
    file = found_file("events", "2024-03-10", str(path), file_format)
    assert file is not None
    return file


def test_a_whole_file_gets_its_hash_and_its_columns(tmp_path: Path) -> None:
    path = write_drop(str(tmp_path), "a.csv.gz", '\ufefftime,"article, or so", customer\n1,2,3\n')
    file = inspected(dropped(path), ["time"])
    assert (file.problem, file.columns) == ("", ("time", "article, or so", "customer"))
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_torn_gzip_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(b"time\n" + bytes(range(256)) * 400)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: len(whole) - 20])
    assert "torn gzip" in inspected(dropped(path), ["time"]).problem
    path.write_bytes(b"this is no gzip")
    assert "torn gzip" in inspected(dropped(path), ["time"]).problem


@pytest.mark.parametrize("text", ["", "\n\n", "time,customer\n", "time,customer\n\n \n"])
def test_a_file_without_a_row_is_empty(tmp_path: Path, text: str) -> None:
    assert "is empty" in inspected(dropped(write_drop(str(tmp_path), "a.csv", text)), ["time"]).problem


def test_a_missing_column_is_named_beside_those_found(tmp_path: Path) -> None:
    path = write_drop(str(tmp_path), "a.csv", "time,customer\n1,2\n")
    problem = inspected(dropped(path), ["article", "time"]).problem
    assert "no column 'article', which the shop file maps under [events]. Found: time, customer" in problem


def test_columns_of_the_same_name_are_refused(tmp_path: Path) -> None:
    path = write_drop(str(tmp_path), "a.csv", "time,time\n1,2\n")
    assert "several columns named ['time']" in inspected(dropped(path), ["time"]).problem


def test_a_json_object_may_leave_out_what_another_has(tmp_path: Path) -> None:
    path = write_drop(str(tmp_path), "a.json", '{"time": 1}\nnonsense\n{"customer": 2}\n')
    assert inspected(dropped(path, "json"), ["customer", "time"]).problem == ""
    assert "no column 'article'" in inspected(dropped(path, "json"), ["article"]).problem


def test_parquet_files_are_inspected_by_their_footer(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"time": ["1"]}), path)
    assert inspected(dropped(path, "parquet"), ["time"]).columns == ("time",)
    path.write_bytes(path.read_bytes()[:-8])
    assert "cannot be read as parquet" in inspected(dropped(path, "parquet"), ["time"]).problem


def test_the_first_broken_file_stops_the_night_in_one_line(spark: SparkSession, tmp_path: Path) -> None:
    texts = {"a.csv": "time\n1\n", "b.csv": "time\n", "c.csv": ""}
    files = [dropped(write_drop(str(tmp_path), name, text)) for name, text in texts.items()]
    with pytest.raises(NightError, match=r"b\.csv: is empty.*\(and 1 more files\)$"):
        inspect_files(spark, files, {"events": ["time"]})
