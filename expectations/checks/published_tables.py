"""What the published tables beside the lists of users promise: known, available, distinct items, best first."""

from __future__ import annotations

import math

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.checks.partitions import Partitions
from expectations.checks.published_lists import (
    is_allowed_check,
    known_items,
    list_checks,
    listed_item_checks,
    listed_row_checks,
    lists_by,
    met_items,
)
from expectations.checks.row_rules import Check, RowCheck
from expectations.checks.variants import Variants
from expectations.runtime.days import days_before
from expectations.runtime.lake import Lake
from expectations.semantics.pair_acts import with_acts
from expectations.shop.reasons import Reason
from expectations.shop.shop import Shop
from expectations.tables import (
    EVERYBODY,
    INTERACTIONS,
    NEW_ITEM_AUDIENCES,
    NEW_USER_RECOMMENDATIONS,
    SIMILAR_ITEMS,
    USERS,
    VOCABULARIES,
    Table,
)

SEGMENT_PATTERN = r"^(all|(country|age_bucket|gender)=[^&=]+(&(age_bucket|gender)=[^&=]+){0,2})$"


def min_listed_rows(lake: Lake, table: Table, ds: str, shop: Shop) -> int:
    """Returns `min_rows_share` of the rows of the latest earlier partition that passed; 1 when there is none."""
    passed = [day for day in lake.days(table, until=days_before(ds, 1)) if lake.is_validated(table, day)]
    if not passed:
        return 1
    previous = lake.require(table, passed[-1])
    # A list that was made shorter on purpose is no loss.
    shrunk_by = min(1.0, shop.top_k / previous.metadata.get("top_k", shop.top_k))
    return max(1, math.ceil(shop.publish.min_rows_share * shrunk_by * previous.rows))


def similar_item_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Rows name other items that may be sold; every item has exactly K of them."""
    similar = partitions.rows(SIMILAR_ITEMS, ds)
    items = known_items(partitions, ds, shop)
    rows = similar.join(items.withColumnRenamed("item_id", "similar_item_id"), on="similar_item_id", how="left")
    row_checks = [
        *listed_item_checks("similar_item_id"),
        is_allowed_check("similar_item_id"),
        *listed_row_checks(ds),
        RowCheck(
            "similar_item_is_another",
            "No item is similar to itself.",
            F.col("similar_item_id") == F.col("item_id"),
            ("item_id", "rank"),
        ),
    ]
    lists = lists_by(similar, "item_id", "similar_item_id").join(items, on="item_id", how="full")
    top_k, allowed, variants = shop.top_k, items.where("is_allowed"), Variants.of(partitions, ds, shop.rules)
    if variants is None:
        lists = lists.withColumn("num_others", allowed.count() - F.col("is_allowed").cast("int"))
    else:
        lists = variants.with_num_others(lists, allowed.select("item_id"))
    of_lists = [
        RowCheck(
            "item_is_known", "Every item with a list is in the catalogue.", F.col("is_sold").isNull(), ("item_id",)
        ),
        RowCheck(
            "list_has_k_items",
            f"Every item of the catalogue has exactly K={top_k} similar items, or all others that may be shown.",
            F.coalesce("num_rows", F.lit(0)) != F.least(F.lit(top_k), "num_others"),
            ("item_id", "num_rows"),
        ),
        *list_checks("item_id"),
    ]
    checks = [Check(rows, [], row_checks), Check(lists, [], of_lists), _acts_of_pairs(partitions, ds, similar)]
    if variants is not None:
        checks += [variants.are_bounded(similar, ("item_id",), "similar_item_id"), variants.are_not_alike(similar)]
    return checks


def _acts_of_pairs(partitions: Partitions, ds: str, similar: DataFrame) -> Check:
    """One row per pair whose reason names an act."""
    together = (Reason.BOUGHT_TOGETHER.value, Reason.VIEWED_TOGETHER.value)
    named = partitions.rows(VOCABULARIES, ds).where("field = 'item_id'")
    pairs = similar.where(F.col("reason_code").isin(*together)).select("item_id", "similar_item_id", "reason_code")
    for item, index in (("item_id", "item_index"), ("similar_item_id", "similar_index")):
        pairs = pairs.join(named.select(F.col("value").alias(item), F.col("index").alias(index)), on=item, how="inner")
    is_true = F.when(F.col("reason_code") == together[0], F.col("is_bought_together")).otherwise(
        F.col("is_met_together") & ~F.col("is_bought_together")
    )
    rule = RowCheck(
        "acts_are_those_of_the_pair",
        "Bought together are items that a customer bought both of; viewed together others that a customer met both of.",
        ~is_true,
        ("item_id", "similar_item_id", "reason_code"),
    )
    acts = with_acts(pairs, partitions.rows(INTERACTIONS, ds), "item_index", "similar_index")
    return Check(acts, [], [rule])


def new_user_recommendation_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Rows name items that may be sold; segments have exactly K of them, and `all` is one of these."""
    recommendations, items = partitions.rows(NEW_USER_RECOMMENDATIONS, ds), known_items(partitions, ds, shop)
    rows = recommendations.join(items, on="item_id", how="left")
    allowed, variants = items.where("is_allowed").select("item_id"), Variants.of(partitions, ds, shop.rules)
    num_listable = variants.listable(allowed) if variants else allowed.agg(F.count("*").alias("num_listable"))
    everybody = items.select(F.lit(EVERYBODY).alias("segment")).limit(1)
    lists = lists_by(recommendations, "segment", "item_id").join(everybody, on="segment", how="full")
    lists = lists.crossJoin(num_listable)
    row_checks = [
        RowCheck(
            "segment_names_attributes",
            "A segment is `all`, or attributes of people with their values.",
            ~F.col("segment").rlike(SEGMENT_PATTERN),
            ("segment",),
        ),
        RowCheck(
            "segment_has_k_items",
            f"A segment has exactly K={shop.top_k} items, or all that a list can hold, and `all` is there.",
            F.coalesce("num_rows", F.lit(0)) != F.least(F.lit(shop.top_k), "num_listable"),
            ("segment", "num_rows"),
        ),
        *list_checks("segment"),
    ]
    of_rows = [*listed_item_checks("item_id"), is_allowed_check("item_id"), *listed_row_checks(ds)]
    of_variants = [variants.are_bounded(recommendations, ("segment",), "item_id")] if variants else []
    return [Check(rows, [], of_rows), Check(lists, [], row_checks), *of_variants]


def new_item_audience_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Rows bring items that are new and may be sold to users of the shop who have not met them."""
    audiences, new = partitions.rows(NEW_ITEM_AUDIENCES, ds), shop.new_items
    items = known_items(partitions, ds, shop)
    users = partitions.rows(USERS, ds).select("user_id", F.lit(True).alias("is_known"))
    met = met_items(partitions, ds).select("user_id", "item_id", F.lit(True).alias("is_met"))
    rows = (
        audiences.join(items, on="item_id", how="left")
        .join(users, on="user_id", how="left")
        .join(met, on=["user_id", "item_id"], how="left")
    )
    pair = ("user_id", "item_id")
    row_checks = [
        *listed_item_checks("item_id"),
        is_allowed_check("item_id"),
        *listed_row_checks(ds),
        RowCheck(
            "item_is_new",
            f"An item with an audience was first seen in the last {new.days} days.",
            F.col("first_seen") <= days_before(ds, new.days),
            ("item_id", "first_seen"),
        ),
        RowCheck("user_is_known", "Everybody in an audience is a user of the shop.", F.col("is_known").isNull(), pair),
        RowCheck("item_is_new_to_user", "Nobody in an audience has met the item.", F.col("is_met"), pair),
    ]
    too_long = RowCheck(
        "audience_is_not_too_large",
        f"No audience is larger than `audience_size`, {new.audience_size}.",
        F.col("num_rows") > new.audience_size,
        ("item_id", "num_rows"),
    )
    lists = Check(lists_by(audiences, "item_id", "user_id"), [], [too_long, *list_checks("item_id")])
    return [Check(rows, [], row_checks), lists]


def no_rows_needed(lake: Lake, table: Table, ds: str, shop: Shop) -> int:
    """0: a night without a new item has no audience."""
    return 0
