"""Writes raw drops for tests, as a shop would, long enough ago to count as written."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

WRITTEN_AT = 1_600_000_000


def write_drop(folder: str, name: str, text: str | bytes) -> Path:
    """Writes a file, gzipped when its name says so, and dates it back."""
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    os.utime(path, (WRITTEN_AT, WRITTEN_AT))
    return path
