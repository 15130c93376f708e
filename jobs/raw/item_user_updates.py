"""What the drop of a day says about items and users: its own files, or what its events carry."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import ITEM_UPDATES, USER_UPDATES
from jobs.raw.reject_rules import (
    DUPLICATE,
    RejectCondition,
    exchange_rate,
    first_reject_reason,
    flag,
    flag_rules,
    id_rules,
    list_of,
    mapped_id,
    mapped_number,
    mapped_text,
    number,
    number_of,
    odd_cells,
    path_of,
    plausible_price,
    price_oddities,
    prose,
    raw_row,
    shop_rules,
    with_filled_cells,
)

_MAX_AGE = 120
"""Years; hardly anybody was ever older, so that a larger age is a mistake."""

_ITEM_TEXTS = ("title", "description", "brand", "image_path", "item_group_id")
_PROSE = ("title", "description", "brand")
_USER_TEXTS = ("gender", "country")
_USER_ATTRIBUTES = ("age", *_USER_TEXTS, "interests")


def validated_items(raw_rows: DataFrame, shop: Shop, raw: RawFile) -> DataFrame:
    """Returns every raw row of the items files: where it stands, `reason`, `raw`, `odd` and columns of `item_updates`.

    `reason` says why the row is rejected, and is null where it is accepted; `odd`, which of its cells are unknown.
    """
    price, rate = mapped_number(raw, "price") / raw.money_scale, exchange_rate(raw)
    word = mapped_text(raw, "is_available")
    is_available = flag(word, raw.is_available_words)
    rules = [*id_rules(mapped_id(raw, "item_id"), "item_id", raw), *flag_rules(word, is_available, "is_available")]
    columns = [
        mapped_id(raw, "item_id").alias("item_id"),
        *(prose(mapped_text(raw, name)).alias(name) for name in _PROSE),
        mapped_text(raw, "image_path").alias("image_path"),
        mapped_id(raw, "item_group_id").alias("item_group_id"),
        path_of(mapped_text(raw, "category"), raw).alias("category"),
        plausible_price(price * rate).alias("price"),
        F.coalesce(mapped_text(raw, "domain"), F.lit(shop.name)).alias("domain"),
        F.coalesce(is_available, F.lit(True)).alias("is_available"),
    ]
    oddities = price_oddities(mapped_text(raw, "price"), price, rate)
    return _validated(raw_rows, raw, rules, oddities, columns, "item_id")


def validated_users(raw_rows: DataFrame, raw: RawFile) -> DataFrame:
    """Returns every raw row of the users files: where it stands, `reason`, `raw`, `odd` and columns of `user_updates`.

    `reason` says why the row is rejected, and is null where it is accepted; `odd`, which of its cells are unknown.
    """
    age = mapped_text(raw, "age")
    rules = id_rules(mapped_id(raw, "user_id"), "user_id", raw)
    oddities: list[RejectCondition] = [
        ("unreadable_age", age.isNotNull() & years(age).isNull()),
        ("impossible_age", ~years(age).between(0, _MAX_AGE)),
    ]
    columns = [
        mapped_id(raw, "user_id").alias("user_id"),
        plausible_age(age).alias("age"),
        *(mapped_text(raw, name).alias(name) for name in _USER_TEXTS),
        list_of(mapped_text(raw, "interests"), raw.separator).alias("interests"),
    ]
    return _validated(raw_rows, raw, rules, oddities, columns, "user_id")


def items_from_events(events: DataFrame, shop: Shop) -> DataFrame:
    """Returns `item_updates` of a shop without items files.

    A text is the day's most frequent one, ties by alphabet; a price is the day's median.

    Args:
        events: accepted rows of `validated_events`.
    """
    mapped = shop.items_from_events

    def most_frequent(name: str) -> Column:
        if name not in mapped:
            return F.lit(None).cast("string")
        text = F.col(f"item_{name}")
        return F.mode(prose(text) if name in _PROSE else text, True)

    price = F.lit(None).cast("double")
    if "price" in mapped:
        raw_price = number_of(F.col("item_price"), shop.events.decimal) / shop.events.money_scale
        price = plausible_price(raw_price * F.col("item_rate"))
    domain = F.coalesce("item_domain", "domain") if "domain" in mapped else F.col("domain")
    return events.groupBy("ds", "item_id").agg(
        *(most_frequent(name).alias(name) for name in _ITEM_TEXTS),
        path_of(most_frequent("category"), shop.events).alias("category"),
        F.median(price).alias("price"),
        F.mode(domain, True).alias("domain"),
        F.lit(True).alias("is_available"),
        F.lit(False).alias("is_filed"),
        F.max("event_time").alias("last_seen"),
    )


def users_from_events(events: DataFrame, shop: Shop) -> DataFrame:
    """Returns `user_updates` as the events of a day carry them: each attribute's latest value, ties by alphabet.

    Args:
        events: accepted rows of `validated_events`.
    """

    def latest(name: str) -> Column:
        if name not in shop.users_from_events:
            return F.lit(None).cast("string")
        value = F.col(f"user_{name}")
        return F.max_by(value, F.when(value.isNotNull(), F.struct("event_time", value)))

    age = latest("age")
    return events.groupBy("ds", "user_id").agg(
        plausible_age(age).alias("age"),
        *(latest(name).alias(name) for name in _USER_TEXTS),
        list_of(latest("interests"), shop.events.separator).alias("interests"),
        F.array().cast("array<string>").alias("filed"),
        F.max("event_time").alias("last_seen"),
    )


def item_updates(accepted_events: DataFrame, accepted_items: DataFrame | None, shop: Shop) -> DataFrame:
    """Returns what the items file of a day says; what it leaves out, events say, where the shop wants that."""
    from_events = items_from_events(accepted_events, shop).select(*ITEM_UPDATES.column_names)
    if shop.items is None:
        return from_events
    if accepted_items is None:
        return from_events if shop.items_from_events else from_events.limit(0)
    filed = accepted_items.withColumns({"is_filed": F.lit(True), "last_seen": _start_of_day()})
    filed = filed.select(*ITEM_UPDATES.column_names)
    if not shop.items_from_events:
        return filed
    return filed.unionByName(from_events.join(filed.select("ds", "item_id"), on=["ds", "item_id"], how="left_anti"))


def user_updates(from_events: DataFrame, accepted_users: DataFrame | None) -> DataFrame:
    """Users of the day's events and of its file, one row each. Where both know an attribute, the file is right."""
    if accepted_users is None:
        return from_events.select(*USER_UPDATES.column_names)
    filed = accepted_users.withColumn("last_seen", _start_of_day())

    def is_filed(name: str) -> Column:
        return F.size(f"filed.{name}") > 0 if name == "interests" else F.col(f"filed.{name}").isNotNull()

    def merged(name: str) -> Column:
        if name == "filed":
            return F.array_compact(F.array(*(F.when(is_filed(of), F.lit(of)) for of in _USER_ATTRIBUTES)))
        if name == "last_seen":
            return F.greatest(f"filed.{name}", f"evented.{name}")
        if name == "interests":
            of_file = F.when(is_filed(name), F.col(f"filed.{name}"))
            return F.coalesce(of_file, f"evented.{name}", f"filed.{name}")
        return F.coalesce(f"filed.{name}", f"evented.{name}")

    both = filed.alias("filed").join(from_events.alias("evented"), on=["ds", "user_id"], how="full")
    others = [name for name in USER_UPDATES.column_names if name not in ("ds", "user_id")]
    return both.select("ds", "user_id", *(merged(name).alias(name) for name in others))


def _validated(
    raw_rows: DataFrame,
    raw: RawFile,
    rules: list[RejectCondition],
    oddities: list[RejectCondition],
    columns: list[Column],
    key: str,
) -> DataFrame:
    """Returns rows of files about one thing: an exact copy is a `duplicate`; of contradictions the last line stands."""
    names = raw.raw_columns
    reason = F.coalesce("fault", first_reject_reason([*shop_rules(raw.reject), *rules]))
    rows = with_filled_cells(raw_rows, raw).select(
        "ds",
        "file",
        "line",
        raw_row(names).alias("raw"),
        reason.alias("reason"),
        odd_cells(oddities).alias("odd"),
        *columns,
    )
    is_refused = F.col("reason").isNotNull()
    of_key = Window.partitionBy("ds", key, is_refused)
    from_last = of_key.orderBy(F.desc("file"), F.desc("line"))
    repeats = (
        F.when(F.row_number().over(from_last) == 1, F.lit(None))
        .when(F.first("raw").over(from_last) == F.col("raw"), F.lit(DUPLICATE))
        .otherwise(F.lit(f"repeated_{key}"))
    )
    return rows.withColumn("reason", F.coalesce("reason", repeats))


def years(text: Column) -> Column:
    """Returns an age in whole years: of a number, or of a band such as 45-54 (its middle) or 65+ (its beginning)."""
    low, high = (
        F.regexp_extract(text, r"^(\d{1,3})\s*[-\u2013]\s*(\d{1,3})$", group).try_cast("int") for group in (1, 2)
    )
    open_band = F.regexp_extract(text, r"^(\d{1,3})\s*\+$", 1).try_cast("int")
    band = F.coalesce(F.floor((low + high) / 2).cast("int"), open_band)
    return F.coalesce(F.floor(number(text)).try_cast("int"), band)


def plausible_age(text: Column) -> Column:
    """Returns an age in years, null where it is none that a person has."""
    return F.when(years(text).between(0, _MAX_AGE), years(text))


def _start_of_day() -> Column:
    return F.to_date("ds").cast("timestamp")
