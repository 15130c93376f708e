"""Where a shop's pictures lie: files of its drops, and pictures that came as bytes within a table."""

from __future__ import annotations

import errno
import hashlib
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
from pyarrow import fs
from pyspark.sql import Column
from pyspark.sql import functions as F

from expectations.runtime.lake import Lake
from expectations.runtime.small_files import whole_file
from jobs.storage.pictures import MAX_FILE_BYTES

_STORED_PATH = re.compile(r"sha256:([0-9a-f]{64})")
_IMPOSSIBLE_NAME = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.EACCES)


def stored_pictures(lake: Lake) -> str:
    """Returns the folder of pictures that came as bytes."""
    return f"{lake.root}/pictures"


def kept_picture(content: Column, folder: str) -> Column:
    """Writes pictures that came as bytes, in executors, and gives the path of each: what `PictureFiles.store` does."""
    files = PictureFiles(dropped=folder, stored=folder)

    def keep(contents: pa.Array) -> pa.Array:
        return pa.array([files.store(c.as_buffer()) if c.is_valid else None for c in contents], pa.string())

    store = F.arrow_udf(keep, "string")  # type: ignore[call-overload]  # stubs want what the code warns about
    return store(content)


@dataclass(frozen=True)
class PictureFiles:
    """Finds the file that an item's `image_path` names.

    Attributes:
        dropped: the folder that paths start at; a path or an object-store URL.
        stored: the folder of pictures that came as bytes; their `image_path` is `sha256:` and the hash.
    """

    dropped: str
    stored: str

    def sources(self, paths: Sequence[str]) -> list[str | None]:
        """Returns path, size and time of each file; None where there is none.

        A path that leads out of the folder counts as none: what stands in a drop must not make us read, and hand on,
        what else lies on this machine.
        """
        found: dict[str, fs.FileInfo] = {}
        for folder in (self.dropped, self.stored):
            names = {path: name for path in paths if (name := self._name(folder, path)) is not None}
            for path, info in zip(names, _file_infos(folder, list(names.values())), strict=True):
                if info is not None and info.type == fs.FileType.File:
                    found[path] = info
        return [f"{p} {found[p].size} {found[p].mtime_ns or 0}" if p in found else None for p in paths]

    def content(self, path: str) -> bytes | None:
        """Returns the bytes of a file, at most one more than a picture may have; None when it is gone."""
        for folder in (self.dropped, self.stored):
            name = self._name(folder, path)
            if name is not None:
                filesystem, base = _filesystem(folder)
                try:
                    with filesystem.open_input_stream(f"{base}/{name}", compression=None) as stream:
                        return bytes(stream.read(MAX_FILE_BYTES + 1))
                except (FileNotFoundError, PermissionError):
                    return None
        return None

    def store(self, content: bytes | pa.Buffer) -> str:
        """Keeps a picture that came as bytes. Returns its `image_path`; the same bytes are kept once."""
        digest = hashlib.sha256(content).hexdigest()
        filesystem, base = _filesystem(self.stored)
        place = f"{base}/{digest}"
        if filesystem.get_file_info(place).type != fs.FileType.File:
            with whole_file(filesystem, place) as stream:
                stream.write(content)
        return f"sha256:{digest}"

    def _name(self, folder: str, path: str) -> str | None:
        """Returns the name within one of the two folders; None for what does not lie there."""
        stored = _STORED_PATH.fullmatch(path)
        if (folder == self.stored) != (stored is not None):
            return None
        if stored:
            return stored[1]
        name = posixpath.normpath(path.removeprefix(f"{folder.rstrip('/')}/"))
        is_outside = name.startswith(("/", "../")) or name in (".", "..")
        return None if is_outside or "\0" in name else name


@lru_cache(maxsize=8)
def _filesystem(folder: str) -> tuple[fs.FileSystem, str]:
    """Returns the file system of a folder and its path there: connected to once per process."""
    filesystem, base = fs.FileSystem.from_uri(folder)
    return filesystem, base.rstrip("/")


def _file_infos(folder: str, names: Sequence[str]) -> list[fs.FileInfo | None]:
    filesystem, base = _filesystem(folder)
    places = [f"{base}/{name}" for name in names]
    try:
        # Together, which an object store answers at the pace of its fastest, not one after the other.
        return list(filesystem.get_file_info(places))
    except OSError:
        return [_file_info(filesystem, place) for place in places]


def _file_info(filesystem: fs.FileSystem, place: str) -> fs.FileInfo | None:
    """None for what no file can be called. A store that does not answer is no absence, and stops the night."""
    try:
        return filesystem.get_file_info(place)
    except OSError as err:
        if err.errno in _IMPOSSIBLE_NAME:
            return None
        raise
