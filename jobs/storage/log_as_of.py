"""The log as it stood when a day ended, and what may be taken over from an earlier day instead of reading it again.

The tables of a day follow from the log up to that day, the shop file and the code alone; that is their fingerprint.
*How* they are computed is another matter. A day in the middle of a week goes on from its anchor, an anchor from the one
before it where the lake still holds that one as it would come out today, and otherwise from the beginning of the log.
Both ways give the same rows, so that what was built before is a cache and never a dependency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.input_fingerprint import MADE_FROM, made_from_log
from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, ITEM_UPDATES, USER_UPDATES, Table
from jobs.storage.partitions import put_partition, read_partition, read_versions
from jobs.storage.weekly_anchors import anchor_for, previous_anchor

LOG_TABLES = (EVENTS, ITEM_UPDATES, USER_UPDATES)


@dataclass(frozen=True)
class LogAsOf:
    """The log up to the end of `until`. Its pointers are read once, because there are hundreds of them."""

    lake: Lake
    until: str
    versions: Mapping[str, Mapping[str, Version]]
    """Table name -> day -> current version, the days in order."""

    @classmethod
    def of(cls, lake: Lake, until: str) -> LogAsOf:
        """Looks up what the log holds up to `until`."""
        return cls(lake, until, {table.name: lake.versions(table, until) for table in LOG_TABLES})

    def as_of(self, day: str) -> LogAsOf:
        """Returns the same log as of a day before."""
        earlier = {
            name: {ds: version for ds, version in by_day.items() if ds <= day} for name, by_day in self.versions.items()
        }
        return LogAsOf(self.lake, day, earlier)

    @cached_property
    def first_day(self) -> str | None:
        """The first day that holds events or a catalogue."""
        return min((next(iter(self.versions[t.name])) for t in LOG_TABLES[:2] if self.versions[t.name]), default=None)

    @cached_property
    def anchor(self) -> str:
        """The day whose vocabularies and sums the tables of `until` go on from; see `jobs.storage.weekly_anchors`."""
        return anchor_for(self.until, self.first_day)

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that the log holds."""
        return fingerprint_of(
            [[name, ds, v.fingerprint] for name, days in sorted(self.versions.items()) for ds, v in days.items()]
        )

    def read(self, spark: SparkSession, table: Table, after: str | None = None) -> DataFrame:
        """Returns the days of a log table after `after`, or all of them."""
        days = self.versions[table.name].items()
        return read_versions(spark, table, [version for ds, version in days if after is None or ds > after])


def build_from_log(
    log: LogAsOf, shop: Shop, table: Table, code: str, rows: Callable[[], DataFrame], **metadata: Any
) -> Version:
    """Builds the partition of `log.until`, unless it is there as it would come out; `metadata` are noted with it."""
    metadata[MADE_FROM] = made_from_log(log.versions[EVENTS.name], shop)
    return put_partition(log.lake, table, log.until, _fingerprint(log, shop, table, code), rows, **metadata)


def base_day(log: LogAsOf, shop: Shop, table: Table, code: str) -> str | None:
    """The day whose partition of `table` that of `log.until` goes on from; None: it starts from an empty log."""
    if log.until != log.anchor:
        return log.anchor
    before = previous_anchor(log.anchor, log.first_day)
    return before if before is not None and _is_built(log.as_of(before), shop, table, code) else None


def read_base(spark: SparkSession, lake: Lake, table: Table, base: str | None) -> DataFrame:
    """Returns the rows to go on from: none without a base."""
    return read_versions(spark, table, [lake.require(table, base)] if base else [])


def last_known(name: str, is_known: Column | None = None) -> Column:
    """Returns an aggregate: the value of the latest day that gave one. One update a day, so that days do not tie.

    Args:
        is_known: whether a row gives a value; without it, where the column is not null.
    """
    is_known = F.col(name).isNotNull() if is_known is None else is_known
    return F.max_by(name, F.when(is_known, F.col("ds")))


def sums_up_to(
    spark: SparkSession,
    log: LogAsOf,
    shop: Shop,
    table: Table,
    add_up: Callable[[SparkSession, LogAsOf, Shop], DataFrame],
) -> DataFrame:
    """Returns what `table`, which anchors have, would hold on any day: an anchor has it, other days add it up."""
    if log.until == log.anchor:
        return read_partition(spark, log.lake, table, log.until)
    return add_up(spark, log, shop)


def _is_built(log: LogAsOf, shop: Shop, table: Table, code: str) -> bool:
    return log.lake.reuse(table, log.until, _fingerprint(log, shop, table, code)) is not None


def _fingerprint(log: LogAsOf, shop: Shop, table: Table, code: str) -> str:
    return fingerprint_of(table.name, log.until, code, log.fingerprint, _settings(shop))


def _settings(shop: Shop) -> list[Any]:
    """Returns every setting of a shop that preprocessing looks at."""
    return [
        shop.items is not None,
        shop.items_file,
        shop.event_weights,
        shop.max_history,
        shop.session_pause_minutes,
        shop.sold_within_days,
        shop.retention_days,
        shop.max_values,
        shop.min_value_count,
    ]
