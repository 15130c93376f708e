"""From a shop's raw text to the contract's values, and the rules by which a raw row is turned away.

A rule is a reason and a condition. The first condition that holds gives a row its reason; rows without one are kept.
Nothing here raises over a bad row: a reason in `quarantine` is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.shop.raw_files import RawFile, RejectRule
from jobs.raw.timestamps import time_of_text

MAX_ID_LENGTH = 256
"""Characters; a longer id is taken for another column's text that has slipped into this one."""
DUPLICATE = "duplicate"
TOO_MANY_EVENTS = "too_many_events"

_YES_WORDS = ("true", "yes", "y", "t", "on", "instock", "available", "active", "published", "enabled")
_NO_WORDS = (
    *("false", "no", "n", "f", "off", "outofstock", "soldout", "unavailable", "notavailable", "discontinued"),
    *("inactive", "draft", "archived", "unpublished", "disabled", "hidden"),
)

_WITH_EXPONENT = r"^[+-]?\d+\.\d+[eE][+-]?\d+$"
_IN_JAVA = r"^\d\.(\d+)E(\d+)$"

RejectCondition = tuple[str, Column]
"""The reason why a row is rejected, and the condition under which it is."""


def with_texts(raw_rows: DataFrame, names: Sequence[str]) -> DataFrame:
    """Raw rows with the raw columns `names` taken out of the line once, for `raw_text` to find.

    Rules look at a column many times, and Spark would otherwise take the line apart as often.
    """
    texts = [F.trim(F.try_element_at("values", F.lit(name)), F.lit(" \t\r")) for name in names]
    return raw_rows.select(
        "ds",
        "raw",
        F.col("values").isNull().alias("is_malformed"),
        *(F.when(text != "", text).alias(_text_column(name)) for name, text in zip(names, texts, strict=True)),
    )


def raw_text(name: str) -> Column:
    """Returns a raw column without surrounding blanks; null when nothing is left. See `with_texts`."""
    return F.col(_text_column(name))


def _text_column(name: str) -> str:
    # Names of a shop may hold dots and backticks, or differ in case alone.
    return f"text_{name.encode().hex()}"


def mapped_text(raw: RawFile, column: str) -> Column:
    """Tells what the shop file maps to a column of the contract, or holds constant for it; null when neither."""
    if column in raw.columns:
        return raw_text(raw.columns[column])
    return F.lit(raw.constants.get(column)).cast("string")


def mapped_id(raw: RawFile, column: str) -> Column:
    """Returns an id as it came, but for what a whole number gets when it passes through a table of floats.

    That is the `.0` behind it, and Java's way to write large ones: 1.2345678E7 is 12345678. Other numbers with an
    exponent have lost digits; `id_rules` refuses them.
    """
    text = F.regexp_replace(mapped_text(raw, column), r"^(\d+)\.0$", "$1")
    return F.when(_is_whole_in_java(text), text.try_cast("decimal(38,0)").cast("string")).otherwise(text)


def mapped_time(raw: RawFile, column: str) -> Column:
    """Returns the moment that a text means, in UTC; null when it is none."""
    return time_of_text(mapped_text(raw, column), raw)


def _is_whole_in_java(text: Column) -> Column:
    """Whether Java wrote a whole number below 2^53 so; it writes as many digits as tell it from its neighbours."""
    digits, exponent = (
        F.length(F.regexp_extract(text, _IN_JAVA, 1)),
        F.regexp_extract(text, _IN_JAVA, 2).try_cast("int"),
    )
    is_whole = text.rlike(_IN_JAVA) & ((digits <= exponent) | text.rlike(r"^\d\.0E"))
    return F.coalesce(is_whole & (number(text) < 2**53), F.lit(False))


def flag(text: Column) -> Column:
    """Returns what a word says of yes and no, null when it says neither; a number is a stock: none left means no."""
    word = F.regexp_replace(F.lower(text), r"[ _-]", "")
    value = number(text)
    return (
        F.when(word.isin(*_YES_WORDS), F.lit(True))
        .when(word.isin(*_NO_WORDS), F.lit(False))
        .when(value.isNotNull() & ~F.isnan(value), value > 0)
    )


def flag_rules(text: Column, name: str) -> list[RejectCondition]:
    """Returns the rule of a yes or no: where there is a word, it must be a known one."""
    return [(f"unknown_{name}", text.isNotNull() & flag(text).isNull())]


def number(text: Column) -> Column:
    """Returns the number that a text means, null when it is none; see `number_rules`."""
    return text.try_cast("double")


def list_of(text: Column, separator: str) -> Column:
    """Returns a JSON array of texts, or texts between separators; empty when nothing is known."""
    as_json = F.when(text.startswith("["), F.from_json(text, "array<string>"))
    # `[Sale] Shoes` begins like an array and is none.
    as_text = F.split(text, "".join(f"\\x{{{ord(character):x}}}" for character in separator))
    parts = F.coalesce(as_json, as_text)
    trimmed = F.transform(parts, lambda part: F.trim(part))
    return F.coalesce(F.filter(trimmed, lambda part: part != ""), F.array().cast("array<string>"))


def shop_rules(rules: Sequence[RejectRule]) -> list[RejectCondition]:
    """Returns the shop's own rules, in their order."""
    return [(rule.reason, _condition(rule)) for rule in rules]


def id_rules(column: Column, name: str) -> list[RejectCondition]:
    """Returns the rules of an id: it must be there, short enough to be one, and no number whose digits are lost."""
    return [
        (f"missing_{name}", column.isNull()),
        (f"{name}_too_long", F.length(column) > MAX_ID_LENGTH),
        (f"inexact_{name}", column.rlike(_WITH_EXPONENT)),
    ]


def number_rules(text: Column, name: str) -> list[RejectCondition]:
    """Returns the rules of a number: where there is one, it must be readable and finite."""
    value = number(text)
    is_infinite = F.isnan(value) | F.abs(value).isin(float("inf"))
    return [(f"unreadable_{name}", text.isNotNull() & value.isNull()), (f"not_finite_{name}", is_infinite)]


def price_rules(text: Column) -> list[RejectCondition]:
    """Returns the rules of a price: it may be missing, but not be below zero."""
    return [*number_rules(text, "price"), ("negative_price", number(text) < 0)]


def first_reject_reason(rules: Sequence[RejectCondition]) -> Column:
    """The reason of the first rule that a row breaks; null when it breaks none. Unknown conditions do not hold."""
    reasons = [F.when(condition, F.lit(reason)) for reason, condition in rules]
    return F.coalesce(*reasons, F.lit(None).cast("string"))


def _condition(rule: RejectRule) -> Column:
    text = raw_text(rule.column)
    if rule.is_null is not None:
        return text.isNull() if rule.is_null else text.isNotNull()
    if rule.matches is not None:
        return text.rlike(rule.matches)
    if rule.not_matches is not None:
        return ~F.coalesce(text.rlike(rule.not_matches), F.lit(False))
    if rule.at_most is not None:
        return number(text) <= rule.at_most
    if rule.below is not None:
        return number(text) < rule.below
    return text.isin(*(rule.one_of or ()))
