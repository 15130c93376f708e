"""Turns the raw rows of a shop's events files into rows of `events`, or gives each the reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import EVENT_TYPES
from jobs.raw.ingest_plan import required_columns
from jobs.raw.reject_rules import (
    DUPLICATE,
    GUEST,
    MAX_QUANTITY,
    OTHER_EVENT,
    TOO_MANY_EVENTS,
    UNIT,
    RejectCondition,
    exchange_rate,
    first_reject_reason,
    id_rules,
    mapped_id,
    mapped_number,
    mapped_text,
    mapped_time,
    odd_cells,
    plausible_price,
    price_oddities,
    raw_row,
    raw_text,
    shop_rules,
    with_filled_cells,
)
from jobs.raw.timestamps import start_of_day

_PLACE = ("ds", "file", "line", "place")


def validated_events(
    raw_rows: Mapping[str, DataFrame], shop: Shop, tasks_per_day: int, first_day: str = ""
) -> DataFrame:
    """Returns every raw row of the events files with the reason why it is rejected.

    Args:
        raw_rows: kind of events files, of `Shop.event_sources`, -> its rows as `jobs.raw.raw_rows` reads them.
        tasks_per_day: into how many parts the rows of a day are spread.
        first_day: of the shop's first drop, which may hold events of any day before it.

    Returns:
        `ds`, `kind`, `reason` (null for accepted rows), `raw`, `file` and `line`, `odd` (reasons why optional cells are
        unknown, null when none is), the columns of `events`, and what the shop file maps in `items_from_events` and
        `users_from_events`, as text, under `item_<column>` and `user_<column>`; with a price, `item_rate`, see
        `jobs.raw.reject_rules.exchange_rate`.
    """
    of_kinds = [_validated_kind(kind, rows, shop, tasks_per_day, first_day) for kind, rows in raw_rows.items()]
    rows = _with_robots_marked(reduce(DataFrame.unionByName, of_kinds), shop)
    return rows.withColumn("raw", F.when(F.isnotnull("reason"), F.col("raw"))).drop("owner", "part")


def _validated_kind(kind: str, raw_rows: DataFrame, shop: Shop, tasks_per_day: int, first_day: str) -> DataFrame:
    raw, names = shop.event_sources[kind], required_columns(shop)[kind]
    carried = _carried(shop, names)
    # In steps, because Spark computes a value that several rules look at only once when it is a column by then.
    values = with_filled_cells(raw_rows, raw).select(
        *_PLACE,
        raw_row(names).alias("raw"),
        *_values(raw),
        *(text.alias(name) for name, text in carried.items()),
    )
    rows = values.select(
        *_PLACE,
        F.lit(kind).alias("kind"),
        _reason(shop, raw, first_day).alias("reason"),
        "raw",
        _odd(shop).alias("odd"),
        *_event_columns(shop),
        *carried,
        *([F.col("rate").alias("item_rate")] if "price" in shop.items_from_events else []),
    )
    return _with_repeats_marked(rows, raw, tasks_per_day)


def _carried(shop: Shop, names: Sequence[str]) -> dict[str, Column]:
    """Returns what events carry about items and users, as text; files of another kind carry nothing.

    Args:
        names: of the raw columns that files of this kind have.
    """
    carried = {}
    for of, mapped in (("item", shop.items_from_events), ("user", shop.users_from_events)):
        for column, name in sorted(mapped.items()):
            carried[f"{of}_{column}"] = raw_text(name) if name in names else F.lit(None).cast("string")
    return carried


def _values(raw: RawFile) -> list[Column]:
    """Returns every value that a rule or a column needs, read from its text but not yet validated."""
    quantity = mapped_number(raw, "quantity")
    price = mapped_number(raw, "price") / raw.money_scale
    if raw.price_is == "line":
        price = F.when(quantity != 0, price / quantity).otherwise(price)
    return [
        F.col("fault"),
        F.col("not_text"),
        first_reject_reason(shop_rules(raw.reject)).alias("shop_reason"),
        mapped_time(raw, "event_time").alias("event_time"),
        mapped_id(raw, "user_id").alias("user_id"),
        mapped_id(raw, "item_id").alias("item_id"),
        _event_type(raw).alias("event_type"),
        mapped_text(raw, "quantity").alias("quantity_text"),
        quantity.alias("quantity"),
        mapped_text(raw, "price").alias("price_text"),
        price.alias("price"),
        exchange_rate(raw).alias("rate"),
        *(mapped_text(raw, name).alias(name) for name in ("session_id", "domain")),
    ]


def _reason(shop: Shop, raw: RawFile, first_day: str) -> Column:
    rules = first_reject_reason(_contract_rules(shop, raw, first_day))
    return F.coalesce(F.col("fault"), F.col("shop_reason"), rules)


def _contract_rules(shop: Shop, raw: RawFile, first_day: str) -> list[RejectCondition]:
    zone = shop.drops.day_timezone
    day_after = start_of_day(F.date_add(F.to_date("ds"), 1), zone)
    earliest = start_of_day(F.date_sub(F.to_date("ds"), shop.drops.max_days_off), zone)
    known_from = start_of_day(F.date_sub(F.to_date("ds"), shop.drops.duplicate_days), zone)
    is_later_drop = F.col("ds") != first_day
    is_other = ~F.coalesce(F.col("event_type").isin(*EVENT_TYPES), F.lit(False))
    other = OTHER_EVENT if raw.other_event_types == "ignore" else "unknown_event_type"
    return [
        # What the shop has no use for need not have an item.
        *([(other, is_other)] if other == OTHER_EVENT else []),
        *([(GUEST, F.isnull("user_id"))] if raw.missing_user == "ignore" else []),
        *id_rules(F.col("user_id"), "user_id", raw),
        *id_rules(F.col("item_id"), "item_id", raw),
        ("unreadable_time", F.col("event_time").isNull()),
        ("future", F.col("event_time") >= day_after),
        ("far_from_its_day", (F.col("event_time") < earliest) & is_later_drop),
        *(
            [("older_than_duplicate_days", (F.col("event_time") < known_from) & is_later_drop)]
            if shop.drops.duplicate_days
            else []
        ),
        *([(other, is_other)] if other != OTHER_EVENT else []),
    ]


def _odd(shop: Shop) -> Column:
    quantity, item_price = F.col("quantity"), F.col("item_price" if "price" in shop.items_from_events else "price_text")
    oddities = {
        "unreadable_quantity": F.col("quantity_text").isNotNull() & quantity.isNull(),
        "implausible_quantity": F.abs(quantity) > MAX_QUANTITY,
        **dict(price_oddities(F.col("price_text"), F.col("price"), F.col("rate"))),
    }
    # Where the events of a shop have no price, what they tell of items may have one.
    oddities["unknown_currency"] |= F.isnull("price_text") & item_price.isNotNull() & F.isnull("rate")
    return odd_cells(list(oddities.items()))


def _event_columns(shop: Shop) -> list[Column]:
    quantity = F.when(F.abs("quantity") <= MAX_QUANTITY, F.col("quantity"))
    return [
        *(F.col(name) for name in ("event_time", "user_id", "item_id", "event_type", "session_id")),
        F.coalesce(quantity, F.lit(1.0)).alias("quantity"),
        plausible_price(F.col("price") * F.col("rate")).alias("price"),
        # A shop without departments is one department, named like the shop.
        F.coalesce("domain", F.lit(shop.name)).alias("domain"),
    ]


def _event_type(raw: RawFile) -> Column:
    word = mapped_text(raw, "event_type")
    if not raw.event_types:
        return word
    pairs = [F.lit(text) for pair in sorted(raw.event_types.items()) for text in pair]
    return F.try_element_at(F.create_map(*pairs), word)


def _with_repeats_marked(rows: DataFrame, raw: RawFile, tasks_per_day: int) -> DataFrame:
    """Gives accepted rows that repeat an event the reason `duplicate`; adds the `owner` and the `part` of each row.

    Of rows that agree in the key, the first in the order of files and lines is kept; where rows are units, with the
    quantity of all.
    """
    owner = F.when(F.col("reason").isNull(), F.col("user_id"))
    # A day may be one of hundreds or the only one; the parts make use of all cores in both cases. Every key holds the
    # user, so that one shuffle serves all questions; refused rows, which may lack one, are spread by their text.
    part = F.pmod(F.xxhash64(F.coalesce(owner, F.concat("file", "line"))), F.lit(tasks_per_day))
    spread = rows.withColumn("owner", owner).withColumn("part", part).repartition("ds", "part")
    key = [name for name in raw.event_key if name != "user_id"]
    of_event = Window.partitionBy("ds", "part", "owner", *key)
    copy = F.row_number().over(of_event.orderBy("place"))
    if raw.rows_are == "units":
        units = F.sum(F.when(F.isnull("reason"), F.col("quantity"))).over(of_event)
        spread = spread.withColumns({"copy": copy, "quantity": F.coalesce(units, "quantity")})
        return spread.withColumn("reason", F.coalesce("reason", F.when(F.col("copy") > 1, F.lit(UNIT)))).drop("copy")
    return spread.withColumn("reason", F.coalesce("reason", F.when(copy > 1, F.lit(DUPLICATE))))


def _with_robots_marked(rows: DataFrame, shop: Shop) -> DataFrame:
    """Gives the accepted rows of robots the reason `too_many_events`, whichever file they stand in."""
    if not shop.drops.max_user_events:
        return rows
    of_user = Window.partitionBy("ds", "part", "owner")
    whole_day = of_user.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    num_events = F.count(F.when(F.col("reason").isNull(), 1)).over(whole_day)
    is_robot = num_events > shop.drops.max_user_events
    return rows.withColumn("reason", F.coalesce("reason", F.when(is_robot, F.lit(TOO_MANY_EVENTS))))
