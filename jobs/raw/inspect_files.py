"""Looks at raw files before Spark reads them: whole or torn, empty or not, which columns, which bytes.

Runs in executors, one file a time, and holds no more of a file than a block. Spark alone would read half of a torn
gzip, and match the columns of a CSV file by place; a drop must be refused for such things before anything is written.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs
from pyspark.sql import SparkSession

from expectations.tables import NightError

_BLOCK_BYTES = 1 << 20
"""Bytes that are read at a time, so that memory does not depend on the file's size."""
_MAX_LINE_BYTES = 1 << 24
"""A longer line comes in parts, so that a file without line ends does not fill the memory."""


@dataclass(frozen=True)
class DroppedFile:
    """A raw file that belongs to the drop of `ds`.

    Attributes:
        kind: events, items or users.
        sha256: of its bytes; empty until it was inspected.
        columns: names in the order of the file; for JSON, of the columns that were asked for.
        nanosecond_times: the columns of a Parquet file that hold such times, and whether these are moments in UTC.
        problem: why it cannot be read, with the remedy; empty when it can.
    """

    kind: str
    ds: str
    path: str
    format: str
    size: int
    mtime: str
    sha256: str = ""
    columns: tuple[str, ...] = ()
    nanosecond_times: tuple[tuple[str, bool], ...] = ()
    problem: str = ""

    @property
    def metadata(self) -> dict[str, Any]:
        """What a version of the lake notes about the file it came from."""
        return {key: getattr(self, key) for key in ("kind", "path", "size", "mtime", "sha256")}


def found_file(kind: str, ds: str, path: str, file_format: str) -> DroppedFile | None:
    """Returns the file at `path`, not yet opened; None when there is none."""
    filesystem, local = fs.FileSystem.from_uri(path)
    info = filesystem.get_file_info(local)
    if info.type != fs.FileType.File:
        return None
    return DroppedFile(kind, ds, path, file_format, info.size, str(info.mtime_ns))


def inspect_files(
    spark: SparkSession, files: Sequence[DroppedFile], required: Mapping[str, Sequence[str]]
) -> list[DroppedFile]:
    """Inspects all files, in executors, in the order given.

    Args:
        required: kind of file -> the raw columns that it must have.

    Raises:
        NightError: some file cannot be read; names the first one, the rule and the remedy, and how many more.
    """
    if not files:
        return []
    columns = {kind: tuple(names) for kind, names in required.items()}
    slices = min(len(files), 4 * spark.sparkContext.defaultParallelism)
    tasks = spark.sparkContext.parallelize([asdict(file) for file in files], slices)
    found = tasks.map(lambda file: asdict(inspected(DroppedFile(**file), columns[file["kind"]]))).collect()
    inspected_files = [DroppedFile(**file) for file in found]
    broken = [file for file in inspected_files if file.problem]
    if broken:
        more = f" (and {len(broken) - 1} more files)" if len(broken) > 1 else ""
        raise NightError(f"{broken[0].path}: {broken[0].problem}{more}")
    return inspected_files


def inspected(file: DroppedFile, required: Sequence[str]) -> DroppedFile:
    """Reads the file to its end. Returns it with its hash and columns, or with its problem."""
    nanosecond_times: tuple[tuple[str, bool], ...] = ()
    try:
        if file.format == "parquet":
            schema = _parquet_schema(file)
            columns = tuple(schema.names) if schema else None
            nanosecond_times = _nanosecond_times(schema or [])
        else:
            columns = _text_columns(file, required)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return _with(file, problem="is a torn gzip file (it ends early or is damaged). Drop it again, whole.")
    except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error) as err:
        reason = " ".join(str(err).split())
        return _with(file, problem=f"cannot be read as {file.format}: {reason}. Drop it again.")
    if columns is None:
        return _with(file, problem="is empty: a drop must have at least one row. Drop it again, or take it away.")
    problem = _column_problem(file, columns, required)
    sha256 = sha256_of(file.path)
    return _with(file, sha256=sha256, columns=columns, nanosecond_times=nanosecond_times, problem=problem)


def _column_problem(file: DroppedFile, columns: tuple[str, ...], required: Sequence[str]) -> str:
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        return f"has several columns named {repeated}. Column names must differ."
    missing = [name for name in required if name not in columns]
    if missing:
        return (
            f"has no column {', '.join(map(repr, missing))}, which the shop file maps under [{file.kind}]. "
            f"Found: {', '.join(columns) or 'none'}. Correct the drop or the shop file."
        )
    return ""


def _with(file: DroppedFile, **changes: Any) -> DroppedFile:
    return DroppedFile(**{**asdict(file), **changes})


def sha256_of(path: str) -> str:
    """Returns the hash of a file's bytes, as they lie there."""
    filesystem, local = fs.FileSystem.from_uri(path)
    digest = hashlib.sha256()
    with filesystem.open_input_stream(local, compression=None) as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _parquet_schema(file: DroppedFile) -> pa.Schema | None:
    """None when the file has no row."""
    filesystem, local = fs.FileSystem.from_uri(file.path)
    with filesystem.open_input_file(local) as stream:
        parquet = pq.ParquetFile(stream)
        return parquet.schema_arrow if parquet.metadata.num_rows else None


def _nanosecond_times(schema: Iterable[pa.Field]) -> tuple[tuple[str, bool], ...]:
    times = [column for column in schema if pa.types.is_timestamp(column.type) and column.type.unit == "ns"]
    return tuple((column.name, column.type.tz is not None) for column in times)


def _text_columns(file: DroppedFile, required: Sequence[str]) -> tuple[str, ...] | None:
    """Column names, or None when the file has no row. Reads to the end, so that damage anywhere shows."""
    filesystem, local = fs.FileSystem.from_uri(file.path)
    with filesystem.open_input_stream(local, compression=None) as stream:
        text: _Bytes = gzip.GzipFile(fileobj=stream) if file.path.endswith(".gz") else stream
        lines = (line for line in _lines(text) if line.strip())
        columns = _csv_columns(lines) if file.format == "csv" else _json_columns(lines, required)
        for _ in lines:
            pass
    return columns


class _Bytes(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _lines(text: _Bytes) -> Iterator[bytes]:
    """Lines without end-of-line; a longer one than `_MAX_LINE_BYTES` comes in parts."""
    rest = b""
    while block := text.read(_BLOCK_BYTES):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
        if len(rest) > _MAX_LINE_BYTES:
            yield rest
            rest = b""
    yield rest


def _csv_columns(lines: Iterator[bytes]) -> tuple[str, ...] | None:
    header = next(lines, None)
    if header is None or next(lines, None) is None:
        return None
    return tuple(name.strip() for name in next(csv.reader([header.decode("utf-8-sig")])))


def _json_columns(lines: Iterator[bytes], required: Sequence[str]) -> tuple[str, ...] | None:
    """Tells which required keys occur in some line: an object may leave out what it does not know."""
    wanted, found, is_empty = set(required), set[str](), True
    for line in lines:
        is_empty = False
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except ValueError:
            continue  # a line for the quarantine
        if isinstance(row, dict):
            found |= wanted & row.keys()
        if found == wanted:
            break
    return None if is_empty else tuple(sorted(found))
