"""Takes raw drops into the lake, then builds the catalogue and the users of the day.

Reads every drop up to `ds` that the lake lacks, or whose bytes, mapping or code have changed, in passes over so many
days as a small machine holds at once. Writes `events`, `quarantine`, `item_updates` and `user_updates`, one partition a
drop day, then what the run reads from now on (`expectations.runtime.run_pins`), and `items` and `users` of `ds` and of
the anchor that they go on from. Nothing of a pass becomes current
before all of its days are read, checked and written; `events` of a day comes last, so that a night that was killed
finds the day unfinished and does it again. A day that is current is not read again.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.days import END_OF_TIME
from expectations.runtime.lake import Lake, fingerprint_of
from expectations.runtime.program import Night, night_from, night_parser, pinned_night, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, ITEM_UPDATES, ITEMS, QUARANTINE, USER_UPDATES, NightError, Table
from jobs.features.items import build_items
from jobs.features.users import build_users
from jobs.raw.catalogue_limits import require_known_items
from jobs.raw.drop_counts import DropCounts, counts_of, examples_of, report_lines
from jobs.raw.drop_limits import guest_warnings, require_usable_drops
from jobs.raw.drop_readiness import require_drop
from jobs.raw.ingest_plan import (
    DayToIngest,
    DropsOnDisk,
    days_to_ingest,
    require_all_events,
    source_of,
)
from jobs.raw.item_user_updates import item_updates, user_updates, users_from_events
from jobs.raw.judged_drops import ValidatedRows, by_kind, checked_counts, validated_drops
from jobs.raw.table_snapshots import take_snapshots
from jobs.storage.daily_partitions import write_days
from jobs.storage.log_as_of import LogAsOf
from jobs.storage.partitions import read_versions

logger = logging.getLogger(__name__)

BYTES_A_PASS = 128 * 2**20
"""Of raw files. A pass keeps its validated rows while it writes them to several tables; years of them would not fit."""


def ingest(spark: SparkSession, night: Night, bytes_a_pass: int = BYTES_A_PASS) -> None:
    """Brings the lake up to the drop of `night.ds`; see the module.

    Raises:
        NightError: the drop of `ds` is missing or unfinished, or a drop that is to be read cannot be used.
    """
    drops = night.drop_folder
    require_drop(drops, night.ds, night.now)
    plans = days_to_ingest(spark, night.lake, night.ds, drops)
    if not plans:
        logger.info("all drops are in the lake: ds=%s", night.ds)
    for days in passes(plans, bytes_a_pass):
        ingest_days(spark, night.lake, days, night.shop)
    build_catalogue(spark, pinned_night(night))


def build_catalogue(spark: SparkSession, night: Night) -> None:
    """Builds `items` and `users` of the night from what it pinned, and holds the day's events against the items.

    Raises:
        NightError: most of the day's events are of items that no items file ever named.
    """
    log = LogAsOf.of(night.lake, night.ds)
    # The catalogue of a day goes on from that of its anchor.
    for day in (log.as_of(log.anchor), log):
        items = build_items(spark, day, night.shop)
        build_users(spark, day, night.shop)
    if night.ds in log.versions[EVENTS.name]:
        events = read_versions(spark, EVENTS, [log.versions[EVENTS.name][night.ds]])
        require_known_items(night.shop, night.ds, events, read_versions(spark, ITEMS, [items]))


def passes(plans: Sequence[DayToIngest], bytes_a_pass: int) -> list[list[DayToIngest]]:
    """The days in their order, cut where their files would exceed `bytes_a_pass`; a larger day has its own pass."""
    cut: list[list[DayToIngest]] = []
    room = 0
    for plan in plans:
        size = sum(file.size for file in plan.files)
        if size > room or not cut:
            cut.append([])
            room = bytes_a_pass
        cut[-1].append(plan)
        room -= size
    return cut


def ingest_days(spark: SparkSession, lake: Lake, plans: Sequence[DayToIngest], shop: Shop) -> None:
    """Reads, checks, writes and commits the drops of several days together."""
    num_files = sum(len(plan.files) for plan in plans)
    logger.info("reading drops: days=%d files=%d from=%s to=%s", len(plans), num_files, plans[0].ds, plans[-1].ds)
    with validated_drops(spark, lake, plans, shop) as validated:
        counts = checked_counts(spark, lake, plans, validated, shop)
        _write_and_commit(spark, lake, plans, validated, counts, shop)


def _write_and_commit(
    spark: SparkSession,
    lake: Lake,
    plans: Sequence[DayToIngest],
    validated: ValidatedRows,
    counts: Mapping[str, Mapping[str, DropCounts]],
    shop: Shop,
) -> None:
    days = [plan.ds for plan in plans]
    batch = f"{fingerprint_of([plan.fingerprint for plan in plans])}-{uuid.uuid4().hex[:8]}"
    written = write_days(spark, lake, _tables(shop, validated), days, batch)
    for table, by_day in written.items():
        logger.info("wrote: table=%s days=%d rows=%d", table.name, len(days), sum(day.rows for day in by_day.values()))
    for plan in plans:
        for table, by_day in written.items():
            day = by_day[plan.ds]
            metadata = _metadata(plan, counts) if table is EVENTS else {}
            lake.commit(table, plan.ds, day.path, plan.fingerprint, day.rows, **metadata)
    logger.info("committed: days=%d from=%s to=%s", len(days), days[0], days[-1])


def _tables(shop: Shop, validated: ValidatedRows) -> dict[Table, DataFrame]:
    """Returns the tables of a drop, in the order of their commits: `events` vouches for the others."""
    accepted = {source: rows.where(F.col("reason").isNull()) for source, rows in validated.items()}
    rejected = [
        rows.where(F.col("reason").isNotNull()).select(
            "ds", F.lit(source).alias("source"), "reason", "file", "line", "raw"
        )
        for source, rows in validated.items()
    ]
    quarantine = rejected[0]
    for rows in rejected[1:]:
        quarantine = quarantine.unionByName(rows)
    items = item_updates(accepted["events"], accepted.get("items"), shop)
    users = user_updates(users_from_events(accepted["events"], shop), accepted.get("users"))
    # A day of these is small: one file each, or every later night opens thousands of them. Events are spread already.
    small = {QUARANTINE: quarantine, ITEM_UPDATES: items, USER_UPDATES: users}
    return {**{table: rows.repartition("ds") for table, rows in small.items()}, EVENTS: accepted["events"]}


def _metadata(plan: DayToIngest, counts: Mapping[str, Mapping[str, DropCounts]]) -> dict[str, Any]:
    of_day = {kind: by_day[plan.ds] for kind, by_day in counts.items() if plan.ds in by_day}
    return {
        "files": [file.metadata for file in plan.files],
        "rows_read": {kind: count.rows for kind, count in of_day.items()},
        "rejected": {kind: dict(count.rejected) for kind, count in of_day.items()},
        "odd_cells": {kind: dict(count.odd_cells) for kind, count in of_day.items()},
    }


def look_at_drop(spark: SparkSession, night: Night) -> str:
    """Tells what would become of the drop of `night.ds`, and takes nothing in.

    Returns:
        Lines to read: of each kind of file how many rows are accepted, and rejected by reason with up to three of them.

    Raises:
        NightError: the drop is missing, or a file of it cannot be read.
    """
    shop, drops = night.shop, night.drop_folder
    days = drops.days(END_OF_TIME)
    if night.ds not in days:
        raise NightError(f"{drops.path(shop.events, night.ds)}: no drop of {night.ds}.{drops.other_place(night.ds)}")
    require_all_events(drops, night.ds)
    take_snapshots(drops, [night.ds], night.ds)
    files = DropsOnDisk(night.lake, drops, days).now(night.ds)
    lines = []
    with validated_drops(spark, night.lake, [DayToIngest(night.ds, tuple(files), "")], shop) as validated:
        all_counts = counts_of(by_kind(validated, shop))
        for kind, rows in by_kind(validated, shop).items():
            counts = all_counts[kind].get(night.ds, DropCounts())
            lines += report_lines(kind, counts, examples_of(rows, night.ds))
            try:
                require_usable_drops(shop, {kind: {night.ds: counts}}, {})
            except NightError as err:
                lines.append(f"  A night would stop: {err}")
            if source_of(kind) == "events":
                lines += [f"  A night would warn: {warning}" for warning in guest_warnings(shop, {night.ds: counts})]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Ingests the drops up to `--ds`, or looks at the one of `--ds`."""
    parser = night_parser(__doc__)
    parser.add_argument("--check", action="store_true", help="say what would become of the drop of DS; take nothing in")
    arguments = parser.parse_args(argv)
    night, spark = night_from(arguments, is_pinned=False), session_from_environment("ingest")
    if arguments.check:
        print(look_at_drop(spark, night))
    else:
        ingest(spark, night)


if __name__ == "__main__":
    run_program(main)
