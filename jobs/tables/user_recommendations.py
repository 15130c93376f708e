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
from expectations.runtime.program import Night
from expectations.semantics.item_eligibility import refusals, unknown_names
from expectations.semantics.repeat_purchases import excluded_pairs, excludes_bought_fallback, max_repeats
from expectations.tables import (
    ATTRIBUTIONS,
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
from jobs.lists.catalogue import catalogue_rows
from jobs.lists.eligible_items import EligibleItems, eligible_items
from jobs.lists.fallback_fill import FallbackItems
from jobs.lists.gate_decision import GateDecision
from jobs.lists.list_assembly import BROUGHT_BY, FINISHED_DDL, AssemblyPlan, assembled_lists
from jobs.lists.mmr_selection import Selection
from jobs.lists.popularity_order import POPULARITY_MODELS, PopularityOrder, popularity_order, popularity_vectors
from jobs.lists.published_candidates import recommended_lists
from jobs.lists.reason_text import reason_text
from jobs.lists.rule_counts import RuleCounts
from jobs.lists.softmax_sampling import SlotSampler
from jobs.lists.target_users import target_users
from jobs.storage.partitions import read_partition
from jobs.storage.user_blocks import BLOCK, Blocks

logger = logging.getLogger(__name__)

_MAX_NAMED = 5


def recommendation_inputs(night: Night, gate: GateDecision) -> list[Version]:
    """Every version that `user_recommendations` reads."""
    tables = [VOCABULARIES, ITEMS, USERS, INTERACTIONS, USER_FEATURES, ITEM_FEATURES]
    if night.shop.repeats == "after_gap":
        tables.append(HISTORIES)
    popularity = popularity_vectors(night.lake, night.ds)
    reasons = _attributions(night, gate) or _neighbours(night, gate)
    lists = recommended_lists(night, gate)
    return [
        *(night.lake.require(table, night.ds) for table in tables),
        lists.version,
        *([lists.decision.version] if lists.decision else []),
        *([popularity[1]] if popularity else []),
        *([reasons] if reasons else []),
    ]


def user_recommendations(spark: SparkSession, night: Night, gate: GateDecision, counts: RuleCounts) -> DataFrame:
    """The rows of `user_recommendations`, without what every published row has besides.

    Args:
        counts: learns what each rule did.

    Raises:
        NightError: the rules leave fewer than K items for a list.
    """
    items = catalogue_rows(spark, night)
    listed = eligible_items(items, night)
    order = popularity_order(night.lake, night.ds, listed.indices)
    rules = _list_rules(night, gate, order, listed)
    _require_caps_leave_k(night, rules.fallback)
    interactions = read_partition(spark, night.lake, INTERACTIONS, night.ds)
    blocks = Blocks.of(night.lake, night.ds)
    targets = target_users(spark, night)
    lists = ranked(eligible(spark, _lists(spark, night, gate), items, night, counts), interactions, night, counts)
    lists = with_attributions(spark, lists, _attributions(night, gate))
    asked = blocks.split(lists.unionByName(targets.select("user_index"), allowMissingColumns=True))
    met = blocks.split(interactions.select("user_index", "item_index", "num_purchases"))

    def finish(asked: pa.Table, met: pa.Table) -> pa.Table:
        return assembled_lists(asked, met, rules)

    finished = asked.groupBy(BLOCK).cogroup(met.groupBy(BLOCK)).applyInArrow(finish, FINISHED_DDL)
    # Whoever orders the rows for their files looks at them twice: lists are finished, and counted, once.
    counted = _counted(finished, counts).repartition(blocks.num_partitions, "user_index")
    sources = recommended_lists(night, gate).source, order.source
    return in_shop_words(counted, targets, items, sources, gate.is_fallback, night.shop.texts)


def rule_details(spark: SparkSession, night: Night, counts: dict[str, int]) -> dict[str, Any]:
    """What `run_manifest` says of the rules of a night: which they were, what they did, which names meant nothing."""
    rules = night.shop.rules
    unknown = unknown_names(read_partition(spark, night.lake, ITEMS, night.ds), rules)
    for kind, names in unknown.items():
        few = ", ".join(names[:_MAX_NAMED])
        logger.warning("rules name unknown %s: count=%d such as %s", kind, len(names), few)
    told = " ".join(f"{name}={count}" for name, count in counts.items())
    logger.info("rules kept: table=%s ds=%s version=%s %s", USER_RECOMMENDATIONS.name, night.ds, rules.version, told)
    num_unknown = {kind: len(names) for kind, names in unknown.items()}
    return {"version": rules.version, "declared": rules.declared, "unknown": num_unknown, "counts": counts}


def eligible(spark: SparkSession, lists: DataFrame, items: DataFrame, night: Night, counts: RuleCounts) -> DataFrame:
    """The rows of `lists` that the rules of single items and of what comes back leave."""
    shop = night.shop
    rows = lists.join(F.broadcast(items.select("item_index", "refused_by")), on="item_index")
    by_rule = {name: F.count_if(F.col("refused_by") == name) for name in refusals(shop.rules)}
    rows = counts.observe(rows, {"proposed": F.count(F.lit(1)), **by_rule})
    rows = rows.where(F.col("refused_by").isNull()).drop("refused_by")
    excluded = excluded_pairs(lambda table: read_partition(spark, night.lake, table, night.ds), shop, night.ds)
    if excluded is None:
        return rows
    rows = rows.join(excluded.withColumn("is_excluded", F.lit(True)), on=["user_index", "item_index"], how="left")
    rows = counts.observe(rows, {"repeats": F.count_if("is_excluded")})
    return rows.where(F.col("is_excluded").isNull()).drop("is_excluded")


def ranked(lists: DataFrame, interactions: DataFrame, night: Night, counts: RuleCounts) -> DataFrame:
    """The best rows of each user, with no more of what they bought than the shop says; equal scores by item_index.

    As many as a list has, or where rules or chance choose among candidates, as many as a model proposes.
    """
    shop, best_first = night.shop, (F.desc("score"), "item_index")
    chooses = shop.rules.choose_lists or shop.policy.temperature > 0
    most, depth = max_repeats(shop), shop.num_candidates if chooses else shop.top_k
    if most < shop.top_k:
        bought = interactions.where("num_purchases > 0").select("user_index", "item_index", F.lit(1).alias("is_repeat"))
        rows = lists.join(bought, on=["user_index", "item_index"], how="left")
        of_repeats = Window.partitionBy("user_index", "is_repeat").orderBy(*best_first)
        is_too_many = F.col("is_repeat").isNotNull() & (F.col("rank") > most)
        rows = rows.withColumn("rank", F.row_number().over(of_repeats)).withColumn("is_too_many", is_too_many)
        rows = counts.observe(rows, {"max_repeat_share": F.count_if("is_too_many")})
        lists = rows.where(~F.col("is_too_many")).drop("is_repeat", "rank", "is_too_many")
    of_user = Window.partitionBy("user_index").orderBy(*best_first)
    rows = lists.withColumn("rank", F.row_number().over(of_user))
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


def _lists(spark: SparkSession, night: Night, gate: GateDecision) -> DataFrame:
    lists = recommended_lists(night, gate)
    return spark.read.schema(lists.table.ddl).parquet(lists.version.path).select("user_index", "item_index", "score")


def _counted(finished: DataFrame, counts: RuleCounts) -> DataFrame:
    brought_in = {name: F.count_if(F.col("brought_by") == name) for name in BROUGHT_BY}
    return counts.observe(finished, {**brought_in, "moved": F.count_if("is_moved"), "filled": F.count_if("is_filled")})


def _list_rules(night: Night, gate: GateDecision, order: PopularityOrder, items: EligibleItems) -> AssemblyPlan:
    rules, neighbours, attributions = night.shop.rules, _neighbours(night, gate), _attributions(night, gate)
    caps, num_new = items.caps(rules.max_per_category, rules.max_per_brand), rules.num_new(night.shop.top_k)
    return AssemblyPlan(
        top_k=night.shop.top_k,
        fallback=FallbackItems(order.item_indices, order.item_indices[items.is_new[order.item_indices]], caps),
        num_in_demand=order.num_in_demand,
        num_popular=min(order.num_in_demand, night.shop.num_candidates),
        exclude_bought=excludes_bought_fallback(night.shop),
        is_by_demand=recommended_lists(night, gate).source in POPULARITY_MODELS,
        is_explained=attributions is not None,
        neighbours_path=neighbours.path if neighbours else None,
        selection=Selection(
            diversity=rules.diversity,
            content_path=night.lake.require(ITEM_FEATURES, night.ds).path,
            boost=items.boost if rules.boosts else None,
            caps=caps,
            is_new=items.is_new if num_new else None,
            num_new=num_new,
            sampler=SlotSampler.for_night(night.shop.policy.temperature, night.shop.seed, night.ds),
        ),
    )


def _require_caps_leave_k(night: Night, fallback: FallbackItems) -> None:
    none, top_k, rules = np.empty(0, np.int32), night.shop.top_k, night.shop.rules
    num_left = len(fallback.best(top_k, none, none))
    if num_left < top_k:
        raise NightError(
            f"{USER_RECOMMENDATIONS.name} ds={night.ds}: every user gets {top_k} items, and under the shop's "
            f"max_per_category={rules.max_per_category} and max_per_brand={rules.max_per_brand} a list can hold "
            f"{num_left}. Raise these caps (0 sets none), or lower `top_k`."
        )


def _attributions(night: Night, gate: GateDecision) -> Version | None:
    """What the rows of the published lists owe most to, where these very lists were explained."""
    version = night.lake.current(ATTRIBUTIONS, night.ds, gate.published_model)
    lists = recommended_lists(night, gate).version
    return version if version and version.facts.get("lists") == lists.fingerprint else None


def _neighbours(night: Night, gate: GateDecision) -> Version | None:
    """The neighbours that give reasons: the published model's own where it has any, else the similar items' model's."""
    for model in (gate.published_model, gate.similar_model):
        version = night.lake.current(ITEM_NEIGHBOURS, night.ds, model) if model else None
        if version is not None:
            return version
    return None
