"""The drops of several days, read and judged: why each row is rejected, if it is, and whether the days may go on.

Nothing is written here; `jobs.ingest` writes what passes.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.days import days_before
from expectations.runtime.lake import Lake, Version
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, ITEM_UPDATES
from jobs.raw.catalogue_limits import catalogue_changes, files_before, require_steady_catalogue
from jobs.raw.drop_counts import DropCounts, counts_of, examples_of
from jobs.raw.drop_limits import guest_warnings, require_no_repeats, require_usable_drops
from jobs.raw.events import validated_events
from jobs.raw.ingest_plan import DayToIngest, raw_files, required_columns, source_of
from jobs.raw.item_user_updates import validated_items, validated_users
from jobs.raw.joined_rows import read_completed_rows
from jobs.raw.repeated_events import LOOK_BACK_DAYS, num_repeats, with_repeats_marked
from jobs.storage.partitions import read_versions
from jobs.storage.picture_files import stored_pictures

logger = logging.getLogger(__name__)

ValidatedRows = Mapping[str, DataFrame]
"""`events`, `items`, `users` -> the rows of its files, each with the reason why it is rejected, or none."""


@contextmanager
def validated_drops(
    spark: SparkSession, lake: Lake, plans: Sequence[DayToIngest], shop: Shop
) -> Iterator[ValidatedRows]:
    """Gives the rows of all files of these days, which Spark keeps for as long as they are looked at."""
    tasks_per_day = max(1, int(spark.conf.get("spark.sql.shuffle.partitions") or 1) // len(plans))
    first_day = min([*lake.days(EVENTS)[:1], plans[0].ds])
    columns, kept = required_columns(shop), list[DataFrame]()
    events, others = dict[str, DataFrame](), dict[str, DataFrame]()
    for kind, raw in raw_files(shop).items():
        files = [file for plan in plans for file in plan.files if file.kind.partition("/")[0] == kind]
        if not any(file.kind == kind for file in files):
            continue
        rows = read_completed_rows(spark, kind, raw, files, columns[kind], stored_pictures(lake))
        if source_of(kind) == "events":
            events[kind] = rows
        else:
            others[kind] = validated_items(rows, shop, raw) if kind == "items" else validated_users(rows, raw)
    validated = {"events": validated_events(events, shop, tasks_per_day, first_day), **others}
    if shop.drops.duplicate_days:
        kept.append(validated["events"].persist(StorageLevel.MEMORY_AND_DISK))
        earlier = _earlier_events(spark, lake, plans, shop.drops.duplicate_days)
        validated["events"] = with_repeats_marked(validated["events"], earlier, shop)
    kept += [rows.persist(StorageLevel.MEMORY_AND_DISK) for rows in validated.values()]
    try:
        yield validated
    finally:
        for rows in kept:
            rows.unpersist()


def checked_counts(
    spark: SparkSession, lake: Lake, plans: Sequence[DayToIngest], validated: ValidatedRows, shop: Shop
) -> dict[str, dict[str, DropCounts]]:
    """Returns what was found in the files of each kind and day.

    Raises:
        NightError: a file cannot be read, or the files of a day must not go further.
    """
    counts = counts_of(by_kind(validated, shop))
    earlier = _check(lake, plans, counts, shop, lambda kind, ds: examples_of(by_kind(validated, shop)[kind], ds))
    _check_repeats(spark, lake, plans, validated["events"], counts, shop)
    _check_catalogue(spark, lake, plans, validated, shop, earlier.get("items", {}))
    return counts


def by_kind(validated: ValidatedRows, shop: Shop) -> dict[str, DataFrame]:
    """Returns the rows of each kind of file that came; events may have several."""
    others = {source: rows for source, rows in validated.items() if source != "events"}
    if not shop.more_events:
        return {"events": validated["events"], **others}
    return {kind: validated["events"].where(F.col("kind") == kind) for kind in shop.event_sources} | others


def _earlier_events(spark: SparkSession, lake: Lake, plans: Sequence[DayToIngest], num_days: int) -> DataFrame:
    """Returns the events of the lake that those of these days may repeat."""
    own = {plan.ds for plan in plans}
    near = {days_before(ds, back) for ds in own for back in range(1, num_days + 1)}
    versions = lake.versions(EVENTS, plans[-1].ds)
    return read_versions(spark, EVENTS, [version for ds, version in versions.items() if ds in near - own])


def _check_repeats(
    spark: SparkSession,
    lake: Lake,
    plans: Sequence[DayToIngest],
    events: DataFrame,
    counts: Mapping[str, Mapping[str, DropCounts]],
    shop: Shop,
) -> None:
    """Stops where an export repeats the days before it, and the shop does not say so."""
    by_source = [by_day for kind, by_day in counts.items() if source_of(kind) == "events"]
    firsts = [(ds, count.times[0]) for by_day in by_source for ds, count in by_day.items()]
    if shop.drops.duplicate_days or not any(first is not None and first[:10] < ds for ds, first in firsts):
        return
    accepted: Counter[str] = Counter()
    for by_day in by_source:
        accepted.update({ds: count.accepted for ds, count in by_day.items()})
    earlier = _earlier_events(spark, lake, plans, LOOK_BACK_DAYS)
    require_no_repeats(shop, accepted, num_repeats(events, earlier, shop))


def _check(
    lake: Lake,
    plans: Sequence[DayToIngest],
    counts: Mapping[str, Mapping[str, DropCounts]],
    shop: Shop,
    examples: Callable[[str, str], Mapping[str, Sequence[str]]],
) -> Mapping[str, Mapping[str, int]]:
    """Checks the files by their numbers; returns, of each kind of file, the days that the lake has and their rows."""
    for kind, by_day in counts.items():
        rejected, odd = (
            sum((Counter(of(count)) for count in by_day.values()), Counter[str]())
            for of in (attrgetter("rejected"), attrgetter("odd_cells"))
        )
        rows, accepted = sum(c.rows for c in by_day.values()), sum(c.accepted for c in by_day.values())
        logger.info(
            "validated rows: source=%s rows=%d accepted=%d rejected=%s odd_cells=%s",
            *(kind, rows, accepted, dict(rejected), dict(odd)),
        )
    # A file whose lines are all blank reaches Spark without a row.
    came: dict[str, dict[str, DropCounts]] = {}
    for plan in plans:
        for kind in {file.kind for file in plan.files} & counts.keys():
            came.setdefault(kind, {})[plan.ds] = counts[kind].get(plan.ds, DropCounts())
    days = {plan.ds for plan in plans}
    current = {ds: version for ds, version in lake.versions(EVENTS, plans[-1].ds).items() if ds not in days}
    earlier: dict[str, dict[str, int]] = {}
    for ds, version in current.items():
        for kind, rows in rows_by_kind(version).items():
            earlier.setdefault(kind, {})[ds] = rows
    require_usable_drops(shop, came, earlier, examples)
    for kind, by_day in counts.items():
        for warning in guest_warnings(shop, by_day) if source_of(kind) == "events" else ():
            logger.warning("%s", warning)
    return earlier


def _check_catalogue(
    spark: SparkSession,
    lake: Lake,
    plans: Sequence[DayToIngest],
    validated: ValidatedRows,
    shop: Shop,
    earlier_days: Collection[str],
) -> None:
    """Holds full items files against those before them."""
    came = {plan.ds for plan in plans if any(file.kind == "items" for file in plan.files)}
    previous = files_before(came, earlier_days, shop.drops.min_earlier_drops) if shop.items_file == "full" else {}
    if not previous:
        return
    in_lake = [lake.require(ITEM_UPDATES, ds) for ds in sorted({*previous.values()} - came)]
    filed = validated["items"].where("reason is null").select("ds", "item_id")
    earlier = read_versions(spark, ITEM_UPDATES, in_lake).where("is_filed").select("ds", "item_id")
    require_steady_catalogue(shop, catalogue_changes(filed.unionByName(earlier), previous))


def rows_by_kind(version: Version) -> dict[str, int]:
    """Returns how many rows of each kind of file a version of `events` came from."""
    rows = version.metadata["rows_read"]
    # Version 0.1.0 noted those of the events file alone.
    return {"events": rows} if isinstance(rows, int) else dict(rows)
