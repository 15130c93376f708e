"""`user_recommendations`: the published model's lists after the shop's rules, exactly K items for every user.

Rules: the item is in the catalogue and available when `ds` ends; what the user bought comes back as the shop's
`repeats` and `max_repeat_share` say (see `expectations.repeat_policy`). What a list then lacks is filled (see
`jobs.finished_lists`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from expectations.lake import Version
from expectations.program import Night, days_before
from expectations.repeat_policy import barred_pairs, max_repeats
from expectations.tables import (
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEM_NEIGHBOURS,
    ITEMS,
    USER_FEATURES,
    USER_RECOMMENDATIONS,
    USERS,
    VOCABULARIES,
    NightError,
)
from jobs.catalogue import catalogue
from jobs.fallback_order import POPULARITY_MODELS, FallbackOrder, fallback_order, popularity_vectors
from jobs.finished_lists import FINISHED_DDL, ListRules, finished_lists
from jobs.gate_decision import GateDecision, lists_of
from jobs.partitions import read_partition
from jobs.reasons import reason_text
from jobs.user_blocks import BLOCK, Blocks


def recommendation_inputs(night: Night, gate: GateDecision) -> list[Version]:
    """Every version that `user_recommendations` reads."""
    tables = [VOCABULARIES, ITEMS, USERS, INTERACTIONS, USER_FEATURES, ITEM_FEATURES]
    if night.shop.repeats == "after_gap":
        tables.append(HISTORIES)
    popularity = popularity_vectors(night.lake, night.ds)
    neighbours = _neighbours(night, gate)
    return [
        *(night.lake.require(table, night.ds) for table in tables),
        lists_of(night.lake, night.ds, gate.published_model)[1],
        *([popularity[1]] if popularity else []),
        *([neighbours] if neighbours else []),
    ]


def user_recommendations(spark: SparkSession, night: Night, gate: GateDecision) -> DataFrame:
    """The rows of `user_recommendations`, without what every published row has besides.

    Raises:
        NightError: the shop has fewer than K available items.
    """
    items = catalogue(spark, night)
    available = np.array([row[0] for row in items.where("is_available").select("item_index").collect()], np.int32)
    if len(available) < night.shop.top_k:
        raise NightError(
            f"{USER_RECOMMENDATIONS.name} ds={night.ds}: every user gets {night.shop.top_k} items, and the shop has "
            f"{len(available)} available. Set `top_k` in the shop file to that at most, or look at the day's items."
        )
    order = fallback_order(night.lake, night.ds, available)
    rules = _list_rules(night, gate, order)
    interactions = read_partition(spark, night.lake, INTERACTIONS, night.ds)
    blocks = Blocks.of(night.lake, night.ds)
    targets = target_users(spark, night)
    lists = ranked(eligible(spark, _lists(spark, night, gate), items, night), interactions, night)
    asked = blocks.split(lists.unionByName(targets.select("user_index"), allowMissingColumns=True))
    met = blocks.split(interactions.select("user_index", "item_index", "num_purchases"))

    def finish(asked: pa.Table, met: pa.Table) -> pa.Table:
        return finished_lists(asked, met, rules)

    finished = asked.groupBy(BLOCK).cogroup(met.groupBy(BLOCK)).applyInArrow(finish, FINISHED_DDL)
    return in_shop_words(finished, targets, items, gate, order.source)


def target_users(spark: SparkSession, night: Night) -> DataFrame:
    """Who gets a list, as user_index and user_id: everybody of the log, or those of the last `active_days`."""
    users = read_partition(spark, night.lake, USERS, night.ds)
    # An empty text lies before every day, and a user without any event has none.
    since = days_before(night.ds, night.shop.active_days) if night.shop.active_days else ""
    vocabulary = read_partition(spark, night.lake, VOCABULARIES, night.ds).where(F.col("field") == "user_id")
    indices = vocabulary.select(F.col("value").alias("user_id"), F.col("index").alias("user_index"))
    return users.where(F.col("last_active") > since).join(indices, on="user_id").select("user_index", "user_id")


def eligible(spark: SparkSession, lists: DataFrame, items: DataFrame, night: Night) -> DataFrame:
    """The rows of `lists` that the shop's rules leave."""
    available = items.where("is_available").select("item_index")
    rows = lists.join(F.broadcast(available), on="item_index", how="left_semi")
    barred = barred_pairs(lambda table: read_partition(spark, night.lake, table, night.ds), night.shop, night.ds)
    return rows if barred is None else rows.join(barred, on=["user_index", "item_index"], how="left_anti")


def ranked(lists: DataFrame, interactions: DataFrame, night: Night) -> DataFrame:
    """The best K rows of each user, with no more of what they bought than the shop says; equal scores by item_index."""
    best_first, most = (F.desc("score"), "item_index"), max_repeats(night.shop)
    if most < night.shop.top_k:
        bought = interactions.where("num_purchases > 0").select("user_index", "item_index", F.lit(1).alias("is_repeat"))
        rows = lists.join(bought, on=["user_index", "item_index"], how="left")
        of_repeats = Window.partitionBy("user_index", "is_repeat").orderBy(*best_first)
        rows = rows.withColumn("rank", F.row_number().over(of_repeats))
        lists = rows.where(F.col("is_repeat").isNull() | (F.col("rank") <= most)).drop("is_repeat", "rank")
    of_user = Window.partitionBy("user_index").orderBy(*best_first)
    rows = lists.withColumn("rank", F.row_number().over(of_user))
    return rows.where(F.col("rank") <= night.shop.top_k).drop("rank")


def in_shop_words(
    finished: DataFrame, targets: DataFrame, items: DataFrame, gate: GateDecision, fallback_source: str
) -> DataFrame:
    """Finished lists with the shop's own ids, and their reasons as text."""
    names = F.broadcast(items.select("item_index", "item_id"))
    cited = F.broadcast(
        items.select(F.col("item_index").alias("because_index"), F.col("item_id").alias("because_id"), "title")
    )
    source = F.when(F.col("is_filled"), F.lit(fallback_source)).otherwise(F.lit(gate.published_model))
    demand_source = gate.published_model if gate.published_model in POPULARITY_MODELS else fallback_source
    return (
        finished.join(names, on="item_index")
        .join(cited, on="because_index", how="left")
        .join(targets, on="user_index")
        .select(
            "user_id",
            "rank",
            "item_id",
            "score",
            source.alias("source"),
            "reason_code",
            reason_text(F.col("reason_code"), F.col("title"), demand_source).alias("reason"),
            F.when(F.col("because_id").isNull(), F.array().cast("array<string>"))
            .otherwise(F.array("because_id"))
            .alias("because_item_ids"),
            (F.col("is_filled") | F.lit(gate.is_fallback)).alias("is_fallback"),
        )
    )


def _lists(spark: SparkSession, night: Night, gate: GateDecision) -> DataFrame:
    table, version = lists_of(night.lake, night.ds, gate.published_model)
    return spark.read.schema(table.ddl).parquet(version.path).select("user_index", "item_index", "score")


def _list_rules(night: Night, gate: GateDecision, order: FallbackOrder) -> ListRules:
    neighbours = _neighbours(night, gate)
    return ListRules(
        top_k=night.shop.top_k,
        fallback_items=order.item_indices,
        num_sought=order.num_sought,
        num_popular=min(order.num_sought, night.shop.num_candidates),
        exclude_bought=night.shop.repeats != "allowed" or max_repeats(night.shop) < night.shop.top_k,
        is_by_demand=gate.published_model in POPULARITY_MODELS,
        neighbours_path=neighbours.path if neighbours else None,
    )


def _neighbours(night: Night, gate: GateDecision) -> Version | None:
    """The neighbours that give reasons: the published model's own where it has any, else the similar items' model's."""
    for model in (gate.published_model, gate.similar_model):
        version = night.lake.current(ITEM_NEIGHBOURS, night.ds, model) if model else None
        if version is not None:
            return version
    return None
