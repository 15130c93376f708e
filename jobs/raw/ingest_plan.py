"""Which days of a shop's drops the lake lacks, or holds from other bytes, another mapping or other code."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from pyspark.sql import SparkSession

from expectations.runtime.code_version import code_version
from expectations.runtime.drops import DropFolder
from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, NightError
from jobs.raw.dropped_files import DroppedFile, dropped_file, hashed_files


@dataclass(frozen=True)
class DayToIngest:
    """The drop of a day: its files, hashed, and the fingerprint of what they become."""

    ds: str
    files: tuple[DroppedFile, ...]
    fingerprint: str


def raw_files(shop: Shop) -> dict[str, RawFile]:
    """Returns the kinds of files that a drop of the shop may hold."""
    kinds = {"events": shop.events, "items": shop.items, "users": shop.users}
    return {kind: raw for kind, raw in kinds.items() if raw is not None}


def days_to_ingest(spark: SparkSession, lake: Lake, ds: str, drops: DropFolder) -> list[DayToIngest]:
    """Lists the days up to `ds` that `jobs.ingest` must read.

    Opens only files that are new, or whose size or time differs from what the lake noted.

    Raises:
        NightError: the shop has no drop at all.
    """
    shop = drops.shop
    days = drops.days(shop.events, ds)
    if not days:
        where = drops.path(shop.events, ds)
        raise NightError(
            f"{shop.name} has no drop up to {ds}; none lies at {where}. Set NIGHTJAR_DATA.{drops.other_place(ds)}"
        )
    found = {day: found_files(shop, drops, day) for day in days}
    changed = [day for day in days if not _is_current(lake, day, found[day], shop)]
    by_day: dict[str, list[DroppedFile]] = {}
    for file in hashed_files(spark, [file for day in changed for file in found[day]]):
        by_day.setdefault(file.ds, []).append(file)
    plans = [DayToIngest(day, tuple(files), day_fingerprint(day, files, shop)) for day, files in by_day.items()]
    return [plan for plan in plans if not _has_fingerprint(lake.current(EVENTS, plan.ds), plan.fingerprint)]


def required_columns(shop: Shop) -> dict[str, list[str]]:
    """Maps each kind of file to every raw column that the shop file names for it."""
    required = {kind: set(raw_columns(raw)) for kind, raw in raw_files(shop).items()}
    required["events"] |= {*shop.items_from_events.values(), *shop.users_from_events.values()}
    return {kind: sorted(names) for kind, names in required.items()}


def raw_columns(raw: RawFile) -> list[str]:
    """Returns every raw column that the shop file names for one kind of file."""
    others = [name for names in raw.fallback_columns.values() for name in names]
    others += [name for name in (raw.time_of_day, raw.currency_column) if name]
    if raw.fill_down:
        others += [raw.fill_down.key, *raw.fill_down.columns]
    return sorted({*raw.columns.values(), *(rule.column for rule in raw.reject), *others})


def day_fingerprint(ds: str, files: list[DroppedFile], shop: Shop) -> str:
    """Returns everything that the rows of a day depend on: bytes, how the shop file maps them, and the code."""
    mappings = {kind: {k: v for k, v in asdict(raw).items() if k != "path"} for kind, raw in raw_files(shop).items()}
    hashes = sorted([file.kind, file.sha256] for file in files)
    derived = [shop.items_from_events, shop.users_from_events]
    return fingerprint_of(
        "drop", ds, code_version("jobs.ingest"), shop.name, mappings, derived, shop.drops.max_user_events, hashes
    )


def found_files(shop: Shop, drops: DropFolder, ds: str) -> list[DroppedFile]:
    """Returns the files of the drop of `ds` that are there, not yet opened."""
    return [
        dropped_file(kind, ds, path, info)
        for kind, raw in raw_files(shop).items()
        for path, info in drops.files(raw, ds).items()
    ]


def known_hash(version: Version | None, file: DroppedFile) -> str | None:
    """The hash of a file that a version of `events` came from, as far as size and time tell; None for any other."""
    for noted in version.metadata["files"] if version else ():
        if (noted["path"], noted["size"], noted["mtime"]) == (file.path, file.size, file.mtime):
            return str(noted["sha256"])
    return None


def _is_current(lake: Lake, ds: str, found: list[DroppedFile], shop: Shop) -> bool:
    """Tells whether the lake's version came from these very files, as far as size and time tell."""
    version = lake.current(EVENTS, ds)
    if version is None or len(found) != len(version.metadata["files"]):
        return False
    known = [replace(file, sha256=known_hash(version, file) or "") for file in found]
    return all(file.sha256 for file in known) and _has_fingerprint(version, day_fingerprint(ds, known, shop))


def _has_fingerprint(version: Version | None, fingerprint: str) -> bool:
    return version is not None and version.fingerprint == fingerprint
