"""The raw files of a drop, and the hash by which the lake knows that one has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyarrow import fs
from pyspark.sql import SparkSession

_BLOCK_BYTES = 1 << 20
"""Bytes that are read at a time, so that memory does not depend on the file's size."""


@dataclass(frozen=True)
class DroppedFile:
    """A raw file that belongs to the drop of `ds`.

    Attributes:
        kind: events, items or users.
        size: in bytes.
        mtime: nanoseconds since 1970, as text.
        sha256: of its bytes; empty until it was hashed.
    """

    kind: str
    ds: str
    path: str
    size: int
    mtime: str
    sha256: str = ""

    @property
    def metadata(self) -> dict[str, Any]:
        """What a version of the lake notes about the file it came from."""
        return {key: getattr(self, key) for key in ("kind", "path", "size", "mtime", "sha256")}


def dropped_file(kind: str, ds: str, path: str, info: fs.FileInfo | None = None) -> DroppedFile:
    """Returns the file at `path`, not yet opened."""
    if info is None:
        filesystem, local = fs.FileSystem.from_uri(path)
        info = filesystem.get_file_info(local)
    return DroppedFile(kind, ds, path, int(info.size or 0), str(info.mtime_ns))


def hashed_files(spark: SparkSession, files: Sequence[DroppedFile]) -> list[DroppedFile]:
    """Hashes all files, in executors. Returns them in the order given."""
    if not files:
        return []
    slices = min(len(files), 4 * spark.sparkContext.defaultParallelism)
    hashes = spark.sparkContext.parallelize([file.path for file in files], slices).map(sha256_of).collect()
    return [replace(file, sha256=sha256) for file, sha256 in zip(files, hashes, strict=True)]


def sha256_of(path: str) -> str:
    """Returns the hash of a file's bytes, as they lie there."""
    filesystem, local = fs.FileSystem.from_uri(path)
    digest = hashlib.sha256()
    with filesystem.open_input_stream(local, compression=None) as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
