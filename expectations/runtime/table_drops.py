"""The drops of a source that is a table: which days it has, and where the root keeps what was read of them.

The rows of a day are read once into a Parquet file under the root (`jobs.raw.table_snapshots`), which from then on is
the drop of the day: `{root}/raw_tables/<source>/ds=2026-03-06/<hash>.parquet`. Beside it `current.json` notes what the
table said of the day then, so that a night sees without reading a row whether the day is to be read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

from pyarrow import fs

from expectations.runtime.days import days_before, end_of
from expectations.runtime.lake import fingerprint_of
from expectations.runtime.small_files import read_json, write_json
from expectations.runtime.table_sources.opened_table import opened_table
from expectations.runtime.table_sources.source_table import SourceTable
from expectations.shop.raw_files import RawFile

NOT_YET_READ = "not_yet_read.parquet"
"""The name of a drop whose rows nobody has read as the table has them now; no such file is there."""


@dataclass(frozen=True)
class Snapshot:
    """The rows of a day as they were read from the table.

    Attributes:
        mark: what told how the day stood in the table; None where nothing tells.
        file: name of the Parquet file.
        size: of it, in bytes.
        rows: how many.
    """

    mark: str | None
    file: str
    size: int
    rows: int


@dataclass(frozen=True)
class TableDrops:
    """The drops of one source of a shop.

    Attributes:
        path: where the table lies, absolute; empty for one that lies in a catalog or a database.
        connections: environment variable -> what it holds.
    """

    raw: RawFile
    path: str
    root: str
    connections: Mapping[str, str]

    def __repr__(self) -> str:
        return f"TableDrops({self.place})"

    @cached_property
    def table(self) -> SourceTable:
        """The table, as it is when it is first looked at."""
        return opened_table(self.raw, self.path, self.connections)

    @property
    def place(self) -> str:
        """What messages call the table."""
        return self.table.place

    def days(self, until: str) -> list[str]:
        """The days up to `until` that have rows, in order."""
        return [day for day in self._marks if day <= until]

    def files(self, ds: str) -> dict[str, fs.FileInfo]:
        """The drop of a day by its path: the file that was read of it, or that is still to be read; else none."""
        snapshot = self.snapshot(ds)
        # A day that the table no longer tells of, as a catalogue of today tells of no other day, counts as it was read.
        is_read = snapshot is not None and snapshot.mark == self._marks.get(ds, snapshot.mark)
        if ds not in self._marks and not is_read:
            return {}
        path = f"{self.folder(ds)}/{snapshot.file if snapshot and is_read else NOT_YET_READ}"
        size = snapshot.size if snapshot and is_read else 0
        # Rows of a day come while it lasts, so it is written to its end when it is over.
        return {path: fs.FileInfo(path, fs.FileType.File, mtime=end_of(ds), size=size)}

    def is_due(self, ds: str, night: str) -> bool:
        """Whether a night is to read the rows of a day: for the first time, or because they may have changed."""
        snapshot, mark = self.snapshot(ds), self._marks[ds]
        if snapshot is None or snapshot.mark != mark:
            return True
        recheck_days = self.raw.table.recheck_days if self.raw.table else 0
        return mark is None and ds > days_before(night, recheck_days)

    def snapshot(self, ds: str) -> Snapshot | None:
        """What was read of a day last; None where nothing was, or where somebody took the file away."""
        noted = read_json(f"{self.folder(ds)}/current.json")
        if noted is None:
            return None
        filesystem, place = fs.FileSystem.from_uri(f"{self.folder(ds)}/{noted['file']}")
        return Snapshot(**noted) if filesystem.get_file_info(place).type == fs.FileType.File else None

    def note(self, ds: str, file: str, size: int, rows: int) -> None:
        """Makes a file that is completely written what was read of a day last."""
        write_json(f"{self.folder(ds)}/current.json", asdict(Snapshot(self._marks[ds], file, size, rows)))

    def folder(self, ds: str) -> str:
        """Where the files that were read of a day lie."""
        return f"{self.root}/raw_tables/{self.raw.format}-{self._source}/ds={ds}"

    @cached_property
    def _marks(self) -> dict[str, str | None]:
        return dict(sorted(self.table.days().items()))

    @cached_property
    def _source(self) -> str:
        """Tells sources apart: what is asked of another table, or in another way, was not read yet."""
        settings = asdict(self.raw.table) if self.raw.table else {}
        return fingerprint_of(self.raw.format, self.raw.path, {**settings, "recheck_days": 0})
