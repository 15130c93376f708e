"""When a catalogue cannot be the shop's: half of it is gone or new at once, or the day's events do not know it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.shop.shop import Shop
from expectations.tables import NightError
from jobs.raw.drop_limits import FEW_ROWS

logger = logging.getLogger(__name__)

_WARN_SHARE = 0.05
"""Of a day's events; an export of the catalogue in the morning does not know what came at noon."""
_WAYS_TO_WRITE: dict[str, Callable[[Column], Column]] = {
    "upper and lower case": F.lower,
    "zeros at their beginning": lambda item: F.regexp_replace(item, "^0+(?=.)", ""),
    # SKU-1, or gid://shopify/Product/1, beside 1.
    "what stands before their last part": lambda item: F.lower(F.regexp_extract(item, r"([^\W_]+)$", 1)),
}
"""What two exports of one shop differ in -> the part of an id that they share then."""


@dataclass(frozen=True)
class CatalogueChange:
    """How the full items file of a day differs from the one before it.

    Attributes:
        before: day of the earlier file.
        num_before, num_now: items of either.
        num_left, num_entered: items that are in one of them alone.
        left, entered: one of these, None where there is none.
    """

    before: str
    num_before: int
    num_now: int
    num_left: int
    num_entered: int
    left: str | None
    entered: str | None


def catalogue_changes(filed: DataFrame, previous: Mapping[str, str]) -> dict[str, CatalogueChange]:
    """Compares items files with those before them.

    Args:
        filed: `ds` and `item_id` of the accepted rows of all files that are compared.
        previous: day of a file -> day of the file before it, as `files_before` tells.
    """
    followers = F.create_map(*(F.lit(day) for pair in previous.items() for day in reversed(pair)))
    now = filed.where(F.col("ds").isin(*previous)).select(
        F.col("ds").alias("day"), "item_id", F.lit(True).alias("is_now")
    )
    day_after = F.try_element_at(followers, F.col("ds"))
    before = filed.select(day_after.alias("day"), "item_id", F.lit(False).alias("is_now")).where("day is not null")
    items = (
        now.unionByName(before)
        .groupBy("day", "item_id")
        .agg(F.max("is_now").alias("is_now"), (~F.min("is_now")).alias("is_before"))
    )
    has_left, has_entered = ~F.col("is_now"), ~F.col("is_before")
    found = items.groupBy("day").agg(
        F.count_if("is_before"),
        F.count_if("is_now"),
        F.count_if(has_left),
        F.count_if(has_entered),
        F.min(F.when(has_left, F.col("item_id"))),
        F.min(F.when(has_entered, F.col("item_id"))),
    )
    return {day: CatalogueChange(previous[day], *values) for day, *values in found.collect()}


def files_before(new_days: Collection[str], other_days: Collection[str], min_earlier: int) -> dict[str, str]:
    """Returns the day of the file before each new one, where there are at least `min_earlier` before it."""
    days = sorted({*new_days, *other_days})
    return {
        day: before for day, before in zip(days[min_earlier:], days[min_earlier - 1 :], strict=False) if day in new_days
    }


def require_steady_catalogue(shop: Shop, changes: Mapping[str, CatalogueChange]) -> None:
    """Checks which share of the catalogue entered and left with each full items file.

    Raises:
        NightError: one file took away, or brought, more than the shop allows.
    """
    for ds, change in sorted(changes.items()):
        where = f"{shop.name} items file of {ds}"
        if change.num_left > shop.drops.max_leaving_share * change.num_before:
            raise NightError(
                f"{where}: {change.num_left} of the {change.num_before} items of {change.before} are not in it, such "
                f"as {change.left!r}, above max_leaving_share={shop.drops.max_leaving_share}. Drop the file again, "
                "whole and with the ids of before, or raise max_leaving_share under [drops]."
            )
        if change.num_entered > shop.drops.max_entering_share * change.num_now:
            raise NightError(
                f"{where}: {change.num_entered} of its {change.num_now} items were not in that of {change.before}, "
                f"such as {change.entered!r}, above max_entering_share={shop.drops.max_entering_share}. Drop the file "
                "again with the ids of before, or raise max_entering_share under [drops]."
            )


def require_known_items(shop: Shop, ds: str, events: DataFrame, items: DataFrame) -> None:
    """Holds the ids of a day's events against those of the catalogue.

    Where events alone may tell of items, or those of the day are few, nothing is asked.

    Args:
        events: of `ds`.
        items: the catalogue as of `ds`.

    Raises:
        NightError: more events than the shop allows are of items that no items file ever named.
    """
    if shop.items is None or shop.items_from_events:
        return
    known = items.where("is_filed").select("item_id")
    judged = events.groupBy("item_id").count().join(known.withColumn("is_known", F.lit(True)), "item_id", "left")
    sums = judged.agg(F.sum("count"), F.sum(F.when(F.isnull("is_known"), F.col("count"))))
    (num_events, num_unknown), *_ = sums.collect()
    if (num_events or 0) < FEW_ROWS or (num_unknown or 0) <= _WARN_SHARE * num_events:
        return
    finding = (
        f"{shop.name} drop of {ds}: {num_unknown} of {num_events} events are of items that no items file ever named; "
        f"{_both_sides(judged.where('is_known is null').select('item_id', 'count'), known)}"
    )
    share = shop.drops.max_unknown_item_share
    if num_unknown > share * num_events:
        raise NightError(
            f"{finding} This is above max_unknown_item_share={share}. Export the same ids in both, or raise "
            "max_unknown_item_share under [drops]."
        )
    logger.warning("%s", finding)


def _both_sides(unknown: DataFrame, known: DataFrame) -> str:
    """Says how either side writes ids, and in what they would agree."""
    most_frequent = [row["item_id"] for row in unknown.orderBy(F.desc("count"), "item_id").limit(3).collect()]
    first = [row["item_id"] for row in known.orderBy("item_id").limit(3).collect()]
    sides = f"events say {_listed(most_frequent)}, the catalogue {_listed(first)}."
    alike = {difference: _alike(unknown, known, shared) for difference, shared in _WAYS_TO_WRITE.items()}
    difference, (num_alike, of_events, of_catalogue) = max(alike.items(), key=lambda found: found[1][0])
    if not num_alike:
        return sides
    return (
        f"{sides} But for {difference}, {num_alike} of the unknown ids would be known: "
        f"events say {of_events!r}, the catalogue {of_catalogue!r}."
    )


def _alike(unknown: DataFrame, known: DataFrame, shared: Callable[[Column], Column]) -> tuple[int, str, str]:
    """Returns how many unknown ids share a part with known ones, and a pair that does."""
    of_events, of_catalogue = (
        ids.select(F.col("item_id").alias(name), shared(F.col("item_id")).alias("shared"))
        for ids, name in ((unknown, "of_events"), (known, "of_catalogue"))
    )
    pairs = of_events.where("shared != ''").join(of_catalogue, on="shared")
    found = pairs.agg(F.count_distinct("of_events"), F.min(F.struct("of_events", "of_catalogue")))
    (num_alike, pair), *_ = found.collect()
    return (num_alike, *pair) if num_alike else (0, "", "")


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(map(repr, ids)) or "nothing"
