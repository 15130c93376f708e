"""Reads raw files of a shop, as they come: every mapped cell as text, with the day of the drop it lies in.

Each file is read by one task, in executors and through Arrow, whatever its format is: one set of readers
(`jobs.raw.reading`) decides what a row is, so that what Spark's own readers make of odd files does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from expectations.shop.raw_files import RawFile
from jobs.raw.dropped_files import DroppedFile
from jobs.raw.reading.cells import UNREADABLE_FILE, RowBuilder, row_schema
from jobs.raw.reading.csv_rows import csv_rows
from jobs.raw.reading.json_rows import json_rows
from jobs.raw.reading.opened_file import UnreadableFileError
from jobs.raw.reading.parquet_rows import parquet_rows
from jobs.raw.reading.workbook_rows import workbook_rows


def read_raw_rows(
    spark: SparkSession,
    raw: RawFile,
    files: Sequence[DroppedFile],
    columns: Sequence[str],
    pictures: str | None = None,
    *,
    keeps_raw: bool = False,
    ids: frozenset[str] | None = None,
) -> DataFrame:
    """Returns all rows of the files of one kind.

    Args:
        columns: the raw columns whose texts are wanted; each must be in every file.
        pictures: the folder that keeps pictures which come as bytes; without one they are no text, and left out.
        keeps_raw: whether `raw` holds every row whole, with columns that are not wanted.
        ids: those of `columns` that name something; None stands for what the shop file says.

    Returns:
        `ds`, `file` and `line`: where the row stands; `place`: its place among all rows of the day; `fault`: why it is
        none that rules can look at, else null; `raw`: the text of a faulty row as JSON; `not_text`: wanted columns in
        which a list or an object stands; `moment`: the time of the row, where the file holds it as a time; and the
        texts, for `jobs.raw.reject_rules.raw_text` to find.
        A file that cannot be read is a row whose fault is UNREADABLE_FILE and whose `raw` says why.
    """
    names = sorted(set(columns))
    ordered = sorted(files, key=lambda file: (-file.size, file.path))
    slices = max(1, min(len(ordered), 4 * spark.sparkContext.defaultParallelism))
    # Large files first, dealt out in turn, so that no task has them all.
    dealt = [asdict(file) for place in range(slices) for file in ordered[place::slices]]
    tasks = spark.createDataFrame(
        spark.sparkContext.parallelize([(str(file["ds"]), str(file["path"])) for file in dealt], slices),
        "ds string, path string",
    )
    kinds = {file.path: file.kind for file in files}
    numbers = _numbers_within_a_day(files)
    names_something = raw.id_columns if ids is None else ids

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for ds, path in zip(batch["ds"].to_pylist(), batch["path"].to_pylist(), strict=True):
                yield from rows_of_file(
                    path, ds, kinds[path], raw, names, pictures, keeps_raw, names_something, numbers[path]
                )

    return tasks.mapInArrow(read, row_schema(names))


def _numbers_within_a_day(files: Sequence[DroppedFile]) -> dict[str, int]:
    """Maps the path of each file to its number among those of its day, whatever other days are read with it."""
    by_day: dict[str, list[str]] = {}
    for file in files:
        by_day.setdefault(file.ds, []).append(file.path)
    return {path: number for paths in by_day.values() for number, path in enumerate(sorted(paths))}


def rows_of_file(
    path: str,
    ds: str,
    kind: str,
    raw: RawFile,
    columns: Sequence[str],
    pictures: str | None = None,
    keeps_raw: bool = False,
    ids: frozenset[str] | None = None,
    file_number: int = 0,
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one file, as `read_raw_rows` returns them."""
    ids = raw.id_columns if ids is None else ids
    optional = frozenset(name for of in raw.fallback_columns for name in raw.sources_of(of))
    builder = RowBuilder(ds, path, columns, ids, raw.null_words, keeps_raw, optional, file_number)
    try:
        if raw.format == "csv":
            yield from csv_rows(path, kind, raw, builder)
        elif raw.format == "json":
            yield from json_rows(path, kind, raw, builder)
        elif raw.format == "parquet" or raw.table:
            yield from parquet_rows(path, kind, raw, builder, pictures)
        else:
            yield from workbook_rows(path, kind, raw, builder)
    except UnreadableFileError as err:
        yield builder.faults([0], UNREADABLE_FILE, [str(err)])
