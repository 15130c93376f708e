"""The raw drops of a shop: which days have one, and whether it is written to its end.

Needs no Spark, so that the sensor that waits for a drop stays light.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Literal, Protocol

from pyarrow import fs

from expectations.runtime.days import end_of
from expectations.runtime.table_drops import TableDrops
from expectations.shop.raw_file_rules import DAY_OF_PATH
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop

DropState = Literal["complete", "being_written", "absent"]


class HasPath(Protocol):
    """A file of a shop, as far as its place goes; see `RawFile.path`."""

    @property
    def path(self) -> str: ...

    @property
    def is_standing(self) -> bool: ...


@dataclass(frozen=True)
class DropFolder:
    """The drops of one shop, seen from one `root` and one `data`.

    Attributes:
        connections: environment variable -> what it holds, of those that sources which are tables name.
    """

    shop: Shop
    root: str
    data: str
    connections: Mapping[str, str] = field(default_factory=dict, repr=False)

    def table(self, raw: HasPath) -> TableDrops | None:
        """The drops of a source that is a table; None for one of files."""
        if not isinstance(raw, RawFile) or raw.table is None:
            return None
        key = (raw.format, raw.path, raw.table)
        if key not in self._tables:
            path = self._absolute(self._with_folders(raw.path)) if raw.path else ""
            self._tables[key] = TableDrops(raw, path, self.root, self.connections)
        return self._tables[key]

    @cached_property
    def _tables(self) -> dict[tuple[object, ...], TableDrops]:
        """Those that were looked at: a table is as it was then, also if somebody writes to it meanwhile."""
        return {}

    def path(self, raw: HasPath, ds: str) -> str:
        """Where the file of `ds` lies or would lie; absolute. Of a table, what messages call it."""
        if table := self.table(raw):
            return f"{table.place}, rows of {ds}"
        return self._filled(raw.path, ds)

    def image_folder(self, raw: RawFile, ds: str) -> str:
        """Where the picture paths of the items file of `ds` start; absolute."""
        return self._filled(raw.image_folder, ds)

    def exists(self, raw: HasPath, ds: str) -> bool:
        """Whether a file of `ds` is there, written to its end or not."""
        return bool(self.files(raw, ds))

    def missing(self, ds: str) -> list[str]:
        """Where the files lie that a drop of `ds` lacks: of events, and what is joined to them."""
        needed: list[HasPath] = []
        for raw in self.shop.event_sources.values():
            needed += [raw, *raw.join.values()]
        return [self.path(raw, ds) for raw in needed if not self.exists(raw, ds)]

    def other_place(self, ds: str) -> str:
        """Says where a file of `ds` lies whose day is written in another way than the shop file says; else nothing."""
        if self.shop.events.table:
            return ""
        template = self.shop.events.path
        for other in ("{ds:%Y%m%d}", "{ds:%Y/%m/%d}", "{ds:%Y_%m_%d}", "{ds}"):
            path = self._filled(DAY_OF_PATH.sub(other, template), ds)
            if path != self.path(self.shop.events, ds) and _info(path).type != fs.FileType.NotFound:
                return f" There is {path}: write {other} for the day in `path`."
        return ""

    def files(self, raw: HasPath, ds: str) -> dict[str, fs.FileInfo]:
        """The files of `ds` by their paths: one, those of a folder, or those that a wildcard matches; in order."""
        if table := self.table(raw):
            return table.files(ds)
        path = self.path(raw, ds)
        if "*" not in path:
            info = _info(path)
            if info.type == fs.FileType.File:
                return {path: info}
            if info.type != fs.FileType.Directory:
                return {}
        return {found: info for day, found, info in self._dated_files(path) if day in ("", ds)}

    def days(self, until: str) -> list[str]:
        """The days up to `until` that have a file of events, in order."""
        return sorted({day for raw in self.shop.event_sources.values() for day in self._days_of(raw, until)})

    def _days_of(self, raw: RawFile, until: str) -> list[str]:
        if table := self.table(raw):
            return table.days(until)
        template = self._absolute(self._with_folders(raw.path))
        return [day for day, _, _ in self._dated_files(template) if day and day <= until]

    def _dated_files(self, template: str) -> list[tuple[str, str, fs.FileInfo]]:
        """Day, path and state of each file that a path with days and wildcards leads to, in the order of the paths."""
        wild = re.search(r"\{ds|\*", template)
        base = template[: wild.start()].rpartition("/")[0] if wild else template
        filesystem, local = fs.FileSystem.from_uri(base or "/")
        matcher = _PathMatcher.of(f"{local.rstrip('/')}{template[len(base) :]}")
        is_deep = "/" in template[wild.end() :] if wild else True
        found = filesystem.get_file_info(fs.FileSelector(local, recursive=is_deep, allow_not_found=True))
        # Beside the drops of a folder may lie all the data of a machine: only what is a drop is looked into.
        for folder in () if is_deep else [info for info in found if info.type == fs.FileType.Directory]:
            if matcher.day_of(folder.path) is not None:
                found += filesystem.get_file_info(fs.FileSelector(folder.path, recursive=True))
        # A file system of an object store leaves the scheme out of its paths.
        scheme = base.removesuffix(local) if "://" in base else ""
        files = [info for info in found if info.type == fs.FileType.File]
        files.sort(key=lambda info: str(info.path))
        dated = ((matcher.day_of(info.path), info) for info in files)
        return [(day, f"{scheme}{info.path}", info) for day, info in dated if day is not None]

    def state(self, ds: str, now: datetime) -> DropState:
        """Whether the drop of `ds` may be read at `now`.

        With a `complete_marker`, the marker decides. Otherwise the files of events must be there, with what is joined
        to them, and no file of the drop may have changed within `settle_seconds`.
        """
        drops = self.shop.drops
        present = [info for raw in self._files_of_a_day() for info in self.files(raw, ds).values()]
        if drops.complete_marker is not None:
            if _info(self._filled(drops.complete_marker, ds)).type == fs.FileType.File:
                return "complete"
            return "being_written" if present else "absent"
        if self.missing(ds):
            return "being_written" if present else "absent"
        settled_since = now - timedelta(seconds=drops.settle_seconds)
        if all(info.mtime is None or info.mtime.astimezone(timezone.utc) <= settled_since for info in present):
            return "complete"
        return "being_written"

    def _files_of_a_day(self) -> list[HasPath]:
        """All that a drop may hold, but for files that stand for all days: these say nothing of a day."""
        raws = [*self.shop.event_sources.values(), *(raw for raw in (self.shop.items, self.shop.users) if raw)]
        every: list[HasPath] = []
        for raw in raws:
            every += [raw, *raw.join.values()]
        return [file for file in every if not file.is_standing]

    def deadline(self, ds: str) -> datetime:
        """Until when a night waits for the drop of `ds`."""
        return end_of(ds, self.shop.drops.day_timezone) + timedelta(hours=self.shop.drops.wait_hours)

    def _filled(self, template: str, ds: str) -> str:
        def day(found: re.Match[str]) -> str:
            return datetime.strptime(ds, "%Y-%m-%d").strftime(found[1]) if found[1] else ds

        return self._absolute(DAY_OF_PATH.sub(day, self._with_folders(template)))

    def _with_folders(self, template: str) -> str:
        return template.replace("{root}", self.root).replace("{data}", self.data)

    def _absolute(self, path: str) -> str:
        is_absolute = path.startswith("/") or "://" in path
        return path if is_absolute else f"{self.shop.folder}/{path}"


@dataclass(frozen=True)
class _PathMatcher:
    """Knows the files that a path with days and wildcards leads to.

    Attributes:
        pattern: of a file's path; its group `beneath` is where a file lies within a folder that the path names.
        formats: of the days in the path, in their order.
    """

    pattern: re.Pattern[str]
    formats: tuple[str, ...]

    @classmethod
    def of(cls, template: str) -> _PathMatcher:
        parts, formats, place = [], [], 0
        for token in re.finditer(rf"{DAY_OF_PATH.pattern}|\*", template):
            parts.append(re.escape(template[place : token.start()]))
            if token[0] == "*":
                # What a job has not finished, or keeps for itself, begins so.
                parts.append("(?![_.])[^/]*" if template[token.start() - 1] == "/" else "[^/]*")
            else:
                formats.append(token[1] or "%Y-%m-%d")
                of_day = re.escape(formats[-1]).replace("%Y", r"\d{4}").replace("%m", r"\d{2}").replace("%d", r"\d{2}")
                parts.append(f"({of_day})")
            place = token.end()
        parts.append(re.escape(template[place:]))
        return cls(re.compile("".join(parts) + r"(?P<beneath>(?:/(?![_.])[^/]*)*)"), tuple(formats))

    def day_of(self, path: str) -> str | None:
        """Returns the day of a file, empty where the path holds none; None for a file that is not meant."""
        match = self.pattern.fullmatch(path)
        if match is None:
            return None
        try:
            days = {
                datetime.strptime(text, of).strftime("%Y-%m-%d")
                for text, of in zip(match.groups(), self.formats, strict=False)
            }
        except ValueError:
            return None
        return None if len(days) > 1 else next(iter(days), "")


def _info(path: str) -> fs.FileInfo:
    filesystem, local = fs.FileSystem.from_uri(path)
    return filesystem.get_file_info(local)
