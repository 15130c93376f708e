"""What the published lists promise a shop: K known, available, distinct items for everybody, best first."""

from __future__ import annotations

import math

import great_expectations.expectations as gxe
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.item_rules import AVAILABILITY, refusals, refused_by
from expectations.list_checks import list_rule_checks
from expectations.program import Night, days_before, end_of
from expectations.repeat_policy import barred_pairs, max_repeats
from expectations.rules import Check, Rule
from expectations.spark_partitions import Partitions
from expectations.tables import (
    EVERYBODY,
    HISTORIES,
    INTERACTIONS,
    ITEMS,
    NEW_ITEM_AUDIENCES,
    NEW_USER_RECOMMENDATIONS,
    SIMILAR_ITEMS,
    USER_RECOMMENDATIONS,
    USERS,
    VOCABULARIES,
    Table,
)

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


def user_recommendation_checks(night: Night, partitions: Partitions, ds: str) -> list[Check]:
    """Rows name items that may be sold; users have exactly K of them, and reasons that are theirs."""
    recommendations = partitions.rows(USER_RECOMMENDATIONS, ds)
    met = met_items(partitions, ds)
    excluding = {name: is_refused for name, is_refused in refusals(night.shop.rules).items() if name != AVAILABILITY}
    items = known_items(night, partitions, ds).join(
        partitions.rows(ITEMS, ds).select("item_id", *(c.alias(f"is_refused_by_{n}") for n, c in excluding.items())),
        on="item_id",
    )
    rows = recommendations.join(items, on="item_id", how="left").withColumn(
        "fallback_share", F.col("is_fallback").cast("double")
    )
    is_probability = Rule(
        "propensity_is_a_probability",
        "With some probability above 0 each item came to its rank.",
        F.col("propensity").isNull() | (F.col("propensity") <= 0) | (F.col("propensity") > 1),  # NaN is above all
        ("user_id", "rank", "propensity"),
    )
    excluded = [_kept_by_items(name) for name in excluding]
    rules = [*item_rules("item_id"), *row_rules(ds), is_probability, *excluded]
    barred = barred_items(partitions, night, ds)
    if barred is not None:
        rows = rows.join(barred, on=["user_id", "item_id"], how="left")
        rules.append(
            Rule(
                "item_may_come_back",
                f"No user is recommended what they bought against the shop's `repeats = {night.shop.repeats}`.",
                F.col("is_barred"),
                ("user_id", "item_id"),
            )
        )
    share = gxe.ExpectColumnMeanToBeBetween(
        column="fallback_share", min_value=0, max_value=1, description="The share of rows that are a fallback."
    )
    cited = recommendations.select("user_id", "rank", F.explode("because_item_ids").alias("item_id"))
    cited_is_met = Rule(
        "because_is_in_history",
        "Every cited item is in the user's own history.",
        F.col("is_bought").isNull(),
        ("user_id", "rank", "item_id"),
    )
    return [
        Check(rows, [share], rules),
        Check(cited.join(met, on=["user_id", "item_id"], how="left"), [], [cited_is_met]),
        *_repeats_of_users(night, recommendations, met),
        *list_rule_checks(night, partitions, recommendations, met, ds),
        _lists_of_users(night, partitions, recommendations, ds),
    ]


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


def _repeats_of_users(night: Night, recommendations: DataFrame, met: DataFrame) -> list[Check]:
    """One row per user with items that they bought; nothing where the shop sets no bound."""
    most = max_repeats(night.shop)
    if most >= night.shop.top_k:
        return []
    bought = recommendations.join(met.where("is_bought"), on=["user_id", "item_id"], how="left_semi")
    rule = Rule(
        "repeats_are_bounded",
        f"No list holds more than {most} items that the user bought: `max_repeat_share`.",
        F.col("num_repeats") > most,
        ("user_id", "num_repeats"),
    )
    return [Check(bought.groupBy("user_id").agg(F.count("*").alias("num_repeats")), [], [rule])]


def _lists_of_users(night: Night, partitions: Partitions, recommendations: DataFrame, ds: str) -> Check:
    """One row per user: those with a list, and those who should have one."""
    users = partitions.rows(USERS, ds).select("user_id", "last_active", F.lit(True).alias("is_known"))
    lists = lists_by(recommendations, "user_id", "item_id").join(users, on="user_id", how="full")
    num_available = partitions.rows(ITEMS, ds).where("is_available").count()
    length = min(night.shop.top_k, num_available)
    since = days_before(ds, night.shop.active_days) if night.shop.active_days else ""
    rules = [
        Rule(
            "user_is_known", "Every user with a list is a user of the shop.", F.col("is_known").isNull(), ("user_id",)
        ),
        Rule(
            "active_user_has_list",
            "Every user of the log has a list, or those of the last `active_days`.",
            F.col("num_rows").isNull() & (F.col("last_active") > since),
            ("user_id", "last_active"),
        ),
        Rule(
            "list_has_k_items",
            f"A user has exactly K={length} items.",
            F.col("num_rows") != length,
            ("user_id", "num_rows"),
        ),
        *list_rules("user_id"),
    ]
    return Check(lists, [], rules)


def lists_by(rows: DataFrame, owner: str, item: str) -> DataFrame:
    """One row per list: its length, its ranks and scores in order, its distinct items."""
    in_order = F.sort_array(F.collect_list(F.struct("rank", "score")))
    lists = rows.groupBy(owner).agg(
        F.count("*").alias("num_rows"), F.count_distinct(item).alias("num_items"), in_order.alias("ranked")
    )
    return lists.select(
        owner,
        "num_rows",
        "num_items",
        F.col("ranked.rank").alias("ranks"),
        F.col("ranked.score").alias("scores"),
    )


def list_rules(owner: str) -> list[Rule]:
    """What holds for every list, of rows that `lists_by` gives."""
    return [
        Rule(
            "ranks_have_no_gap",
            "The ranks of a list run from 1 without a gap.",
            F.col("ranks") != F.sequence(F.lit(1), F.col("num_rows").cast("int")),
            (owner, "ranks"),
        ),
        Rule(
            "items_are_distinct",
            "No list names an item twice.",
            F.col("num_items") != F.col("num_rows"),
            (owner, "num_rows", "num_items"),
        ),
        Rule(
            "score_never_rises",
            "The score never rises with the rank.",
            F.reverse(F.sort_array("scores")) != F.col("scores"),
            (owner, "scores"),
        ),
    ]


def item_rules(item: str) -> list[Rule]:
    """What holds for every listed item, of rows with the columns of `known_items`."""
    return [
        Rule(
            f"{item}_is_in_catalogue", f"{item} is in the catalogue of ds.", F.col("is_sold").isNull(), (item, "rank")
        ),
        Rule(f"{item}_is_available", f"{item} is available after ds.", ~F.col("is_sold"), (item, "rank")),
    ]


def row_rules(ds: str) -> list[Rule]:
    """What holds for every published row."""
    # Not compared with `generated_at`: a backfill writes rows that have long expired, as they would have been then.
    return [
        Rule(
            "expires_after_the_day",
            "A row may be shown for some time after ds ends.",
            F.col("expires_at") <= F.lit(end_of(ds)),
            ("expires_at",),
        )
    ]


def _kept_by_items(name: str) -> Rule:
    return Rule(
        f"{name}_is_kept",
        f"No item is listed that the shop's rule `{name}` leaves out.",
        F.col(f"is_refused_by_{name}"),
        ("user_id", "item_id"),
    )


def is_allowed_rule(item: str) -> Rule:
    """Of rows with the columns of `known_items`."""
    return Rule(
        f"{item}_is_allowed",
        f"No rule of the shop leaves {item} out of lists.",
        F.col("is_sold") & ~F.col("is_allowed"),
        (item, "rank"),
    )


def known_items(night: Night, partitions: Partitions, ds: str) -> DataFrame:
    """`item_id`, `is_sold`, `is_allowed` (by availability and the shop's rules) and `first_seen` of the catalogue."""
    is_allowed = refused_by(night.shop.rules).isNull().alias("is_allowed")
    items = partitions.rows(ITEMS, ds)
    return items.select("item_id", F.col("is_available").alias("is_sold"), is_allowed, "first_seen")


def barred_items(partitions: Partitions, night: Night, ds: str) -> DataFrame | None:
    """`user_id`, `item_id`, `is_barred` of what must not come back to a user; None where all may."""
    barred = barred_pairs(lambda table: partitions.rows(table, ds), night.shop, ds)
    if barred is None:
        return None
    return with_ids(barred.withColumn("is_barred", F.lit(True)), partitions, ds)


def with_ids(pairs: DataFrame, partitions: Partitions, ds: str) -> DataFrame:
    """The pairs with `user_id` and `item_id` in place of their indices."""
    vocabularies = partitions.rows(VOCABULARIES, ds)
    for name in ("user", "item"):
        values = vocabularies.where(F.col("field") == f"{name}_id")
        ids = values.select(F.col("value").alias(f"{name}_id"), F.col("index").alias(f"{name}_index"))
        pairs = pairs.join(ids, on=f"{name}_index", how="inner").drop(f"{name}_index")
    return pairs


def met_items(partitions: Partitions, ds: str) -> DataFrame:
    """The pairs of user and item that the log knows, by the shop's ids, and whether the user bought the item."""
    met = partitions.rows(INTERACTIONS, ds).select("user_index", "item_index", "num_purchases")
    # What came back whole is no interaction, yet the user knows it.
    remembered = partitions.rows(HISTORIES, ds).select(
        "user_index", F.explode("item_indices").alias("item_index"), F.lit(0).alias("num_purchases")
    )
    pairs = (
        met.unionByName(remembered)
        .groupBy("user_index", "item_index")
        .agg((F.max("num_purchases") > 0).alias("is_bought"))
    )
    return with_ids(pairs, partitions, ds).select("user_id", "item_id", "is_bought")
