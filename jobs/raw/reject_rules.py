"""From a shop's raw text to the contract's values, and the rules by which a raw row is turned away.

A rule is a reason and a condition. The first condition that holds gives a row its reason; rows without one are kept.
Nothing here raises over a bad row: a reason in `quarantine` is the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.shop.raw_files import RawFile, RejectRule
from jobs.raw.reading.cells import text_column
from jobs.raw.timestamps import time_of_text

MAX_ID_LENGTH = 256
"""Characters; a longer id is taken for another column's text that has slipped into this one."""
MAX_PRICE = 1e8
"""A larger price is a placeholder, such as 999999999 for an article whose price is given on request."""
MAX_QUANTITY = 1e5
"""Pieces in one event; more is a mistake of the till or of the export."""
DUPLICATE = "duplicate"
TOO_MANY_EVENTS = "too_many_events"
OTHER_EVENT = "other_event"
GUEST = "guest"
UNIT = "unit_of_another_row"
REPEAT = "repeat_of_earlier_day"

_YES_WORDS = (
    *("true", "yes", "y", "t", "on", "instock", "available", "active", "published", "enabled"),
    # Whoever orders these gets them, later.
    *("backorder", "onbackorder", "preorder"),
)
_NO_WORDS = (
    *("false", "no", "n", "f", "off", "outofstock", "soldout", "unavailable", "notavailable", "discontinued"),
    *("inactive", "draft", "archived", "unpublished", "disabled", "hidden"),
)

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_EXACT_NUMBER = r"^[+-]?\d+([eE][+-]?\d+)?$"
_CURRENCY = r"(?:\s*\p{Sc}|\s*[A-Z]{3}|\s+\p{L}{1,5}\.?)?"
_WITH_CURRENCY = rf"^(?:\p{{Sc}}\s*|[A-Z]{{3}}\s*)?([+-]?[\d.,' \u00a0\u202f\u2019]*\d){_CURRENCY}$"
_BLANKS_WITHIN = r"[' \u00a0\u202f\u2019]"
_POINT_DECIMAL = r"^[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?$"
_COMMA_DECIMAL = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?$"
_EITHER = r"^[+-]?\d{1,3}[,]\d{3}$"
_SEVERAL_FIELDS = r"^\w+:[^|]*\|\w+:[^|]*\|\w+:"
"""A cell that holds the fields of an article, such as WooCommerce's name:Hat|sku:HAT-0|quantity:1."""
_WITH_EXPONENT = r"^[+-]?\d+\.\d+[eE][+-]?\d+$"
_IN_JAVA = r"^\d\.(\d+)E(\d+)$"

RejectCondition = tuple[str, Column]
"""The reason why a row is rejected, and the condition under which it is."""


def raw_text(name: str) -> Column:
    """Returns the text of a raw column; null where it is empty. See `jobs.raw.raw_rows`."""
    return F.col(text_column(name))


def raw_row(names: Sequence[str]) -> Column:
    """Returns a row as JSON, as far as the shop file names its columns; a row that is none, as it came."""
    texts = F.create_map(*(part for name in names for part in (F.lit(name), raw_text(name))))
    return F.coalesce("raw", F.to_json(F.map_filter(texts, lambda _, text: text.isNotNull())))


def with_filled_cells(raw_rows: DataFrame, raw: RawFile) -> DataFrame:
    """Fills the cells that only the first row of an order or a product holds, as the shop file says."""
    if raw.fill_down is None:
        return raw_rows
    key = raw_text(raw.fill_down.key)
    above = Window.partitionBy("file", key).orderBy("line").rowsBetween(Window.unboundedPreceding, 0)
    filled = {
        text_column(name): F.when(key.isNotNull(), F.last(raw_text(name), ignorenulls=True).over(above)).otherwise(
            raw_text(name)
        )
        for name in raw.fill_down.columns
    }
    return raw_rows.withColumns(filled)


def mapped_text(raw: RawFile, column: str) -> Column:
    """Tells what the shop file maps to a column of the contract, or holds constant for it; null when neither."""
    constant = F.lit(raw.constants.get(column)).cast("string")
    return F.coalesce(*map(raw_text, raw.sources_of(column)), constant)


def prose(text: Column) -> Column:
    """Returns a text that people read; of a JSON array of texts, all of them one after the other."""
    parts = F.when(text.startswith("["), F.from_json(text, "array<string>"))
    return F.coalesce(F.nullif(F.array_join(parts, " "), F.lit("")), F.when(parts.isNull(), text))


def mapped_id(raw: RawFile, column: str) -> Column:
    """Returns an id as it came, but that 1.2345678E7, as Java writes a whole float, is 12345678.

    Other numbers with an exponent have lost digits; `id_rules` refuses them.
    """
    text = mapped_text(raw, column)
    return F.when(_is_whole_in_java(text), text.try_cast("decimal(38,0)").cast("string")).otherwise(text)


def mapped_time(raw: RawFile, column: str) -> Column:
    """Returns the moment that a row holds as a time, or that its text means, in UTC; null when it is none."""
    text = mapped_text(raw, column)
    if raw.time_of_day:
        text = F.concat_ws(" ", text, raw_text(raw.time_of_day))
    return F.coalesce("moment", time_of_text(text, raw))


def mapped_number(raw: RawFile, column: str) -> Column:
    """Returns the number that the text of a column means; null when it is none, or not plainly one."""
    return number_of(mapped_text(raw, column), raw.decimal)


def exchange_rate(raw: RawFile) -> Column:
    """Returns what a raw price is multiplied by to be in the shop's currency; null where its currency has no rate."""
    if not raw.currency_column:
        return F.lit(1.0)
    pairs = [part for word, rate in sorted(raw.rates.items()) for part in (F.lit(word), F.lit(float(rate)))]
    return F.try_element_at(F.create_map(*pairs), raw_text(raw.currency_column))


def _is_whole_in_java(text: Column) -> Column:
    """Whether Java wrote a whole number below 2^53 so; it writes as many digits as tell it from its neighbours."""
    digits, exponent = (
        F.length(F.regexp_extract(text, _IN_JAVA, 1)),
        F.regexp_extract(text, _IN_JAVA, 2).try_cast("int"),
    )
    is_whole = text.rlike(_IN_JAVA) & ((digits <= exponent) | text.rlike(r"^\d\.0E"))
    return F.coalesce(is_whole & (number(text) < 2**53), F.lit(False))


def flag(text: Column, own_words: Mapping[str, bool]) -> Column:
    """Returns what a word says of yes and no, null when it says neither; a number is a stock: none left means no.

    Args:
        own_words: what the shop means by a word, which stands before what it means elsewhere.
    """
    word = F.regexp_replace(F.lower(text), r"[ _-]", "")
    value = number(text)
    return (
        F.when(text.isin(*(own for own, is_yes in own_words.items() if is_yes)), F.lit(True))
        .when(text.isin(*(own for own, is_yes in own_words.items() if not is_yes)), F.lit(False))
        .when(word.isin(*_YES_WORDS), F.lit(True))
        .when(word.isin(*_NO_WORDS), F.lit(False))
        .when(value.isNotNull(), value > 0)
    )


def flag_rules(text: Column, said: Column, name: str) -> list[RejectCondition]:
    """Returns the rule of a yes or no: where there is a word, it must be one that `flag` knows."""
    return [(f"unknown_{name}", text.isNotNull() & said.isNull())]


def number(text: Column) -> Column:
    """Returns the number that a text without signs of thousands is; null when it is none."""
    # Spark alone would read 12d and 0x1p3, as Java does.
    return F.when(text.rlike(_NUMBER), text.try_cast("double"))


def number_of(text: Column, decimal: str) -> Column:
    """Returns the number that a text means, with signs of thousands and of a currency; null when it is not clear.

    Args:
        decimal: `point`, `comma`, or `auto`: of a point and a comma the last one is meant, and a single comma before
            one, two, or four and more digits. 1,299 may be either, and is no number then.
    """
    bare = F.regexp_replace(F.regexp_extract(text, _WITH_CURRENCY, 1), _BLANKS_WITHIN, "")
    with_point = F.replace(bare, F.lit(","), F.lit(""))
    with_comma = F.replace(F.replace(bare, F.lit("."), F.lit("")), F.lit(","), F.lit("."))
    told = {
        "point": F.when(bare.rlike(_POINT_DECIMAL), with_point),
        "comma": F.when(bare.rlike(_COMMA_DECIMAL), with_comma),
    }
    told["auto"] = F.when(
        ~bare.rlike(_EITHER),
        F.when(bare.rlike(_POINT_DECIMAL), with_point).when(bare.rlike(_COMMA_DECIMAL), with_comma),
    )
    plain = _EXACT_NUMBER if decimal == "comma" else _NUMBER
    return F.when(text.rlike(plain), text.try_cast("double")).otherwise(told[decimal].try_cast("double"))


def list_of(text: Column, separator: str) -> Column:
    """Returns a JSON array of texts, or texts between separators; empty when nothing is known."""
    # `[Sale] Shoes` begins like an array and is none.
    return _known_parts(F.coalesce(_texts_of_json(text), F.split(text, _literally(separator))))


def path_of(text: Column, raw: RawFile) -> Column:
    """Returns the path of a category, broadest first: of several in a cell the deepest, of these the first.

    A list of lists in JSON is one of paths. A list of texts is one path, or with `paths_separator` several.
    """

    def levels(path: Column) -> Column:
        return _known_parts(F.split(path, _literally(raw.separator)))

    of_lists = F.when(text.rlike(r"^\[\s*\["), F.from_json(text, "array<array<string>>"))
    # A shop system puts a backslash before what is no separator, as WooCommerce does before a comma in a name.
    between = raw.paths_separator or ","
    parts = F.split(text, rf"(?<!\\){_literally(between)}")
    parts = F.transform(parts, lambda part: F.replace(part, F.lit(f"\\{between}"), F.lit(between)))
    if raw.paths_separator:
        of_texts = F.transform(F.coalesce(_texts_of_json(text), parts), levels)
    else:
        paths = F.transform(parts, levels)
        begin_alike = F.forall(
            paths, lambda path: F.coalesce(F.get(path, 0) == F.get(F.get(paths, 0), 0), F.lit(False))
        )
        of_texts = F.when(_texts_of_json(text).isNull() & begin_alike & (F.size(paths) > 1), paths)
    paths = F.coalesce(F.transform(of_lists, _known_parts), of_texts)
    nothing = F.array().cast("array<string>")
    deepest = F.reduce(paths, nothing, lambda best, path: F.when(F.size(path) > F.size(best), path).otherwise(best))
    return F.coalesce(deepest, list_of(text, raw.separator))


def _texts_of_json(text: Column) -> Column:
    return F.when(text.startswith("["), F.from_json(text, "array<string>"))


def _known_parts(parts: Column) -> Column:
    trimmed = F.transform(parts, lambda part: F.trim(part))
    return F.coalesce(F.filter(trimmed, lambda part: part != ""), F.array().cast("array<string>"))


def _literally(text: str) -> str:
    return "".join(f"\\x{{{ord(character):x}}}" for character in text)


def shop_rules(rules: Sequence[RejectRule]) -> list[RejectCondition]:
    """Returns the shop's own rules, in their order."""
    return [(rule.reason, _condition(rule)) for rule in rules]


def id_rules(column: Column, name: str, raw: RawFile) -> list[RejectCondition]:
    """Returns the rules of an id: it must be there, one text, short enough, and no number whose digits are lost."""
    names = raw.sources_of(name)
    is_nested = F.arrays_overlap("not_text", F.array(*map(F.lit, names))) if names else F.lit(False)
    is_nested = F.coalesce(is_nested, F.lit(False)) | column.rlike(_SEVERAL_FIELDS)
    return [
        (f"missing_{name}", column.isNull()),
        (f"{name}_is_a_list_or_object", is_nested),
        (f"{name}_too_long", F.length(column) > MAX_ID_LENGTH),
        (f"inexact_{name}", column.rlike(_WITH_EXPONENT)),
    ]


def odd_cells(cells: Sequence[RejectCondition]) -> Column:
    """Returns the reasons why optional cells of a row are taken for unknown; null when none is. The row stays."""
    reasons = F.array_compact(F.array(*(F.when(condition, F.lit(reason)) for reason, condition in cells)))
    return F.when(F.size(reasons) > 0, reasons)


def price_oddities(text: Column, price: Column, rate: Column) -> list[RejectCondition]:
    """Returns why a price is unknown: no number, below zero, one that stands for `on request`, or of what currency.

    Args:
        price: before `rate`, see `exchange_rate`, is applied.
    """
    return [
        ("unreadable_price", text.isNotNull() & price.isNull()),
        ("unknown_currency", price.isNotNull() & rate.isNull()),
        ("negative_price", price < 0),
        ("implausible_price", price * rate > MAX_PRICE),
    ]


def plausible_price(price: Column) -> Column:
    """Returns a price, null for one that `price_oddities` names."""
    return F.when(price.between(0, MAX_PRICE), price)


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
