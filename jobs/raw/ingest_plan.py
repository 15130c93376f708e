"""Which days of a shop's drops the lake lacks, or holds from other bytes, another mapping or other code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from pyspark.sql import SparkSession

from expectations.runtime.code_version import code_version
from expectations.runtime.days import END_OF_TIME, days_before
from expectations.runtime.drops import DropFolder, HasPath
from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, NightError
from jobs.raw.dropped_files import DroppedFile, dropped_file, hashed_files
from jobs.raw.table_snapshots import take_snapshots

Hasher = Callable[[Sequence[DroppedFile]], list[DroppedFile]]
"""Returns files with the hashes of their bytes, in the order given."""


@dataclass(frozen=True)
class DayToIngest:
    """The drop of a day: its files, hashed, and the fingerprint of what they become."""

    ds: str
    files: tuple[DroppedFile, ...]
    fingerprint: str


def raw_files(shop: Shop) -> dict[str, RawFile]:
    """Returns the kinds of files that a drop of the shop may hold."""
    kinds = {**shop.event_sources, "items": shop.items, "users": shop.users}
    return {kind: raw for kind, raw in kinds.items() if raw is not None}


def source_of(kind: str) -> str:
    """Returns what files of a kind tell of: `events`, `items` or `users`."""
    return kind.partition(" ")[0]


def joined_kind(kind: str, name: str) -> str:
    """Names the files that are joined under `name` to those of a kind."""
    return f"{kind}/{name}"


def days_to_ingest(spark: SparkSession, lake: Lake, ds: str, drops: DropFolder) -> list[DayToIngest]:
    """Lists the days up to `ds` that `jobs.ingest` must read.

    Opens only files that are new, or whose size or time differs from what the lake noted.

    Raises:
        NightError: the shop has no drop at all, or an earlier day lacks one of its files of events.
    """
    shop = drops.shop
    days = drops.days(END_OF_TIME)
    if not days or days[0] > ds:
        where = drops.path(shop.events, ds)
        raise NightError(
            f"{shop.name} has no drop up to {ds}; none lies at {where}. Set NIGHTJAR_DATA.{drops.other_place(ds)}"
        )
    take_snapshots(drops, [day for day in days if day <= ds], ds)
    found = DropsOnDisk(lake, drops, days)
    noted = found.as_noted(ds, partial(hashed_files, spark))
    fingerprints = day_fingerprints(noted, shop)
    changed = [day for day in noted if not _has_fingerprint(found.versions.get(day), fingerprints[day])]
    if not changed:
        return []
    for day in changed:
        require_all_events(drops, day)
    # Who reads a day again reads the files that stand for all days as they are now.
    files = noted | dict(zip(changed, found.hashed(map(found.now, changed), partial(hashed_files, spark)), strict=True))
    fingerprints = day_fingerprints(files, shop)
    return [DayToIngest(day, tuple(files[day]), fingerprints[day]) for day in changed]


@dataclass(frozen=True)
class DropsOnDisk:
    """The drops of a shop as they lie there, beside what the lake noted of those that it took in.

    Attributes:
        days: all that have a drop, in order.
    """

    lake: Lake
    drops: DropFolder
    days: Sequence[str]

    @cached_property
    def versions(self) -> dict[str, Version]:
        """Day -> the version of `events` that was made from its drop; read once, because there are hundreds."""
        return self.lake.versions(EVENTS)

    def as_noted(self, until: str, hasher: Hasher) -> dict[str, list[DroppedFile]]:
        """Returns the files of each day up to `until`, hashed; of those that stand for all days, the noted ones."""
        days = [day for day in self.days if day <= until]
        return dict(
            zip(days, self.hashed([[*self.of_day(day), *self.standing(day)] for day in days], hasher), strict=True)
        )

    def now(self, ds: str) -> list[DroppedFile]:
        """Returns the files that somebody reads who takes in the drop of `ds` now, not yet opened."""
        return [*self.of_day(ds), *self._standing_now(ds)]

    def of_day(self, ds: str) -> list[DroppedFile]:
        """Returns the files whose paths hold the day."""
        return [
            dropped_file(kind, ds, path, info)
            for kind, raw in self._kinds().items()
            if not raw.is_standing
            for path, info in self.drops.files(raw, ds).items()
        ]

    def standing(self, ds: str) -> list[DroppedFile]:
        """Returns the files that stand for all days as they were when the day was taken in; the newest, as they are.

        So an earlier day keeps the catalogue that it was published from, whatever the file says today.
        """
        version = self.versions.get(ds)
        if version is None or ds == self.days[-1]:
            return self._standing_now(ds)
        kinds = {kind for kind, raw in self._kinds().items() if raw.is_standing}
        noted = [file for file in version.metadata["files"] if file["kind"] in kinds]
        return [DroppedFile(ds=ds, **file) for file in noted]

    def _standing_now(self, ds: str) -> list[DroppedFile]:
        is_outer = ds in (self.days[0], self.days[-1])
        return [
            dropped_file(kind, ds, path, info)
            for kind, raw in self._kinds().items()
            # A catalogue holds from its day on: the days between go on from the first.
            if raw.is_standing and (is_outer or "/" in kind)
            for path, info in self.drops.files(raw, ds).items()
        ]

    def _kinds(self) -> dict[str, HasPath]:
        kinds: dict[str, HasPath] = {}
        for kind, raw in raw_files(self.drops.shop).items():
            kinds |= {kind: raw, **{joined_kind(kind, name): joined for name, joined in raw.join.items()}}
        return kinds

    def hashed(self, by_day: Iterable[Sequence[DroppedFile]], hasher: Hasher) -> list[list[DroppedFile]]:
        """Returns the files with their hashes; opens each once, and only what is not as the lake noted it."""
        known = [[self._with_known_hash(file) for file in files] for files in by_day]
        unknown = {file.path: file for files in known for file in files if not file.sha256}
        hashes = {file.path: file.sha256 for file in hasher(list(unknown.values()))}
        return [[replace(file, sha256=file.sha256 or hashes[file.path]) for file in files] for files in known]

    def _with_known_hash(self, file: DroppedFile) -> DroppedFile:
        return replace(file, sha256=file.sha256 or known_hash(self.versions.get(file.ds), file) or "")


def require_all_events(drops: DropFolder, ds: str) -> None:
    """Checks that no file of events is missing, where the shop does not say that it may be shut.

    Raises:
        NightError: one is.
    """
    missing = drops.missing(ds)
    if missing and drops.shop.drops.missing_day == "error":
        raise NightError(
            f"{missing[0]}: missing from the drop of {ds}, whose other files are there. Drop it, or set "
            'missing_day = "closed" under [drops] if a day may go without.'
        )


def required_columns(shop: Shop) -> dict[str, list[str]]:
    """Maps each kind of file to every raw column that the shop file names for it.

    What events carry about items and users is in the first kind of their files.
    """
    required = {kind: set(raw.raw_columns) for kind, raw in raw_files(shop).items()}
    required["events"] |= {*shop.items_from_events.values(), *shop.users_from_events.values()}
    return {kind: sorted(names) for kind, names in required.items()}


def day_fingerprints(files: Mapping[str, Sequence[DroppedFile]], shop: Shop) -> dict[str, str]:
    """Maps each day to the fingerprint of its rows: of its own files, and of the days whose events it may repeat."""
    hashes = {day: sorted([file.kind, file.sha256] for file in of) for day, of in files.items()}
    fingerprints = {}
    for day in hashes:
        before = [days_before(day, back) for back in range(1, shop.drops.duplicate_days + 1)]
        earlier = [
            [other, [own for own in hashes[other] if source_of(own[0]) == "events"]]
            for other in before
            if other in hashes
        ]
        fingerprints[day] = day_fingerprint(day, hashes[day], shop, earlier)
    return fingerprints


def day_fingerprint(ds: str, hashes: Sequence[Sequence[str]], shop: Shop, earlier: Sequence[Any] = ()) -> str:
    """Returns everything that the rows of a day depend on: bytes, how the shop file maps them, and the code.

    Args:
        hashes: kind and hash of each file of the day, in order.
        earlier: the same of the days whose events this one may repeat.
    """
    mappings = {kind: raw.settings_of_rows() for kind, raw in raw_files(shop).items()}
    derived = [shop.items_from_events, shop.users_from_events]
    return fingerprint_of(
        *("drop", ds, code_version("jobs.ingest"), shop.name, mappings, derived),
        *(shop.drops.max_user_events, shop.drops.duplicate_days, shop.drops.day_timezone, hashes, *earlier),
    )


def known_hash(version: Version | None, file: DroppedFile) -> str | None:
    """The hash of a file that a version of `events` came from, as far as size and time tell; None for any other."""
    for noted in version.metadata["files"] if version else ():
        if (noted["path"], noted["size"], noted["mtime"]) == (file.path, file.size, file.mtime):
            return str(noted["sha256"])
    return None


def _has_fingerprint(version: Version | None, fingerprint: str) -> bool:
    return version is not None and version.fingerprint == fingerprint
