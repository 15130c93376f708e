"""`similar_items`: for every item what goes with it and what is like it, if available.

How both are mixed is in `jobs.tables.similar_item_lists`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.days import SECONDS_PER_DAY, end_of
from expectations.runtime.lake import Version
from expectations.semantics.list_caps import Cap
from expectations.semantics.pair_acts import with_acts
from expectations.shop.reasons import Reason
from expectations.shop.shop import Shop
from expectations.tables import INTERACTIONS, ITEM_FEATURES, ITEMS, VOCABULARIES
from jobs.lists.catalogue import catalogue_rows
from jobs.lists.eligible_items import numbers_of
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.popularity_order import PopularityVectors, popularity_order
from jobs.lists.reason_text import reason_text
from jobs.storage.user_blocks import BLOCK, Blocks
from jobs.tables.similar_item_lists import LISTS_DDL, ItemFacts, similar_item_lists
from jobs.tables.similarity_sources import SimilaritySource


def similar_inputs(
    features: FeatureTables, sources: Sequence[SimilaritySource], popularity: PopularityVectors | None
) -> list[Version]:
    """Returns every version that `similar_items` reads."""
    return [
        *(features.version(table) for table in (VOCABULARIES, ITEMS, INTERACTIONS, ITEM_FEATURES)),
        *(source.version for source in sources),
        *([popularity.version] if popularity else []),
    ]


def similar_items(
    spark: SparkSession,
    features: FeatureTables,
    sources: Sequence[SimilaritySource],
    popularity: PopularityVectors | None,
    shop: Shop,
) -> DataFrame:
    """Returns the rows of `similar_items`, without the columns that every published row has besides.

    Args:
        sources: who says which items belong together.
        popularity: the demand that fills lists; None fills them in the order of the catalogue.
    """
    settings, top_k, rules = shop.similar_items, shop.top_k, shop.rules
    end = end_of(features.ds, shop.drops.day_timezone)
    items = catalogue_rows(spark, features, rules)
    facts = item_facts(spark, features, items, popularity, end, settings.half_life_days, rules.max_per_group)

    def lists(owners: pa.Table) -> pa.Table:
        return similar_item_lists(np.sort(owners["item_index"].to_numpy()), sources, facts, top_k, settings)

    blocks = Blocks.of_items(features.version(ITEM_FEATURES).rows).split(items.select("item_index"))
    blended = blocks.groupBy(BLOCK).applyInArrow(lists, LISTS_DDL)
    found = with_true_reasons(blended, features.read(spark, INTERACTIONS))
    owners = F.broadcast(items.select("item_index", "item_id", "title"))
    named = F.broadcast(
        items.select(F.col("item_index").alias("similar_index"), F.col("item_id").alias("similar_item_id"))
    )
    return (
        found.join(owners, on="item_index")
        .join(named, on="similar_index")
        .select(
            "item_id",
            "rank",
            "similar_item_id",
            "score",
            "source",
            "reason_code",
            reason_text(F.col("reason_code"), F.col("title"), facts.fallback_source, shop.texts).alias("reason"),
        )
    )


def with_true_reasons(lists: DataFrame, interactions: DataFrame) -> DataFrame:
    """Rows that say BOUGHT_TOGETHER say what is true of the pair: bought or viewed together by somebody, or only alike.

    Models also put together what nobody met both of, and count views as well as purchases.

    Args:
        lists: rows with the columns of LISTS_DDL.
    """
    goes_together = F.col("reason_code") == Reason.BOUGHT_TOGETHER.value
    asked = lists.withColumn("asked_index", F.when(goes_together, F.col("item_index")))
    true_code = (
        F.when(F.col("is_bought_together"), Reason.BOUGHT_TOGETHER.value)
        .when(F.col("is_met_together"), Reason.VIEWED_TOGETHER.value)
        .otherwise(Reason.ALIKE.value)
    )
    acts = with_acts(asked, interactions, "asked_index", "similar_index")
    reason_code = F.when(goes_together, true_code).otherwise(F.col("reason_code"))
    return acts.withColumn("reason_code", reason_code).select(*lists.columns)


def item_facts(
    spark: SparkSession,
    features: FeatureTables,
    items: DataFrame,
    popularity: PopularityVectors | None,
    end: datetime,
    half_life_days: float,
    max_per_group: int,
) -> ItemFacts:
    """Returns a few numbers for every item of the catalogue, which the driver holds."""
    is_available_item = F.col("refused_by").isNull().alias("is_available")
    known = items.select("item_index", is_available_item, "item_group").toArrow()
    indices, is_available = known["item_index"].to_numpy(), known["is_available"].to_numpy()
    met = item_demand(features.read(spark, INTERACTIONS), end, half_life_days).toArrow()
    met_indices = met["item_index"].to_numpy()
    size = int(max(indices.max(initial=0), met_indices.max(initial=0))) + 1
    available, num_users, demand = np.zeros(size, bool), np.zeros(size, np.int64), np.zeros(size)
    available[indices] = is_available
    num_users[met_indices], demand[met_indices] = met["num_users"].to_numpy(), met["demand"].to_numpy()
    order = popularity_order(np.flatnonzero(available), popularity)
    groups = np.zeros(size, np.int32)
    groups[indices] = numbers_of(known["item_group"])
    variants = Cap(max_per_group, groups) if max_per_group and groups.any() else None
    return ItemFacts(available, num_users, demand, order.item_indices, order.source, order.num_in_demand, variants)


def item_demand(interactions: DataFrame, end: datetime, half_life_days: float) -> DataFrame:
    """item_index, how many users met it, and the same faded by how long ago each did last."""
    age_days = (F.lit(int(end.timestamp())) - F.unix_seconds("last_time")) / SECONDS_PER_DAY
    # Whole numbers have the same sum in any order.
    parts = F.round(F.pow(F.lit(2.0), -age_days / half_life_days) * 1_000_000).cast("bigint")
    return interactions.groupBy("item_index").agg(
        F.count("*").alias("num_users"), (F.sum(parts) / 1_000_000).alias("demand")
    )
