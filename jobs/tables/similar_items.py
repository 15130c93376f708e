"""`similar_items`: for every item what goes with it and what is like it, if available.

How both are mixed is in `jobs.tables.similar_item_lists`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.days import SECONDS_PER_DAY, end_of
from expectations.runtime.lake import Version
from expectations.runtime.program import Night
from expectations.tables import INTERACTIONS, ITEM_FEATURES, ITEMS, VOCABULARIES
from jobs.lists.catalogue import catalogue_rows
from jobs.lists.gate_decision import GateDecision
from jobs.lists.popularity_order import popularity_order, popularity_vectors
from jobs.lists.reason_text import reason_text
from jobs.storage.partitions import read_partition
from jobs.storage.user_blocks import BLOCK, Blocks
from jobs.tables.similar_item_lists import LISTS_DDL, ItemFacts, similar_item_lists
from jobs.tables.similarity_sources import similarity_sources

HALF_LIFE_DAYS = 30
"""Somebody who met an item a month ago counts half."""


def similar_inputs(night: Night, gate: GateDecision) -> list[Version]:
    """Every version that `similar_items` reads."""
    lake, ds = night.lake, night.ds
    popularity = popularity_vectors(lake, ds)
    tables = (VOCABULARIES, ITEMS, INTERACTIONS, ITEM_FEATURES)
    return [
        *(lake.require(table, ds) for table in tables),
        *(version for _, version in similarity_sources(night, gate)),
        *([popularity[1]] if popularity else []),
    ]


def similar_sources(night: Night, gate: GateDecision) -> list[str]:
    """Who may have chosen a row."""
    return [source.source for source, _ in similarity_sources(night, gate)]


def similar_items(spark: SparkSession, night: Night, gate: GateDecision) -> DataFrame:
    """The rows of `similar_items`, without what every published row has besides."""
    items = catalogue_rows(spark, night)
    facts = item_facts(spark, night, items)
    sources, top_k = [source for source, _ in similarity_sources(night, gate)], night.shop.top_k

    def lists(owners: pa.Table) -> pa.Table:
        return similar_item_lists(np.sort(owners["item_index"].to_numpy()), sources, facts, top_k)

    blocks = Blocks.of_items(night.lake, night.ds).split(items.select("item_index"))
    found = blocks.groupBy(BLOCK).applyInArrow(lists, LISTS_DDL)
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
            reason_text(F.col("reason_code"), F.col("title"), facts.fallback_source, night.shop.texts).alias("reason"),
        )
    )


def item_facts(spark: SparkSession, night: Night, items: DataFrame) -> ItemFacts:
    """A few numbers for every item of the catalogue, which the driver holds."""
    known = items.select("item_index", F.col("refused_by").isNull().alias("is_available")).toArrow()
    indices, is_available = known["item_index"].to_numpy(), known["is_available"].to_numpy()
    met = item_demand(read_partition(spark, night.lake, INTERACTIONS, night.ds), night.ds).toArrow()
    met_indices = met["item_index"].to_numpy()
    size = int(max(indices.max(initial=0), met_indices.max(initial=0))) + 1
    available, num_users, demand = np.zeros(size, bool), np.zeros(size, np.int64), np.zeros(size)
    available[indices] = is_available
    num_users[met_indices], demand[met_indices] = met["num_users"].to_numpy(), met["demand"].to_numpy()
    order = popularity_order(night.lake, night.ds, np.flatnonzero(available))
    return ItemFacts(available, num_users, demand, order.item_indices, order.source, order.num_in_demand)


def item_demand(interactions: DataFrame, ds: str) -> DataFrame:
    """item_index, how many users met it, and the same faded by how long ago each did last."""
    age_days = (F.lit(int(end_of(ds).timestamp())) - F.unix_seconds("last_time")) / SECONDS_PER_DAY
    # Whole numbers have the same sum in any order.
    parts = F.round(F.pow(F.lit(2.0), -age_days / HALF_LIFE_DAYS) * 1_000_000).cast("bigint")
    return interactions.groupBy("item_index").agg(
        F.count("*").alias("num_users"), (F.sum(parts) / 1_000_000).alias("demand")
    )
