"""Events that a drop before holds already, as exports of the last days repeat them."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.shop.shop import Shop
from expectations.tables import EVENTS
from jobs.raw.reject_rules import REPEAT
from jobs.raw.timestamps import day_of

LOOK_BACK_DAYS = 7
"""How far a shop that names no `duplicate_days` is looked at: exports repeat a day, some days or a week."""


def with_repeats_marked(rows: DataFrame, earlier: DataFrame, shop: Shop) -> DataFrame:
    """Gives accepted events that a drop of the `duplicate_days` before holds the reason `repeat_of_earlier_day`.

    Args:
        rows: as `jobs.raw.events.all_events` returns them; they are read twice.
        earlier: `events` of the days before that are not among `rows`.
    """
    marked = _with_repeats_found(rows, earlier, shop, shop.drops.duplicate_days)
    return marked.withColumn("reason", F.coalesce("reason", F.when(F.col("is_repeat"), F.lit(REPEAT)))).drop(
        "is_repeat"
    )


def num_repeats(rows: DataFrame, earlier: DataFrame, shop: Shop) -> dict[str, int]:
    """Counts, of each day that has some, the accepted events that a drop of LOOK_BACK_DAYS before holds, too."""
    found = _with_repeats_found(rows, earlier, shop, LOOK_BACK_DAYS).where("is_repeat")
    return {str(row["ds"]): int(row["count"]) for row in found.groupBy("ds").count().collect()}


def _with_repeats_found(rows: DataFrame, earlier: DataFrame, shop: Shop, num_days: int) -> DataFrame:
    """Adds `is_repeat`."""
    contract = EVENTS.column_names
    before = rows.where(F.isnull("reason")).select(*contract).unionByName(earlier.select(*contract))
    # What happened on the day of its drop cannot stand in a drop before it.
    is_late = F.isnull("reason") & (day_of(F.col("event_time"), shop.drops.day_timezone) < F.to_date("ds"))
    found = []
    for kind, raw in shop.event_sources.items():
        # Clicks and orders may stand in files of their own, which the key of either does not tell apart.
        key = sorted({*raw.event_key, "event_type"})
        days = before.groupBy(*(F.col(name).alias(f"before_{name}") for name in key)).agg(
            F.collect_set("ds").alias("days_before")
        )
        is_same = reduce(lambda one, other: one & other, (F.col(n).eqNullSafe(F.col(f"before_{n}")) for n in key))
        of_kind = rows.where(F.col("kind") == kind).withColumn("is_late", is_late)
        both = of_kind.join(days, on=is_same & F.col("is_late"), how="left")
        is_repeat = F.coalesce(F.exists("days_before", _is_shortly_before(num_days)), F.lit(False))
        found.append(both.withColumn("is_repeat", is_repeat).select(*rows.columns, "is_repeat"))
    return reduce(DataFrame.unionByName, found)


def _is_shortly_before(num_days: int) -> Callable[[Column], Column]:
    first = F.date_format(F.date_sub(F.to_date("ds"), num_days), "yyyy-MM-dd")
    return lambda day: (day < F.col("ds")) & (day >= first)
