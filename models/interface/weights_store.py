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

_WEIGHTS = "weights"


def weights_path(model: str, as_of: str, fingerprint: str) -> str:
    """The folder of one fit as `fitted_models` notes it: from the root on, which may lie elsewhere tomorrow."""
    return f"{_WEIGHTS}/{model}/ds={as_of}/{fingerprint}"


def weights_folder(lake: Lake, path: str) -> str:
    """Where a noted folder lies now.

    Args:
        path: what `weights_path` gave, or the whole path that version 0.1.0 and earlier noted: of that root, unless
            this one has the folder, too.
    """
    if path.startswith(f"{_WEIGHTS}/"):
        return f"{lake.root}/{path}"
    here = f"{lake.root}/{_WEIGHTS}/{path.rpartition(f'/{_WEIGHTS}/')[2]}"
    filesystem, folder = fs.FileSystem.from_uri(here)
    return here if filesystem.get_file_info(folder).type == fs.FileType.Directory else path


def put_folder(lake: Lake, folder: Path, path: str) -> None:
    """Copies a local folder to where `path` lies, over what an attempt that died may have left there."""
    filesystem, target = fs.FileSystem.from_uri(weights_folder(lake, path))
    filesystem.create_dir(target, recursive=True)
    fs.copy_files(str(folder), target, source_filesystem=fs.LocalFileSystem(), destination_filesystem=filesystem)


@contextmanager
def fetched_folder(lake: Lake, path: str) -> Iterator[Path]:
    """A local copy of the folder that `fitted_models` notes as `path`, for as long as the block runs."""
    filesystem, source = fs.FileSystem.from_uri(weights_folder(lake, path))
    with tempfile.TemporaryDirectory(prefix="nightjar-weights-") as folder:
        fs.copy_files(source, folder, source_filesystem=filesystem, destination_filesystem=fs.LocalFileSystem())
        yield Path(folder)
