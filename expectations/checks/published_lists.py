"""What holds of every published list, whoever or whatever it is for: its rows, its order, its items."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.checks.partitions import Partitions
from expectations.checks.row_rules import RowCheck
from expectations.runtime.days import end_of
from expectations.semantics.item_eligibility.in_spark import refused_by
from expectations.semantics.repeat_purchases.in_spark import excluded_pairs
from expectations.shop.reasons import Reason
from expectations.shop.shop import Shop
from expectations.tables import HISTORIES, INTERACTIONS, ITEMS, VOCABULARIES


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


def list_checks(owner: str) -> list[RowCheck]:
    """What holds for every list, of rows that `lists_by` gives."""
    return [
        RowCheck(
            "ranks_have_no_gap",
            "The ranks of a list run from 1 without a gap.",
            F.col("ranks") != F.sequence(F.lit(1), F.col("num_rows").cast("int")),
            (owner, "ranks"),
        ),
        RowCheck(
            "items_are_distinct",
            "No list names an item twice.",
            F.col("num_items") != F.col("num_rows"),
            (owner, "num_rows", "num_items"),
        ),
        RowCheck(
            "score_never_rises",
            "The score never rises with the rank.",
            F.reverse(F.sort_array("scores")) != F.col("scores"),
            (owner, "scores"),
        ),
    ]


def listed_item_checks(item: str) -> list[RowCheck]:
    """What holds for every listed item, of rows with the columns of `known_items`."""
    return [
        RowCheck(
            f"{item}_is_in_catalogue", f"{item} is in the catalogue of ds.", F.col("is_sold").isNull(), (item, "rank")
        ),
        RowCheck(f"{item}_is_available", f"{item} is available after ds.", ~F.col("is_sold"), (item, "rank")),
    ]


def listed_row_checks(ds: str) -> list[RowCheck]:
    """What holds for every published row."""
    # Not compared with `generated_at`: a backfill writes rows that have long expired, as they would have been then.
    return [
        RowCheck(
            "expires_after_the_day",
            "A row may be shown for some time after ds ends.",
            F.col("expires_at") <= F.lit(end_of(ds)),
            ("expires_at",),
        ),
        RowCheck(
            "reason_code_is_known",
            "A reason is one of those that the contract names.",
            ~F.col("reason_code").isin(*(reason.value for reason in Reason)),
            ("reason_code",),
        ),
    ]


def is_allowed_check(item: str) -> RowCheck:
    """Of rows with the columns of `known_items`."""
    return RowCheck(
        f"{item}_is_allowed",
        f"No rule of the shop leaves {item} out of lists.",
        F.col("is_sold") & ~F.col("is_allowed"),
        (item, "rank"),
    )


def act_is_true_check() -> RowCheck:
    """Of rows that cite an item, with `is_bought` of the pair."""
    says_bought = F.col("reason_code").isin(Reason.BUY_AGAIN.value, Reason.BECAUSE_YOU_BOUGHT.value)
    says_viewed = F.col("reason_code").isin(Reason.LOOK_AGAIN.value, Reason.BECAUSE_YOU_VIEWED.value)
    return RowCheck(
        "act_is_true_of_cited_item",
        "A reason says of the cited item that the user bought it where they did, or viewed it where they did no more.",
        (says_bought & ~F.col("is_bought")) | (says_viewed & F.col("is_bought")),
        ("user_id", "item_id", "reason_code"),
    )


def known_items(partitions: Partitions, ds: str, shop: Shop) -> DataFrame:
    """`item_id`, `is_sold`, `is_allowed` (by availability and the shop's rules) and `first_seen` of the catalogue."""
    is_allowed = refused_by(shop.rules).isNull().alias("is_allowed")
    items = partitions.rows(ITEMS, ds)
    return items.select("item_id", F.col("is_available").alias("is_sold"), is_allowed, "first_seen")


def barred_items(partitions: Partitions, ds: str, shop: Shop) -> DataFrame | None:
    """`user_id`, `item_id`, `is_barred` of what must not come back to a user; None where all may."""
    barred = excluded_pairs(lambda table: partitions.rows(table, ds), shop, ds)
    if barred is None:
        return None
    return with_ids(barred.withColumn("is_barred", F.lit(True)), partitions, ds)


def may_come_back_check(shop: Shop, *told: str) -> RowCheck:
    """Of rows with the columns of `barred_items`; `told` are the columns that failing rows show."""
    statement = f"No user is recommended what they bought against the shop's `repeats = {shop.repeats}`."
    return RowCheck("item_may_come_back", statement, F.col("is_barred"), told)


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
