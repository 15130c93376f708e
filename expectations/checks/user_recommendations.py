"""What the lists of users promise: K items for everybody that may be sold to them, and reasons that are theirs."""

from __future__ import annotations

import great_expectations.expectations as gxe
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.checks.list_rules import list_rule_checks
from expectations.checks.partitions import Partitions
from expectations.checks.published_lists import (
    act_is_true_check,
    barred_items,
    known_items,
    list_checks,
    listed_item_checks,
    listed_row_checks,
    lists_by,
    may_come_back_check,
    met_items,
)
from expectations.checks.row_rules import Check, RowCheck
from expectations.runtime.days import days_before
from expectations.semantics.item_eligibility import AVAILABILITY
from expectations.semantics.item_eligibility.in_spark import refusals
from expectations.semantics.repeat_purchases import max_repeats
from expectations.shop.shop import Shop
from expectations.tables import ITEMS, USER_RECOMMENDATIONS, USERS


def user_recommendation_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Rows name items that may be sold; users have exactly K of them, and reasons that are theirs."""
    recommendations = partitions.rows(USER_RECOMMENDATIONS, ds)
    met = met_items(partitions, ds)
    excluding = {name: is_refused for name, is_refused in refusals(shop.rules).items() if name != AVAILABILITY}
    items = known_items(partitions, ds, shop).join(
        partitions.rows(ITEMS, ds).select("item_id", *(c.alias(f"is_refused_by_{n}") for n, c in excluding.items())),
        on="item_id",
    )
    rows = recommendations.join(items, on="item_id", how="left").withColumn(
        "fallback_share", F.col("is_fallback").cast("double")
    )
    is_probability = RowCheck(
        "propensity_is_a_probability",
        "With some probability above 0 each item came to its rank.",
        F.col("propensity").isNull() | (F.col("propensity") <= 0) | (F.col("propensity") > 1),  # NaN is above all
        ("user_id", "rank", "propensity"),
    )
    excluded = [_kept_by_items(name) for name in excluding]
    row_checks = [*listed_item_checks("item_id"), *listed_row_checks(ds), is_probability, *excluded]
    barred = barred_items(partitions, ds, shop)
    if barred is not None:
        rows = rows.join(barred, on=["user_id", "item_id"], how="left")
        row_checks.append(may_come_back_check(shop, "user_id", "item_id"))
    share = gxe.ExpectColumnMeanToBeBetween(
        column="fallback_share", min_value=0, max_value=1, description="The share of rows that are a fallback."
    )
    cited = recommendations.select("user_id", "rank", "reason_code", F.explode("because_item_ids").alias("item_id"))
    cited_is_met = RowCheck(
        "because_is_in_history",
        "Every cited item is in the user's own history.",
        F.col("is_bought").isNull(),
        ("user_id", "rank", "item_id"),
    )
    return [
        Check(rows, [share], row_checks),
        Check(cited.join(met, on=["user_id", "item_id"], how="left"), [], [cited_is_met, act_is_true_check()]),
        *_repeats_of_users(recommendations, met, shop),
        *list_rule_checks(partitions, ds, recommendations, met, shop),
        _lists_of_users(partitions, ds, recommendations, shop),
    ]


def _repeats_of_users(recommendations: DataFrame, met: DataFrame, shop: Shop) -> list[Check]:
    """One row per user with items that they bought; nothing where the shop sets no bound."""
    most = max_repeats(shop)
    if most >= shop.top_k:
        return []
    bought = recommendations.join(met.where("is_bought"), on=["user_id", "item_id"], how="left_semi")
    rule = RowCheck(
        "repeats_are_bounded",
        f"No list holds more than {most} items that the user bought: `max_repeat_share`.",
        F.col("num_repeats") > most,
        ("user_id", "num_repeats"),
    )
    return [Check(bought.groupBy("user_id").agg(F.count("*").alias("num_repeats")), [], [rule])]


def _lists_of_users(partitions: Partitions, ds: str, recommendations: DataFrame, shop: Shop) -> Check:
    """One row per user: those with a list, and those who should have one."""
    users = partitions.rows(USERS, ds).select("user_id", "last_active", F.lit(True).alias("is_known"))
    lists = lists_by(recommendations, "user_id", "item_id").join(users, on="user_id", how="full")
    num_available = partitions.rows(ITEMS, ds).where("is_available").count()
    length = min(shop.top_k, num_available)
    since = days_before(ds, shop.active_days) if shop.active_days else ""
    row_checks = [
        RowCheck(
            "user_is_known", "Every user with a list is a user of the shop.", F.col("is_known").isNull(), ("user_id",)
        ),
        RowCheck(
            "active_user_has_list",
            "Every user of the log has a list, or those of the last `active_days`.",
            F.col("num_rows").isNull() & (F.col("last_active") > since),
            ("user_id", "last_active"),
        ),
        RowCheck(
            "list_has_k_items",
            f"A user has exactly K={length} items.",
            F.col("num_rows") != length,
            ("user_id", "num_rows"),
        ),
        *list_checks("user_id"),
    ]
    return Check(lists, [], row_checks)


def _kept_by_items(name: str) -> RowCheck:
    return RowCheck(
        f"{name}_is_kept",
        f"No item is listed that the shop's rule `{name}` leaves out.",
        F.col(f"is_refused_by_{name}"),
        ("user_id", "item_id"),
    )
