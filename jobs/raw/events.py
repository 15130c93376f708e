"""Turns the raw rows of a shop's events files into rows of `events`, or gives each the reason why not."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.shop.shop import Shop
from expectations.tables import EVENT_TYPES, EVENTS
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

_PLACE = ("ds", "file", "line")


def validated_events(raw_rows: DataFrame, shop: Shop, tasks_per_day: int, first_day: str = "") -> DataFrame:
    """Returns every raw row of the events files with the reason why it is rejected.

    Args:
        raw_rows: as `jobs.raw.raw_rows` reads them.
        tasks_per_day: into how many parts the rows of a day are spread.
        first_day: of the shop's first drop, which may hold events of any day before it.

    Returns:
        `ds`, `reason` (null for accepted rows), `raw`, `file` and `line`, `odd` (reasons why optional cells are
        unknown, null when none is), the columns of `events`, and what the shop file maps in `items_from_events` and
        `users_from_events`, as text, under `item_<column>` and `user_<column>`; with a price, `item_rate`, see
        `jobs.raw.reject_rules.exchange_rate`.
    """
    names = required_columns(shop)["events"]
    # In steps, because Spark computes a value that several rules look at only once when it is a column by then.
    values = with_filled_cells(raw_rows, shop.events).select(*_PLACE, raw_row(names).alias("raw"), *_values(shop))
    columns: list[str | Column] = [
        name for name in values.columns if name.startswith(("item_", "user_")) and name not in EVENTS.column_names
    ]
    if "price" in shop.items_from_events:
        columns.append(F.col("rate").alias("item_rate"))
    reason = _reason(shop, first_day).alias("reason")
    rows = values.select(*_PLACE, reason, "raw", _odd(shop).alias("odd"), *_event_columns(shop), *columns)
    return _with_repeats_marked(rows, shop, tasks_per_day).withColumn(
        "raw", F.when(F.isnotnull("reason"), F.col("raw"))
    )


def _values(shop: Shop) -> list[Column]:
    """Returns every value that a rule or a column needs, read from its text but not yet validated."""
    raw = shop.events
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
        _event_type(shop).alias("event_type"),
        mapped_text(raw, "quantity").alias("quantity_text"),
        quantity.alias("quantity"),
        mapped_text(raw, "price").alias("price_text"),
        price.alias("price"),
        exchange_rate(raw).alias("rate"),
        *(mapped_text(raw, name).alias(name) for name in ("session_id", "domain")),
        *(raw_text(name).alias(f"item_{column}") for column, name in sorted(shop.items_from_events.items())),
        *(raw_text(name).alias(f"user_{column}") for column, name in sorted(shop.users_from_events.items())),
    ]


def _reason(shop: Shop, first_day: str) -> Column:
    rules = first_reject_reason(_contract_rules(shop, first_day))
    return F.coalesce(F.col("fault"), F.col("shop_reason"), rules)


def _contract_rules(shop: Shop, first_day: str) -> list[RejectCondition]:
    day_after = F.date_add(F.to_date("ds"), 1).cast("timestamp")
    earliest = F.date_sub(F.to_date("ds"), shop.drops.max_days_off).cast("timestamp")
    is_other = ~F.coalesce(F.col("event_type").isin(*EVENT_TYPES), F.lit(False))
    other = OTHER_EVENT if shop.events.other_event_types == "ignore" else "unknown_event_type"
    return [
        # What the shop has no use for need not have an item.
        *([(other, is_other)] if other == OTHER_EVENT else []),
        *([(GUEST, F.isnull("user_id"))] if shop.events.missing_user == "ignore" else []),
        *id_rules(F.col("user_id"), "user_id", shop.events),
        *id_rules(F.col("item_id"), "item_id", shop.events),
        ("unreadable_time", F.col("event_time").isNull()),
        ("future", F.col("event_time") >= day_after),
        ("far_from_its_day", (F.col("event_time") < earliest) & (F.col("ds") != first_day)),
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


def _event_type(shop: Shop) -> Column:
    word = mapped_text(shop.events, "event_type")
    if not shop.events.event_types:
        return word
    pairs = [F.lit(text) for pair in sorted(shop.events.event_types.items()) for text in pair]
    return F.try_element_at(F.create_map(*pairs), word)


def _with_repeats_marked(rows: DataFrame, shop: Shop, tasks_per_day: int) -> DataFrame:
    """Gives accepted rows that repeat an event the reason `duplicate`, and those of robots `too_many_events`.

    Of rows that agree in the shop's key, the first in the order of files and lines is kept; where rows are units, with
    the quantity of all.
    """
    owner = F.when(F.col("reason").isNull(), F.col("user_id"))
    # A day may be one of hundreds or the only one; the parts make use of all cores in both cases. Every key holds the
    # user, so that one shuffle serves both questions; refused rows, which may lack one, are spread by their text.
    part = F.pmod(F.xxhash64(F.coalesce(owner, F.concat("file", "line"))), F.lit(tasks_per_day))
    spread = rows.withColumn("owner", owner).withColumn("part", part).repartition("ds", "part")
    of_user = Window.partitionBy("ds", "part", "owner")
    key = [name for name in shop.duplicate_key if name != "user_id"]
    of_event = Window.partitionBy("ds", "part", "owner", *key)
    copy = F.row_number().over(of_event.orderBy("file", "line"))
    if shop.events.rows_are == "units":
        units = F.sum(F.when(F.isnull("reason"), F.col("quantity"))).over(of_event)
        spread = spread.withColumns({"copy": copy, "quantity": F.coalesce(units, "quantity")})
        marked = spread.withColumn("reason", F.coalesce("reason", F.when(F.col("copy") > 1, F.lit(UNIT)))).drop("copy")
    else:
        marked = spread.withColumn("reason", F.coalesce("reason", F.when(copy > 1, F.lit(DUPLICATE))))
    if shop.drops.max_user_events:
        whole_day = of_user.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
        num_events = F.count(F.when(F.col("reason").isNull(), 1)).over(whole_day)
        is_robot = num_events > shop.drops.max_user_events
        marked = marked.withColumn("reason", F.coalesce("reason", F.when(is_robot, F.lit(TOO_MANY_EVENTS))))
    return marked.drop("owner", "part")
