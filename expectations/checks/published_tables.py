"""What the published tables beside the lists of users promise: known, available, distinct items, best first."""

from __future__ import annotations

import math

from pyspark.sql import functions as F

from expectations.checks.partitions import Partitions
from expectations.checks.published_lists import (
    is_allowed_rule,
    item_rules,
    known_items,
    list_rules,
    lists_by,
    met_items,
    row_rules,
)
from expectations.checks.row_rules import Check, Rule
from expectations.runtime.days import days_before
from expectations.runtime.program import Night
from expectations.tables import EVERYBODY, NEW_ITEM_AUDIENCES, NEW_USER_RECOMMENDATIONS, SIMILAR_ITEMS, USERS, Table

MIN_SHARE_OF_PREVIOUS = 0.5
SEGMENT_PATTERN = r"^(all|(country|age_bucket|gender)=[^&=]+(&(age_bucket|gender)=[^&=]+){0,2})$"


def min_listed_rows(night: Night, table: Table, ds: str) -> int:
    """Half of what the latest earlier partition that passed its expectations holds; 1 when there is none."""
    passed = [day for day in night.lake.days(table, until=days_before(ds, 1)) if night.lake.is_validated(table, day)]
    if not passed:
        return 1
    previous = night.lake.require(table, passed[-1])
    # A list that was made shorter on purpose is no loss.
    shrunk_by = min(1.0, night.shop.top_k / previous.facts.get("top_k", night.shop.top_k))
    return max(1, math.ceil(MIN_SHARE_OF_PREVIOUS * shrunk_by * previous.rows))


def similar_item_checks(night: Night, partitions: Partitions, ds: str) -> list[Check]:
    """Rows name other items that may be sold; every item has exactly K of them."""
    similar = partitions.rows(SIMILAR_ITEMS, ds)
    items = known_items(night, partitions, ds)
    rows = similar.join(items.withColumnRenamed("item_id", "similar_item_id"), on="similar_item_id", how="left")
    rules = [
        *item_rules("similar_item_id"),
        is_allowed_rule("similar_item_id"),
        *row_rules(ds),
        Rule(
            "similar_item_is_another",
            "No item is similar to itself.",
            F.col("similar_item_id") == F.col("item_id"),
            ("item_id", "rank"),
        ),
    ]
    lists = lists_by(similar, "item_id", "similar_item_id").join(items, on="item_id", how="full")
    top_k, num_allowed = night.shop.top_k, items.where("is_allowed").count()
    num_others = num_allowed - F.col("is_allowed").cast("int")
    of_lists = [
        Rule("item_is_known", "Every item with a list is in the catalogue.", F.col("is_sold").isNull(), ("item_id",)),
        Rule(
            "list_has_k_items",
            f"Every item of the catalogue has exactly K={top_k} similar items, or all others that may be shown.",
            F.coalesce("num_rows", F.lit(0)) != F.least(F.lit(top_k), num_others),
            ("item_id", "num_rows"),
        ),
        *list_rules("item_id"),
    ]
    return [Check(rows, [], rules), Check(lists, [], of_lists)]


def new_user_recommendation_checks(night: Night, partitions: Partitions, ds: str) -> list[Check]:
    """Rows name items that may be sold; segments have exactly K of them, and `all` is one of these."""
    recommendations, items = partitions.rows(NEW_USER_RECOMMENDATIONS, ds), known_items(night, partitions, ds)
    rows = recommendations.join(items, on="item_id", how="left")
    length = min(night.shop.top_k, items.where("is_allowed").count())
    everybody = items.select(F.lit(EVERYBODY).alias("segment")).limit(1)
    lists = lists_by(recommendations, "segment", "item_id").join(everybody, on="segment", how="full")
    rules = [
        Rule(
            "segment_names_attributes",
            "A segment is `all`, or attributes of people with their values.",
            ~F.col("segment").rlike(SEGMENT_PATTERN),
            ("segment",),
        ),
        Rule(
            "segment_has_k_items",
            f"A segment has exactly K={length} items, and `all` is there.",
            F.coalesce("num_rows", F.lit(0)) != length,
            ("segment", "num_rows"),
        ),
        *list_rules("segment"),
    ]
    of_rows = [*item_rules("item_id"), is_allowed_rule("item_id"), *row_rules(ds)]
    return [Check(rows, [], of_rows), Check(lists, [], rules)]


def new_item_audience_checks(night: Night, partitions: Partitions, ds: str) -> list[Check]:
    """Rows bring items that are new and may be sold to users of the shop who have not met them."""
    audiences, new = partitions.rows(NEW_ITEM_AUDIENCES, ds), night.shop.new_items
    items = known_items(night, partitions, ds)
    users = partitions.rows(USERS, ds).select("user_id", F.lit(True).alias("is_known"))
    met = met_items(partitions, ds).select("user_id", "item_id", F.lit(True).alias("is_met"))
    rows = (
        audiences.join(items, on="item_id", how="left")
        .join(users, on="user_id", how="left")
        .join(met, on=["user_id", "item_id"], how="left")
    )
    pair = ("user_id", "item_id")
    rules = [
        *item_rules("item_id"),
        is_allowed_rule("item_id"),
        *row_rules(ds),
        Rule(
            "item_is_new",
            f"An item with an audience was first seen in the last {new.days} days.",
            F.col("first_seen") <= days_before(ds, new.days),
            ("item_id", "first_seen"),
        ),
        Rule("user_is_known", "Everybody in an audience is a user of the shop.", F.col("is_known").isNull(), pair),
        Rule("item_is_new_to_user", "Nobody in an audience has met the item.", F.col("is_met"), pair),
    ]
    too_long = Rule(
        "audience_is_not_too_large",
        f"No audience is larger than `audience_size`, {new.audience_size}.",
        F.col("num_rows") > new.audience_size,
        ("item_id", "num_rows"),
    )
    lists = Check(lists_by(audiences, "item_id", "user_id"), [], [too_long, *list_rules("item_id")])
    return [Check(rows, [], rules), lists]


def no_rows_needed(night: Night, table: Table, ds: str) -> int:
    """0: a night without a new item has no audience."""
    return 0
