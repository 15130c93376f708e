"""What the models' inputs mean: every index stands for a value of the vocabulary of the same day."""

from __future__ import annotations

from functools import reduce
from operator import or_

import great_expectations.expectations as gxe
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.checks.partitions import Partitions
from expectations.checks.row_rules import Check, RowCheck
from expectations.runtime.days import end_of
from expectations.shop.shop import Shop
from expectations.tables import (
    FIRST_VALUE_INDEX,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    MAX_DESCRIPTION_TOKENS,
    MAX_TITLE_TOKENS,
    PADDING_INDEX,
    USER_FEATURES,
    VOCABULARIES,
    VOCABULARY_FIELDS,
    Table,
)

MAX_PRICE_BUCKET = 10
"""Buckets are tenths: 1 for the cheapest, 10 for the dearest; 0 is for items without a price."""
MAX_TOKENS = {"token_indices": MAX_TITLE_TOKENS, "description_token_indices": MAX_DESCRIPTION_TOKENS}

_FIELD_OF_COLUMN = {
    "user_index": "user_id",
    "item_index": "item_id",
    "item_indices": "item_id",
    "older_purchase_indices": "item_id",
    "event_type_indices": "event_type",
    "category_indices": "category",
    "brand_index": "brand",
    "domain_index": "domain",
    "token_indices": "token",
    "description_token_indices": "token",
    "age_bucket_index": "age_bucket",
    "gender_index": "gender",
    "country_index": "country",
    "interest_indices": "interest",
}


def vocabulary_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """One integer, one value: no gap, no two values at one place, one hash."""
    vocabularies = partitions.rows(VOCABULARIES, ds)
    fields = vocabularies.groupBy("field").agg(
        F.min("index").alias("first_index"), F.max("index").alias("last_index"), F.count("*").alias("num_values")
    )
    has_gap = (F.col("first_index") != FIRST_VALUE_INDEX) | (
        F.col("last_index") != F.col("num_values") + FIRST_VALUE_INDEX - 1
    )
    gap = RowCheck(
        "index_has_no_gap",
        f"The indices of a field run from {FIRST_VALUE_INDEX} without a gap.",
        has_gap,
        ("field", "first_index", "last_index", "num_values"),
    )
    of_rows = [
        gxe.ExpectColumnValuesToBeInSet(column="field", value_set=list(VOCABULARY_FIELDS)),
        gxe.ExpectColumnValuesToBeBetween(column="index", min_value=FIRST_VALUE_INDEX),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["field", "index"]),
        gxe.ExpectColumnUniqueValueCountToBeBetween(column="vocabulary_hash", min_value=1, max_value=1),
    ]
    needed = gxe.ExpectColumnDistinctValuesToContainSet(column="field", value_set=["user_id", "item_id"])
    return [Check(vocabularies, of_rows), Check(fields, [needed], [gap])]


def interaction_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Pairs of known users and items, in order of time, nothing after `ds`."""
    end = end_of(ds, shop.drops.day_timezone)
    row_checks = [
        *index_checks(partitions, INTERACTIONS, ds, lowest=FIRST_VALUE_INDEX),
        RowCheck(
            "times_are_in_order",
            f"No pair met last before it met first, nor after {ds} ended.",
            (F.col("last_time") < F.col("first_time")) | (F.col("last_time") >= F.lit(end)),
            ("user_index", "item_index", "first_time", "last_time"),
        ),
    ]
    some_events = gxe.ExpectColumnValuesToBeBetween(column="num_events", min_value=1)
    no_debt = gxe.ExpectColumnValuesToBeBetween(column="num_purchases", min_value=0)
    return [Check(partitions.rows(INTERACTIONS, ds), [some_events, no_debt], row_checks)]


def history_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Arrays of one length, in order of time, no longer than the shop says, nothing after `ds`."""
    names = [column.name for column in HISTORIES.columns if column.type.startswith("array")]
    older = ("older_purchase_indices", "older_purchase_times")
    arrays = tuple(name for name in names if name not in older)
    lengths = [F.size(name) for name in arrays]
    num_older = [F.size(name) for name in older]
    times, end = F.concat("older_purchase_times", "event_times"), end_of(ds, shop.drops.day_timezone)
    row_checks = [
        *index_checks(partitions, HISTORIES, ds, lowest=PADDING_INDEX + 1),
        RowCheck(
            "lengths_are_equal",
            "The arrays of a history have one length, those of older purchases another, and not both are 0.",
            reduce(or_, (length != lengths[0] for length in lengths[1:]))
            | (num_older[0] != num_older[1])
            | (lengths[0] + num_older[0] < 1),
            ("user_index", *names),
        ),
        RowCheck(
            "history_is_not_too_long",
            f"No history is longer than max_history={shop.max_history}.",
            lengths[0] > shop.max_history,
            ("user_index",),
        ),
        RowCheck(
            "event_times_are_in_order",
            f"Older purchases and the events of a history are in order of time, and none is after {ds} ended.",
            (F.sort_array(times) != times) | (F.array_max(times) >= int(end.timestamp())),
            ("user_index", *older[1:], "event_times"),
        ),
        RowCheck(
            "weekday_is_one_of_seven",
            "Weekdays are from 1, Monday, to 7.",
            F.exists("weekdays", lambda weekday: ~weekday.between(1, 7)),
            ("user_index", "weekdays"),
        ),
    ]
    return [Check(partitions.rows(HISTORIES, ds), [], row_checks)]


def item_feature_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Indices that the vocabularies have, price deciles, ages that are not negative."""
    too_many = [
        RowCheck(
            f"{column}_are_not_too_many",
            f"No text has more than {most} tokens in {column}.",
            F.size(column) > most,
            ("item_index", column),
        )
        for column, most in MAX_TOKENS.items()
    ]
    expectations = [
        gxe.ExpectColumnValuesToBeBetween(column="price_bucket", min_value=0, max_value=MAX_PRICE_BUCKET),
        gxe.ExpectColumnValuesToBeBetween(column="age_days", min_value=0),
        gxe.ExpectColumnValuesToBeBetween(column="item_index", min_value=FIRST_VALUE_INDEX),
    ]
    row_checks = [*index_checks(partitions, ITEM_FEATURES, ds, lowest=PADDING_INDEX), *too_many]
    return [Check(partitions.rows(ITEM_FEATURES, ds), expectations, row_checks)]


def user_feature_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Indices that the vocabularies have."""
    known = gxe.ExpectColumnValuesToBeBetween(column="user_index", min_value=FIRST_VALUE_INDEX)
    row_checks = index_checks(partitions, USER_FEATURES, ds, lowest=PADDING_INDEX)
    return [Check(partitions.rows(USER_FEATURES, ds), [known], row_checks)]


def index_checks(partitions: Partitions, table: Table, ds: str, lowest: int) -> list[RowCheck]:
    """Every index column of a table holds `lowest` up to the last index of its field."""
    last_of_field = last_indices(partitions.rows(VOCABULARIES, ds))
    row_checks = []
    for column in table.columns:
        if column.name in _FIELD_OF_COLUMN:
            field = _FIELD_OF_COLUMN[column.name]
            # A field without values knows only padding and unknown.
            last = last_of_field.get(field, FIRST_VALUE_INDEX - 1)
            is_broken = _is_outside(column.name, column.type.startswith("array"), lowest, last)
            statement = f"{column.name} is from {lowest} to {last}, the last index of the vocabulary {field}."
            row_checks.append(RowCheck(f"{column.name}_is_known", statement, is_broken, (table.key[1], column.name)))
    return row_checks


def _is_outside(name: str, is_array: bool, lowest: int, last: int) -> Column:
    if is_array:
        return F.exists(name, lambda index: index.isNull() | (index < lowest) | (index > last))
    return (F.col(name) < lowest) | (F.col(name) > last)


def last_indices(vocabularies: DataFrame) -> dict[str, int]:
    """Field -> the last index of its vocabulary; fields without values are left out."""
    known_fields = vocabularies.where(F.col("field").isin(list(VOCABULARY_FIELDS)))
    return {
        row["field"]: row["last"] for row in known_fields.groupBy("field").agg(F.max("index").alias("last")).collect()
    }
