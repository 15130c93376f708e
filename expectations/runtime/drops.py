"""The raw drops of a shop: which days have one, and whether it is written to its end.

Needs no Spark, so that the sensor that waits for a drop stays light.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

from pyarrow import fs

from expectations.runtime.days import end_of
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop

DropState = Literal["complete", "being_written", "absent"]


@dataclass(frozen=True)
class DropFolder:
    """The drops of one shop, seen from one `root` and one `data`."""

    shop: Shop
    root: str
    data: str

    def path(self, raw: RawFile, ds: str) -> str:
        """Where the file of `ds` lies or would lie; absolute."""
        return self._filled(raw.path, ds)

    def image_folder(self, raw: RawFile, ds: str) -> str:
        """Where the picture paths of the items file of `ds` start; absolute."""
        return self._filled(raw.image_folder, ds)

    def exists(self, raw: RawFile, ds: str) -> bool:
        """Whether the file of `ds` is there, written to its end or not."""
        return _info(self.path(raw, ds)).type == fs.FileType.File

    def days(self, raw: RawFile, until: str) -> list[str]:
        """The days up to `until` that have a file of this kind, in order."""
        template = self._filled(raw.path, "{ds}")
        before, _, after = template.partition("{ds}")
        base, _, name_start = before.rpartition("/")
        filesystem, local = fs.FileSystem.from_uri(base or "/")
        # A day may stand in the folder's name and again in the file's.
        rest = re.escape(after).replace(re.escape("{ds}"), r"\1")
        pattern = re.compile(re.escape(f"{local}/{name_start}") + r"(\d{4}-\d{2}-\d{2})" + rest)
        selector = fs.FileSelector(local, recursive="/" in after, allow_not_found=True)
        matches = [pattern.fullmatch(i.path) for i in filesystem.get_file_info(selector) if i.type == fs.FileType.File]
        return sorted(m[1] for m in matches if m and m[1] <= until)

    def state(self, ds: str, now: datetime) -> DropState:
        """Whether the drop of `ds` may be read at `now`.

        With a `complete_marker`, the marker decides. Otherwise the events file must be there, and no file of the
        drop may have changed within `settle_seconds`.
        """
        drops = self.shop.drops
        infos = [_info(self.path(raw, ds)) for raw in (self.shop.events, self.shop.items, self.shop.users) if raw]
        present = [info for info in infos if info.type == fs.FileType.File]
        if drops.complete_marker is not None:
            if _info(self._filled(drops.complete_marker, ds)).type == fs.FileType.File:
                return "complete"
            return "being_written" if present else "absent"
        if infos[0].type != fs.FileType.File:
            return "being_written" if present else "absent"
        settled_since = now - timedelta(seconds=drops.settle_seconds)
        if all(info.mtime is None or info.mtime.astimezone(timezone.utc) <= settled_since for info in present):
            return "complete"
        return "being_written"

    def deadline(self, ds: str) -> datetime:
        """Until when a night waits for the drop of `ds`."""
        return end_of(ds) + timedelta(hours=self.shop.drops.wait_hours)

    def _filled(self, template: str, ds: str) -> str:
        path = template.replace("{root}", self.root).replace("{data}", self.data).replace("{ds}", ds)
        is_absolute = path.startswith("/") or "://" in path
        return path if is_absolute else f"{self.shop.folder}/{path}"


def _info(path: str) -> fs.FileInfo:
    filesystem, local = fs.FileSystem.from_uri(path)
    return filesystem.get_file_info(local)
