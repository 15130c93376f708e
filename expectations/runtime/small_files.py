"""Small files under the root, such as pointers and marks: read whole, and replaced in one step."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyarrow import fs


def read_json(path: str) -> dict[str, Any] | None:
    """Returns what a small file under the root says; None where there is none."""
    filesystem, local = fs.FileSystem.from_uri(path)
    if filesystem.get_file_info(local).type != fs.FileType.File:
        return None
    with filesystem.open_input_stream(local) as stream:
        content: dict[str, Any] = json.loads(stream.readall())
    return content


def write_json(path: str, content: Mapping[str, Any]) -> None:
    """Replaces a small file under the root in one step."""
    filesystem, local = fs.FileSystem.from_uri(path)
    with whole_file(filesystem, local) as stream:
        stream.write(json.dumps(content, sort_keys=True, indent=1).encode())


@contextmanager
def whole_file(filesystem: fs.FileSystem, place: str) -> Iterator[pa.NativeFile]:
    """Opens a stream to a file that readers see when it is complete, or not at all; bytes are written as they are."""
    filesystem.create_dir(place.rpartition("/")[0], recursive=True)
    # A local file is written beside its place and renamed; an object store's put is atomic by itself.
    is_local = isinstance(filesystem, fs.LocalFileSystem)
    target = f"{place}.{uuid.uuid4().hex[:8]}.tmp" if is_local else place
    with filesystem.open_output_stream(target, compression=None) as stream:
        yield stream
    if is_local:
        filesystem.move(target, place)
