"""`user_recommendations`: the published model's lists after the shop's rules, exactly K items for every user.

Where the policy's decision allows it, these lists come in the policy's order (see `jobs.lists.published_candidates`).

Rules of single items: the item is in the catalogue and available when `ds` ends, and no rule of the shop leaves it out
(see `expectations.semantics.item_eligibility`). Rules of what comes back: `repeats` and `max_repeat_share` (see
`expectations.semantics.repeat_purchases`). Rules of lists: boosts, diversity, caps and new items choose among the best
`num_candidates` that are left (see `jobs.lists.mmr_selection`), and chance has a part in it where the shop's policy
says so (see `jobs.lists.softmax_sampling`). What a list then lacks is filled (see `jobs.lists.fallback_fill`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from expectations.runtime.lake import Version
from expectations.semantics.item_eligibility.in_spark import refusals, unknown_names
from expectations.semantics.repeat_purchases import excludes_bought_fallback, max_repeats
from expectations.semantics.repeat_purchases.in_spark import excluded_pairs
from expectations.shop.list_rules import ListRules
from expectations.shop.reasons import POPULARITY_MODELS
from expectations.shop.shop import Shop
from expectations.tables import (
    ATTRIBUTIONS,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEMS,
    USER_FEATURES,
    USER_RECOMMENDATIONS,
    USERS,
    VOCABULARIES,
    NightError,
)
from jobs.lists.catalogue import catalogue_rows
from jobs.lists.eligible_items import EligibleItems, eligible_items
from jobs.lists.fallback_fill import FallbackItems
from jobs.lists.list_assembly import BROUGHT_BY, FINISHED_DDL, AssemblyPlan, assembled_lists
from jobs.lists.mmr_selection import Selection
from jobs.lists.popularity_order import PopularityOrder, popularity_order
from jobs.lists.reason_text import reason_text
from jobs.lists.rule_counts import RuleCounts
from jobs.lists.softmax_sampling import SlotSampler
from jobs.lists.target_users import target_users
from jobs.storage.partitions import read_versions
from jobs.storage.user_blocks import BLOCK, Blocks
from jobs.tables.table_inputs import TableInputs

logger = logging.getLogger(__name__)

_MAX_NAMED = 5
"""Unknown names that the warning gives as examples; `run_manifest` has what it counted."""


def recommendation_inputs(inputs: TableInputs, repeats: str) -> list[Version]:
    """Returns every version that `user_recommendations` reads under the shop's `repeats`."""
    tables = [VOCABULARIES, ITEMS, USERS, INTERACTIONS, USER_FEATURES, ITEM_FEATURES]
    if repeats == "after_gap":
        tables.append(HISTORIES)
    reasons = inputs.attributions or inputs.neighbours
    return [
        *(inputs.features.version(table) for table in tables),
        *inputs.lists.versions,
        *([inputs.popularity.version] if inputs.popularity else []),
        *([reasons] if reasons else []),
    ]


def user_recommendations(spark: SparkSession, inputs: TableInputs, shop: Shop, counts: RuleCounts) -> DataFrame:
    """Returns the rows of `user_recommendations`, without the columns that every published row has besides.

    Args:
        counts: learns what each rule did.

    Raises:
        NightError: the rules leave fewer than `top_k` items for a list.
    """
    features, ds = inputs.features, inputs.ds
    items = catalogue_rows(spark, features, shop.rules)
    listed = eligible_items(items, ds, shop.top_k)
    order = popularity_order(listed.indices, inputs.popularity)
    plan = _assembly_plan(inputs, shop, order, listed)
    _require_caps_leave_k(ds, shop.top_k, shop.rules, plan.fallback)
    interactions = features.read(spark, INTERACTIONS)
    blocks = Blocks.of_users(features.version(USER_FEATURES).rows, features.version(ITEM_FEATURES).rows)
    targets = target_users(spark, features, shop.active_days)
    candidates = read_versions(spark, inputs.lists.table, [inputs.lists.version])
    lists = candidates.select("user_index", "item_index", "score")
    excluded = excluded_pairs(lambda table: features.read(spark, table), shop, ds)
    lists = eligible_candidates(lists, items, excluded, shop.rules, counts)
    # Where rules or chance choose among candidates, they need as many as a model proposes.
    chooses = shop.rules.choose_lists or bool(plan.selection.caps) or shop.policy.temperature > 0
    depth = shop.num_candidates if chooses else shop.top_k
    lists = with_attributions(spark, ranked(lists, interactions, shop, depth, counts), inputs.attributions)
    asked = blocks.split(lists.unionByName(targets.select("user_index"), allowMissingColumns=True))
    met = blocks.split(interactions.select("user_index", "item_index", "num_purchases"))

    def finish(asked: pa.Table, met: pa.Table) -> pa.Table:
        return assembled_lists(asked, met, plan)

    finished = asked.groupBy(BLOCK).cogroup(met.groupBy(BLOCK)).applyInArrow(finish, FINISHED_DDL)
    # Whoever orders the rows for their files looks at them twice: lists are finished, and counted, once.
    counted = _counted(finished, counts).repartition(blocks.num_partitions, "user_index")
    return in_shop_words(
        counted, targets, items, (inputs.lists.source, order.source), inputs.gate.is_fallback, shop.texts
    )


def rule_details(items: DataFrame, rules: ListRules, ds: str, counts: dict[str, int]) -> dict[str, Any]:
    """What `run_manifest` says of the rules of a night: which they were, what they did, which names meant nothing.

    Args:
        items: rows of the table `items` of `ds`.
        counts: how many rows each rule took out, brought in or moved.
    """
    unknown = unknown_names(items, rules)
    for kind, names in unknown.items():
        few = ", ".join(names[:_MAX_NAMED])
        logger.warning("rules name unknown %s: count=%d such as %s", kind, len(names), few)
    figures = " ".join(f"{name}={count}" for name, count in counts.items())
    logger.info("rules kept: table=%s ds=%s version=%s %s", USER_RECOMMENDATIONS.name, ds, rules.version, figures)
    num_unknown = {kind: len(names) for kind, names in unknown.items()}
    return {"version": rules.version, "declared": rules.declared, "unknown": num_unknown, "counts": counts}


def eligible_candidates(
    lists: DataFrame, items: DataFrame, excluded: DataFrame | None, rules: ListRules, counts: RuleCounts
) -> DataFrame:
    """Returns the rows of `lists` that the rules of single items and of repeat purchases leave.

    Args:
        items: the catalogue.
        excluded: user_index and item_index of what must not come back yet; None where all may.
    """
    rows = lists.join(F.broadcast(items.select("item_index", "refused_by")), on="item_index")
    by_rule = {name: F.count_if(F.col("refused_by") == name) for name in refusals(rules)}
    rows = counts.observe(rows, {"proposed": F.count(F.lit(1)), **by_rule})
    rows = rows.where(F.col("refused_by").isNull()).drop("refused_by")
    if excluded is None:
        return rows
    rows = rows.join(excluded.withColumn("is_excluded", F.lit(True)), on=["user_index", "item_index"], how="left")
    rows = counts.observe(rows, {"repeats": F.count_if("is_excluded")})
    return rows.where(F.col("is_excluded").isNull()).drop("is_excluded")


def ranked(lists: DataFrame, interactions: DataFrame, shop: Shop, depth: int, counts: RuleCounts) -> DataFrame:
    """The best `depth` rows of each user, with no more of what they bought than may be; equal scores by item_index."""
    best_first, most = (F.desc("score"), "item_index"), max_repeats(shop)
    if most < shop.top_k:
        bought = interactions.where("num_purchases > 0").select("user_index", "item_index", F.lit(1).alias("is_repeat"))
        rows = lists.join(bought, on=["user_index", "item_index"], how="left")
        by_user_and_repeat = Window.partitionBy("user_index", "is_repeat").orderBy(*best_first)
        is_too_many = F.col("is_repeat").isNotNull() & (F.col("rank") > most)
        rows = rows.withColumn("rank", F.row_number().over(by_user_and_repeat)).withColumn("is_too_many", is_too_many)
        rows = counts.observe(rows, {"max_repeat_share": F.count_if("is_too_many")})
        lists = rows.where(~F.col("is_too_many")).drop("is_repeat", "rank", "is_too_many")
    by_user = Window.partitionBy("user_index").orderBy(*best_first)
    rows = lists.withColumn("rank", F.row_number().over(by_user))
    return rows.where(F.col("rank") <= depth).drop("rank")


def with_attributions(spark: SparkSession, lists: DataFrame, found: Version | None) -> DataFrame:
    """`lists` with `because_index`, the item that a row owes most to; null where it owes nothing, or nobody asked."""
    if found is None:
        return lists.withColumn("because_index", F.lit(None).cast("int"))
    rows = spark.read.schema(ATTRIBUTIONS.ddl).parquet(found.path).select("user_index", "item_index", "because_index")
    return lists.join(rows, on=["user_index", "item_index"], how="left")


def in_shop_words(
    finished: DataFrame,
    targets: DataFrame,
    items: DataFrame,
    sources: tuple[str, str],
    is_fallback: bool,
    texts: Mapping[str, str],
) -> DataFrame:
    """Finished lists with the shop's own ids, and their reasons as text.

    Args:
        sources: of what was chosen, and of what fills lists.
        is_fallback: of the night, and so of every row.
    """
    names = F.broadcast(items.select("item_index", "item_id"))
    cited = F.broadcast(
        items.select(F.col("item_index").alias("because_index"), F.col("item_id").alias("because_id"), "title")
    )
    chosen_by, filled_by = sources
    source = F.when(F.col("is_filled"), F.lit(filled_by)).otherwise(F.lit(chosen_by))
    demand_source = chosen_by if chosen_by in POPULARITY_MODELS else filled_by
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
            reason_text(F.col("reason_code"), F.col("title"), demand_source, texts).alias("reason"),
            F.when(F.col("because_id").isNull(), F.array().cast("array<string>"))
            .otherwise(F.array("because_id"))
            .alias("because_item_ids"),
            (F.col("is_filled") | F.lit(is_fallback)).alias("is_fallback"),
            "propensity",
        )
    )


def _counted(finished: DataFrame, counts: RuleCounts) -> DataFrame:
    brought_in = {name: F.count_if(F.col("brought_by") == name) for name in BROUGHT_BY}
    return counts.observe(finished, {**brought_in, "moved": F.count_if("is_moved"), "filled": F.count_if("is_filled")})


def _assembly_plan(inputs: TableInputs, shop: Shop, order: PopularityOrder, items: EligibleItems) -> AssemblyPlan:
    rules = shop.rules
    caps, num_new = items.caps(rules), rules.num_new(shop.top_k)
    return AssemblyPlan(
        top_k=shop.top_k,
        fallback=FallbackItems(order.item_indices, order.item_indices[items.is_new[order.item_indices]], caps),
        num_in_demand=order.num_in_demand,
        num_popular=min(order.num_in_demand, shop.num_candidates),
        exclude_bought=excludes_bought_fallback(shop),
        is_by_demand=inputs.lists.source in POPULARITY_MODELS,
        is_explained=inputs.attributions is not None,
        neighbours_path=inputs.neighbours.path if inputs.neighbours else None,
        selection=Selection(
            diversity=rules.diversity,
            content_path=inputs.features.version(ITEM_FEATURES).path,
            boost=items.boost if rules.boosts else None,
            caps=caps,
            is_new=items.is_new if num_new else None,
            num_new=num_new,
            sampler=SlotSampler.for_night(shop.policy.temperature, shop.seed, inputs.ds),
        ),
    )


def _require_caps_leave_k(ds: str, top_k: int, rules: ListRules, fallback: FallbackItems) -> None:
    none = np.empty(0, np.int32)
    num_left = len(fallback.best(top_k, none, none))
    if num_left < top_k:
        raise NightError(
            f"{USER_RECOMMENDATIONS.name} ds={ds}: every user gets {top_k} items, and under the shop's "
            f"max_per_category={rules.max_per_category} and max_per_brand={rules.max_per_brand} and "
            f"max_per_group={rules.max_per_group} a list can hold {num_left}. Raise these caps (0 sets none), "
            "or lower `top_k`."
        )
