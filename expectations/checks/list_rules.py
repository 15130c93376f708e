"""What the shop's rules of whole lists promise: caps of category, brand and variants, and a share of new items."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.checks.partitions import Partitions
from expectations.checks.row_rules import Check, RowCheck
from expectations.semantics.item_eligibility.in_spark import allowed_items, caps_of, is_new, item_group
from expectations.semantics.repeat_purchases import excludes_bought_fallback
from expectations.shop.list_rules import ListRules
from expectations.shop.shop import Shop
from expectations.tables import ITEMS


def list_rule_checks(
    partitions: Partitions, ds: str, recommendations: DataFrame, met: DataFrame, shop: Shop
) -> list[Check]:
    """A check for each rule of lists that the shop sets.

    Args:
        met: user_id, item_id, is_bought of what users met.
    """
    rules = shop.rules
    items = partitions.rows(ITEMS, ds)
    caps = _caps_in_force(items, rules)
    groups = {name: group for name, (_, group) in caps.items()}
    about = items.select("item_id", is_new(rules, ds).alias("is_new"), *(g.alias(name) for name, g in groups.items()))
    rows = recommendations.join(about, on="item_id")
    bought = met.where("is_bought") if excludes_bought_fallback(shop) else met.where("false")
    checks = [_cap_check(name, most, len(caps) - 1, rows, bought) for name, (most, _) in caps.items()]
    # Under two caps nobody says in passing how many new items go together in a list.
    if rules.num_new(shop.top_k) and len(groups) < 2:
        num_fitting = _num_fitting(allowed_items(items, rules).where(is_new(rules, ds)), caps)
        checks.append(_new_item_check(rows, bought.join(about, on="item_id"), num_fitting, shop))
    return checks


def _caps_in_force(items: DataFrame, rules: ListRules) -> dict[str, tuple[int, Column]]:
    """The caps that can have an effect: few shops have variants, and all have a cap of them."""
    caps = caps_of(rules)
    if "max_per_group" in caps and items.where(item_group(rules).isNotNull()).isEmpty():
        del caps["max_per_group"]
    return caps


def _cap_check(name: str, most: int, other_caps: int, rows: DataFrame, bought: DataFrame) -> Check:
    """One row per list and category, or brand, or group of variants.

    Fillers may go beyond a cap where nothing else is left, which only happens to who bought what fits, or under two
    caps; rows of the published model never do.

    Args:
        other_caps: how many caps the shop sets besides.
    """
    counts = rows.where(F.col(name).isNotNull()).groupBy("user_id", name)
    counted = counts.agg(F.count("*").alias("num_rows"), F.count_if(~F.col("is_fallback")).alias("num_chosen"))
    buyers = bought.select("user_id", F.lit(True).alias("has_bought")).distinct()
    may_be_lifted = F.lit(other_caps > 0) | F.coalesce("has_bought", F.lit(False))
    rule = RowCheck(
        f"{name}_is_kept",
        f"No list holds more than {most} items of one {name.removeprefix('max_per_')}.",
        (F.col("num_chosen") > most) | ((F.col("num_rows") > most) & ~may_be_lifted),
        ("user_id", name, "num_rows"),
    )
    return Check(counted.join(buyers, on="user_id", how="left"), [], [rule])


def _new_item_check(rows: DataFrame, bought: DataFrame, num_fitting: DataFrame, shop: Shop) -> Check:
    """One row per list: enough new items, or all that the shop has for this user and a cap lets in.

    Args:
        num_fitting: one row, how many new items a list can hold.
    """
    rules = shop.rules
    lists = rows.groupBy("user_id").agg(F.count_if("is_new").alias("num_new"))
    had = bought.groupBy("user_id").agg(F.count_if("is_new").alias("num_bought"))
    rule = RowCheck(
        "min_new_item_share_is_kept",
        f"At least {rules.num_new(shop.top_k)} items of a list are new, where the shop has as many.",
        F.col("num_new") + F.coalesce("num_bought", F.lit(0))
        < F.least(F.lit(rules.num_new(shop.top_k)), "num_fitting"),
        ("user_id", "num_new"),
    )
    return Check(lists.join(had, on="user_id", how="left").crossJoin(num_fitting), [], [rule])


def _num_fitting(new: DataFrame, caps: Mapping[str, tuple[int, Column]]) -> DataFrame:
    """One row: how many new items a list can hold under the one cap that is set, or without any."""
    alone = F.concat(F.lit("\0"), "item_id")
    most, group = next(iter(caps.values()), (1, alone))
    fitting = new.groupBy(F.coalesce(group, alone)).agg(F.least(F.count("*"), F.lit(most)).alias("num_fitting"))
    return fitting.agg(F.coalesce(F.sum("num_fitting"), F.lit(0)).alias("num_fitting"))
