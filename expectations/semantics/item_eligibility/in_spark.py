"""What the rules of lists ask of an item, in Spark, for all items of a night.

The jobs that build lists and the checks that look at them ask the same questions here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.runtime.days import days_before
from expectations.semantics.item_eligibility import AVAILABILITY, BLANKS
from expectations.shop.list_rules import PATH_SEPARATOR, Boost, ListRules


def allowed_items(items: DataFrame, rules: ListRules) -> DataFrame:
    """The rows of `items` that lists may show on the day after `ds`.

    Args:
        items: rows of the table `items` of `ds`, perhaps with more columns.
    """
    return items.where(refused_by(rules).isNull())


def refused_by(rules: ListRules) -> Column:
    """The first rule that keeps an item out of all lists; null where it may be shown."""
    named = F.lit(None).cast("string")
    for name, is_refused in reversed(refusals(rules).items()):
        named = F.when(is_refused, F.lit(name)).otherwise(named)
    return named


def refusals(rules: ListRules) -> dict[str, Column]:
    """Rule -> whether it keeps an item out: availability, and what the shop file sets. Never null."""
    price = F.col("price")
    conditions = {AVAILABILITY: ~F.col("is_available")}
    if rules.exclude_items:
        conditions["exclude_items"] = F.col("item_id").isin(*rules.exclude_items)
    if rules.exclude_categories:
        conditions["exclude_categories"] = lies_below(rules.exclude_categories)
    if rules.exclude_brands:
        conditions["exclude_brands"] = F.col("brand").isin(*rules.exclude_brands)
    if rules.min_price is not None:
        conditions["min_price"] = price.isNull() | (price < rules.min_price)
    if rules.max_price is not None:
        conditions["max_price"] = price.isNull() | (price > rules.max_price)
    return {name: F.coalesce(condition, F.lit(False)) for name, condition in conditions.items()}


def is_new(rules: ListRules, ds: str) -> Column:
    """Whether an item is new when `ds` has ended; never where the shop does not say how long that is."""
    return F.lit(rules.new_item_days > 0) & (F.col("first_seen") > days_before(ds, rules.new_item_days))


def category_path(level: int = 0) -> Column:
    """An item's category as text, as far as `level` (0: all of it); null where it has none."""
    parts = F.slice("category", 1, level) if level else F.col("category")
    return F.when(F.size("category") > 0, F.array_join(parts, PATH_SEPARATOR))


def lies_below(paths: Sequence[str]) -> Column:
    """Whether an item's category is one of the paths, or below one."""
    path = category_path()
    return reduce(or_, [(path == named) | path.startswith(f"{named}{PATH_SEPARATOR}") for named in paths])


def boost_factor(rules: ListRules, ds: str) -> Column:
    """The product of all boosts of an item."""
    factor = F.lit(1.0)
    for boost in rules.boosts:
        factor = factor * F.when(_is_meant(boost, rules, ds), F.lit(boost.factor)).otherwise(F.lit(1.0))
    return factor


def unknown_names(items: DataFrame, rules: ListRules) -> dict[str, list[str]]:
    """What rules name and the catalogue does not hold: items, categories and brands, in the order of the shop file."""
    values = {
        "items": F.col("item_id"),
        "categories": F.explode(_paths_down()),
        "brands": F.col("brand"),
    }
    named = {kind: names for kind, names in _names(rules).items() if names}
    if not named:
        return {}
    found = [
        items.select(values[kind].alias("name"))
        .where(F.col("name").isin(*names))
        .select(F.lit(kind).alias("kind"), "name")
        for kind, names in named.items()
    ]
    known = {(row["kind"], row["name"]) for row in reduce(DataFrame.unionAll, found).distinct().collect()}
    unknown = {kind: [name for name in names if (kind, name) not in known] for kind, names in named.items()}
    return {kind: names for kind, names in unknown.items() if names}


def _paths_down() -> Column:
    """Every level of an item's category as the path down to it."""
    parts = F.col("category")
    return F.transform(parts, lambda _, place: F.array_join(F.slice(parts, 1, place + 1), PATH_SEPARATOR))


def _is_meant(boost: Boost, rules: ListRules, ds: str) -> Column:
    if boost.is_new:
        return is_new(rules, ds)
    if boost.category is not None:
        return lies_below([boost.category])
    if boost.brand is not None:
        return F.col("brand") == boost.brand
    return F.col("item_id").isin(*(boost.items or ()))


def _names(rules: ListRules) -> dict[str, list[str]]:
    named = {
        "items": [*rules.exclude_items, *(item for boost in rules.boosts for item in boost.items or ())],
        "categories": [*rules.exclude_categories, *(boost.category for boost in rules.boosts if boost.category)],
        "brands": [*rules.exclude_brands, *(boost.brand for boost in rules.boosts if boost.brand)],
    }
    return {kind: list(dict.fromkeys(names)) for kind, names in named.items()}


def item_group(rules: ListRules) -> Column:
    """What an item shares with its variants; null where it has none. See `ListRules.group_equal_titles`."""
    group = F.concat(F.lit("id "), "item_group_id")
    if not rules.group_equal_titles:
        return group
    title = F.trim(F.lower(F.regexp_replace("title", BLANKS, " ")))
    named = F.concat(F.lit("title "), F.nullif(title, F.lit("")), F.lit(" of "), F.coalesce("brand", F.lit("")))
    return F.coalesce(group, named)


def caps_of(rules: ListRules) -> dict[str, tuple[int, Column]]:
    """The caps that a shop sets: name -> at most so many in a list, and what an item counts for, null for nothing."""
    caps = {
        "max_per_category": (rules.max_per_category, category_path(rules.category_level)),
        "max_per_brand": (rules.max_per_brand, F.col("brand")),
        "max_per_group": (rules.max_per_group, item_group(rules)),
    }
    return {name: cap for name, cap in caps.items() if cap[0]}
