"""Writes rows as daily drops of JSON lines, in executors, one day at a time and never half a file."""

from __future__ import annotations

import codecs
import gzip
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import pyarrow as pa
from pyarrow import fs
from pyspark.sql import DataFrame

from expectations.runtime.drops import DropFolder
from expectations.runtime.small_files import whole_file
from expectations.shop.raw_files import RawFile
from jobs.raw.dropped_files import sha256_of


def write_drops(rows: DataFrame, drops: DropFolder, raw: RawFile) -> int:
    """Writes each day's rows to the place of that day's drop. Returns how many drops were not there already.

    Args:
        rows: `ds`, and `raw`, a JSON object. The lines of a drop stand in the order of their text, in the encoding that
            `raw` says.
    """

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for ds, lines in groupby(_rows(batches), key=lambda row: row[0]):
            is_new = _write_drop(drops.path(raw, ds), (line for _, line in lines), raw.encoding)
            yield pa.RecordBatch.from_pydict({"ds": [ds], "is_new": [is_new]})

    days = rows.select("ds", "raw").repartition("ds").sortWithinPartitions("ds", "raw")
    return days.mapInArrow(write, "ds string, is_new boolean").where("is_new").count()


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, str]]:
    for batch in batches:
        yield from zip(batch["ds"].to_pylist(), batch["raw"].to_pylist(), strict=True)


def _write_drop(path: str, lines: Iterable[str], encoding: str) -> bool:
    encoder = codecs.getincrementalencoder(encoding)()
    filesystem, target = fs.FileSystem.from_uri(path)
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "drop"
        with whole.open("wb") as file:
            # Without the time of writing and the name, the same lines are the same bytes.
            text = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if path.endswith(".gz") else file
            text.writelines(encoder.encode(f"{line}\n") for line in lines)
            text.close()
        is_there = filesystem.get_file_info(target).type == fs.FileType.File
        if is_there and sha256_of(path) == sha256_of(str(whole)):
            return False
        with whole.open("rb") as source, whole_file(filesystem, target) as stream:
            shutil.copyfileobj(source, stream)
    return True
