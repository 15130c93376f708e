"""Where fitted models lie: `{root}/weights/<model>/ds=<as_of>/<fingerprint>/`, on a disk or an object store.

Models save to and load from local folders, as Keras does; these functions carry the folder there and back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import fs

from expectations.runtime.lake import Lake


def weights_path(lake: Lake, model: str, as_of: str, fingerprint: str) -> str:
    """The folder of one fit."""
    return f"{lake.root}/weights/{model}/ds={as_of}/{fingerprint}"


def put_folder(folder: Path, path: str) -> None:
    """Copies a local folder to `path`, over what an attempt that died may have left there."""
    filesystem, target = fs.FileSystem.from_uri(path)
    filesystem.create_dir(target, recursive=True)
    fs.copy_files(str(folder), target, source_filesystem=fs.LocalFileSystem(), destination_filesystem=filesystem)


@contextmanager
def fetched_folder(path: str) -> Iterator[Path]:
    """A local copy of the folder at `path`, for as long as the block runs."""
    filesystem, source = fs.FileSystem.from_uri(path)
    with tempfile.TemporaryDirectory(prefix="nightjar-weights-") as folder:
        fs.copy_files(source, folder, source_filesystem=filesystem, destination_filesystem=fs.LocalFileSystem())
        yield Path(folder)
