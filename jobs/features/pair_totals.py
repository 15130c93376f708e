"""Builds `pair_totals`: what each user and item had to do with each other, summed over the log up to an anchor day.

Reads the sums of the anchor before, and the `events` since. Sums, firsts and lasts can be added up in any order, so
the rows are the same as from the whole log. Safe to re-run: the partition is replaced, or left alone when nothing
changed.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version
from expectations.shop.shop import Shop
from expectations.tables import EVENT_TYPES, PAIR_TOTALS, VOCABULARIES
from jobs.features.user_retention import keep_retained, retained_events
from jobs.features.vocabulary_index import with_index
from jobs.storage.log_as_of import LogAsOf, base_day, build_from_log, read_base
from jobs.storage.partitions import read_partition

PAIR = ("user_index", "item_index")
_COUNTS = tuple(f"num_{event_type}s" for event_type in EVENT_TYPES)
_FIRSTS = ("first_other_time", "first_purchase_time")
_LASTS = ("last_other_time", "last_purchase_time")
_UNITS = "decimal(28,6)"
"""Exact, so that 0.1 + 0.2 - 0.3 is nothing, in whatever order it is added."""


def build_pair_totals(spark: SparkSession, log: LogAsOf, shop: Shop) -> Version:
    """Builds the partition of `log.until`, which is an anchor."""
    return build_from_log(log, shop, PAIR_TOTALS, code_version(__name__), lambda: totals_up_to(spark, log, shop))


def totals_up_to(spark: SparkSession, log: LogAsOf, shop: Shop) -> DataFrame:
    """Returns the totals of any day: those that it goes on from, and the events since."""
    base = base_day(log, shop, PAIR_TOTALS, code_version(__name__))
    vocabularies = read_partition(spark, log.lake, VOCABULARIES, log.until)
    since = totals_of_events(indexed(retained_events(spark, log, shop, base), vocabularies))
    totals = added_up(read_base(spark, log.lake, PAIR_TOTALS, base), since) if base else since
    return keep_retained(spark, log, shop, totals)


def indexed(events: DataFrame, vocabularies: DataFrame) -> DataFrame:
    """Returns events with `user_index` and `item_index`, the events of a user together."""
    # By user first: the grouping by pair, and whatever is put together per user, then needs no further exchange.
    events = with_index(events, vocabularies, "item_id", "item_id", "item_index", is_small=True)
    return with_index(events.repartition("user_id"), vocabularies, "user_id", "user_id", "user_index")


def totals_of_events(events: DataFrame) -> DataFrame:
    """Returns one row per pair of indexed events."""
    is_purchase, takes_back = F.col("event_type") == "purchase", is_taken_back()
    totals = events.groupBy("user_id", "user_index", "item_index").agg(
        *(
            F.count(F.when((F.col("event_type") == event_type) & ~takes_back, True)).alias(name)
            for event_type, name in zip(EVENT_TYPES, _COUNTS, strict=True)
        ),
        _units(F.sum(F.when(is_purchase, _units(F.col("quantity"))))).alias("units_kept"),
        *_first_and_last(~is_purchase, "other"),
        *_first_and_last(is_purchase & ~takes_back, "purchase"),
    )
    return totals.drop("user_id")


def added_up(*parts: DataFrame) -> DataFrame:
    """Returns totals over several stretches of the log, as those of the whole."""
    columns = [*PAIR, *_COUNTS, "units_kept", *_FIRSTS, *_LASTS]
    rows = parts[0].select(*columns)
    for part in parts[1:]:
        rows = rows.unionByName(part.select(*columns))
    return rows.groupBy(*PAIR).agg(
        *(F.sum(name).alias(name) for name in _COUNTS),
        _units(F.sum("units_kept")).alias("units_kept"),
        *(F.min(name).alias(name) for name in _FIRSTS),
        *(F.max(name).alias(name) for name in _LASTS),
    )


def is_taken_back() -> Column:
    """Tells whether an event is a line that takes a purchase back, and no event of its own."""
    return (F.col("event_type") == "purchase") & (F.col("quantity") <= 0)


def came_back() -> Column:
    """Tells whether nothing was kept of a pair's purchases: what a shop took back says nothing of a taste."""
    return (F.col("num_purchases") > 0) & (F.col("units_kept") <= 0)


def returnable() -> Column:
    """Tells whether it did, or could without anything more being taken back: a return may lie before its purchase."""
    return came_back() | (F.col("units_kept") < 0)


def _units(value: Column) -> Column:
    return F.coalesce(value.cast(_UNITS), F.lit(0).cast(_UNITS))


def _first_and_last(condition: Column, kind: str) -> list[Column]:
    time = F.when(condition, F.col("event_time"))
    return [F.min(time).alias(f"first_{kind}_time"), F.max(time).alias(f"last_{kind}_time")]
