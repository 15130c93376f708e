"""What the lists of `cross_domain_recommendations` promise: the best K of a domain, for who knows another one."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.checks.partitions import Partitions
from expectations.checks.published_lists import (
    act_is_true_check,
    barred_items,
    is_allowed_check,
    known_items,
    list_checks,
    listed_item_checks,
    listed_row_checks,
    lists_by,
    may_come_back_check,
    met_items,
    with_ids,
)
from expectations.checks.row_rules import Check, RowCheck
from expectations.checks.variants import Variants
from expectations.runtime.days import days_before
from expectations.semantics.item_eligibility.in_spark import allowed_items
from expectations.shop.shop import Shop
from expectations.tables import CROSS_DOMAIN_RECOMMENDATIONS, INTERACTIONS, ITEMS, USERS

OWNER = ("user_id", "domain")


def cross_domain_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Rows name items of their domain that may be sold; reasons are of the user's history in other domains."""
    listed = partitions.rows(CROSS_DOMAIN_RECOMMENDATIONS, ds)
    domains = partitions.rows(ITEMS, ds).select("item_id", F.col("domain").alias("item_domain"))
    # One row per user and item met in the log, with the item's domain; items that the catalogue lost are none.
    met = met_items(partitions, ds).join(domains, on="item_id")
    barred = barred_items(partitions, ds, shop)
    rows = listed.join(known_items(partitions, ds, shop), on="item_id", how="left").join(
        domains, on="item_id", how="left"
    )
    row_checks = [
        *listed_item_checks("item_id"),
        is_allowed_check("item_id"),
        *listed_row_checks(ds),
        RowCheck(
            "item_is_of_domain",
            "Every item is of the domain of its list.",
            F.col("domain") != F.col("item_domain"),
            (*OWNER, "rank", "item_id"),
        ),
    ]
    if barred is not None:
        rows = rows.join(barred, on=["user_id", "item_id"], how="left")
        row_checks.append(may_come_back_check(shop, *OWNER, "item_id"))
    checks = [
        Check(rows, [], row_checks),
        Check(_cited(listed, met), [], _cited_checks()),
        _lists_of_domains(partitions, ds, listed, barred, shop),
    ]
    variants = Variants.of(partitions, ds, shop.rules)
    return [*checks, variants.are_bounded(listed, OWNER, "item_id")] if variants else checks


def _cited(listed: DataFrame, met: DataFrame) -> DataFrame:
    """One row per cited item; `item_domain` is null where the user never met it."""
    cited = listed.select(*OWNER, "rank", "reason_code", F.explode("because_item_ids").alias("item_id"))
    return cited.join(met, on=["user_id", "item_id"], how="left")


def _cited_checks() -> list[RowCheck]:
    told = (*OWNER, "rank", "item_id")
    return [
        RowCheck(
            "because_is_in_history",
            "Every cited item is in the user's own history.",
            F.col("item_domain").isNull(),
            told,
        ),
        RowCheck(
            "because_is_of_another_domain",
            "Every cited item is of another domain than the list.",
            F.col("item_domain") == F.col("domain"),
            told,
        ),
        act_is_true_check(),
    ]


def _lists_of_domains(
    partitions: Partitions, ds: str, listed: DataFrame, barred: DataFrame | None, shop: Shop
) -> Check:
    """One row per user and domain: those with a list, and those that should have one."""
    lists = lists_by(listed.withColumn("owner", F.struct(*OWNER)), "owner", "item_id")
    lists = lists.select(*(F.col(f"owner.{name}").alias(name) for name in OWNER), "*")
    rows = lists.join(_expected(partitions, ds, barred, shop), on=list(OWNER), how="full")
    row_checks = [
        RowCheck(
            "user_knows_another_domain",
            "Whoever has a list met something in another domain, and was active in the last `active_days`.",
            F.col("num_expected").isNull(),
            OWNER,
        ),
        RowCheck(
            "list_is_as_long_as_it_can_be",
            f"A list has K={shop.top_k} items, or all of its domain that the user may get.",
            F.coalesce("num_rows", F.lit(0)) != F.col("num_expected"),
            (*OWNER, "num_rows", "num_expected"),
        ),
        *list_checks("owner"),
    ]
    return Check(rows, [], row_checks)


def _expected(partitions: Partitions, ds: str, barred: DataFrame | None, shop: Shop) -> DataFrame:
    """`user_id`, `domain`, `num_expected` of every list that should be there."""
    items = partitions.rows(ITEMS, ds)
    met = with_ids(partitions.rows(INTERACTIONS, ds).select("user_index", "item_index"), partitions, ds)
    met = met.join(items.select("item_id", F.col("domain").alias("item_domain")), on="item_id")
    since = days_before(ds, shop.active_days) if shop.active_days else ""
    active = partitions.rows(USERS, ds).where(F.col("last_active") > since).select("user_id")
    available = allowed_items(items, shop.rules).select("item_id", "domain")
    known = met.select("user_id", "item_domain").distinct().join(active, on="user_id")
    variants = Variants.of(partitions, ds, shop.rules)
    per_domain = available.groupBy("domain").agg(F.count("*").alias("num_available"))
    if variants is not None:
        per_domain = variants.listable(available, ["domain"]).withColumnRenamed("num_listable", "num_available")
    pairs = known.crossJoin(F.broadcast(per_domain)).where(F.col("domain") != F.col("item_domain"))
    pairs = pairs.select(*OWNER, "num_available").distinct()
    num_barred = F.lit(0)
    if barred is not None:
        gone = barred.join(available, on="item_id").select("item_id", *OWNER)
        counts = gone.groupBy(*OWNER).agg(F.count("*").alias("num_barred"))
        if variants is not None:
            counts = variants.lost(gone, available, ["domain"], OWNER)
        pairs, num_barred = pairs.join(counts, on=list(OWNER), how="left"), F.coalesce("num_barred", F.lit(0))
    length = F.least(F.lit(shop.top_k), F.col("num_available") - num_barred)
    return pairs.select(*OWNER, length.alias("num_expected"))
