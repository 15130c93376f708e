"""`cross_domain_recommendations`: for every user, the best K items of each domain beside another one that they know.

A user gets the list of a domain if they met anything outside it: somebody who bought in one gets lists of all others,
somebody who knows several gets lists of these too. The scores are those of the model `cross_domain`, as far as the gate
found its lists sound; otherwise what sells in the domain takes their place, and the column `source` says so. Rules: the
item is of the domain, no rule of single items leaves it out (see `expectations.semantics.item_eligibility`), and it may
come back to the user as the shop's `repeats` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.lake import Version
from expectations.runtime.program import Night
from expectations.semantics.repeat_purchases import excluded_pairs
from expectations.tables import (
    HISTORIES,
    HISTORY_VECTORS,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEM_VECTORS,
    ITEMS,
    USER_FEATURES,
    USER_VECTORS,
    USERS,
    VOCABULARIES,
    Table,
)
from jobs.lists.catalogue import catalogue_rows
from jobs.lists.gate_decision import GateDecision
from jobs.lists.popularity_order import CATALOGUE_ORDER, popularity_order, popularity_vectors
from jobs.lists.reason_text import reason_text
from jobs.lists.target_users import target_users
from jobs.storage.partitions import read_partition
from jobs.storage.user_blocks import BLOCK, Blocks
from jobs.tables.domain_lists import DOMAIN_LISTS_DDL, DomainRules, domain_lists

MODEL = "cross_domain"


def cross_domain_source(night: Night, gate: GateDecision) -> str:
    """The model whose scores the table holds: MODEL, or one that says what sells, or CATALOGUE_ORDER."""
    told = {row["model"]: row for row in gate.decision.get("models", ())}
    is_sound = told.get(MODEL, {}).get("is_healthy", False) and MODEL in gate.model_versions
    if is_sound and night.lake.current(USER_VECTORS, night.ds, MODEL) is not None:
        return MODEL
    popularity = popularity_vectors(night.lake, night.ds)
    return popularity[0] if popularity else CATALOGUE_ORDER


def cross_domain_inputs(night: Night, gate: GateDecision) -> list[Version]:
    """Every version that `cross_domain_recommendations` reads."""
    tables = [VOCABULARIES, ITEMS, USERS, INTERACTIONS, USER_FEATURES, ITEM_FEATURES]
    if night.shop.repeats == "after_gap":
        tables.append(HISTORIES)
    popularity = popularity_vectors(night.lake, night.ds)
    return [
        *(night.lake.require(table, night.ds) for table in tables),
        *([popularity[1]] if popularity else []),
        *_vectors(night, cross_domain_source(night, gate)),
    ]


def cross_domain_recommendations(spark: SparkSession, night: Night, gate: GateDecision) -> DataFrame:
    """The rows of `cross_domain_recommendations`, without what every published row has besides."""
    lake, ds, source = night.lake, night.ds, cross_domain_source(night, gate)
    items = catalogue_rows(spark, night)
    of_items = read_partition(spark, lake, ITEMS, ds).select("item_id", "domain")
    items = items.join(of_items, on="item_id")
    rules = _rules(night, items, source)
    blocks, targets = Blocks.of(lake, ds), target_users(spark, night)
    asking = blocks.split(_asking(spark, night, source, targets))
    met = blocks.split(_met(spark, night))

    def lists(asking: pa.Table, met: pa.Table) -> pa.Table:
        return domain_lists(asking, met, rules)

    listed = asking.groupBy(BLOCK).cogroup(met.groupBy(BLOCK)).applyInArrow(lists, DOMAIN_LISTS_DDL)
    demand_source = popularity_order(lake, ds, rules.available()).source
    return _in_shop_words(listed, targets, items, source, demand_source, night.shop.texts)


def _asking(spark: SparkSession, night: Night, source: str, targets: DataFrame) -> DataFrame:
    """Who gets lists, with their vectors: one number where nobody's taste is known."""
    users = targets.select("user_index")
    if source != MODEL:
        return users.withColumn("vector", F.array(F.lit(1.0).cast("float")))
    vectors = read_partition(spark, night.lake, USER_VECTORS, night.ds, source).select("user_index", "vector")
    return users.join(vectors, on="user_index")


def _met(spark: SparkSession, night: Night) -> DataFrame:
    """What users met, and what must not be in their lists."""

    def read(table: Table) -> DataFrame:
        return read_partition(spark, night.lake, table, night.ds)

    met = read(INTERACTIONS).select(
        "user_index", "item_index", "weight", (F.col("num_purchases") > 0).alias("is_bought")
    )
    excluded = excluded_pairs(read, night.shop, night.ds)
    if excluded is None:
        return met.withColumn("is_excluded", F.lit(False))
    excluded = excluded.withColumn("is_excluded", F.lit(True))
    # What came back whole is no interaction, and may be excluded all the same.
    return met.join(excluded, on=["user_index", "item_index"], how="full").fillna(
        {"weight": -1.0, "is_bought": False, "is_excluded": False}
    )


def _rules(night: Night, items: DataFrame, source: str) -> DomainRules:
    """What all blocks share: the catalogue by domain, and where the vectors lie."""
    is_allowed = F.col("refused_by").isNull().alias("is_available")
    rows = items.select("item_index", "domain", is_allowed).orderBy("item_index").collect()
    domains = sorted({row["domain"] for row in rows})
    place = {domain: number for number, domain in enumerate(domains)}
    domain_of = np.full(max((row["item_index"] for row in rows), default=0) + 1, -1, np.int32)
    is_available = np.zeros(len(domain_of), bool)
    for row in rows:
        domain_of[row["item_index"]] = place[row["domain"]]
        is_available[row["item_index"]] = row["is_available"]
    order = popularity_order(night.lake, night.ds, np.flatnonzero(is_available).astype(np.int32))
    paths = [version.path for version in _vectors(night, source)]
    return DomainRules(
        top_k=night.shop.top_k,
        domains=tuple(domains),
        domain_of=domain_of,
        is_available=is_available,
        items_in_demand=order.item_indices[: order.num_in_demand],
        num_popular=night.shop.num_candidates,
        item_vectors_path=paths[0] if paths else None,
        history_vectors_path=paths[1] if len(paths) > 1 else None,
    )


def _vectors(night: Night, source: str) -> Sequence[Version]:
    """The vectors of items, those of histories and those of users, as far as the source has any."""
    if source == CATALOGUE_ORDER:
        return ()
    tables = (ITEM_VECTORS, HISTORY_VECTORS, USER_VECTORS) if source == MODEL else (ITEM_VECTORS,)
    return [night.lake.require(table, night.ds, source) for table in tables]


def _in_shop_words(
    listed: DataFrame,
    targets: DataFrame,
    items: DataFrame,
    source: str,
    demand_source: str,
    texts: Mapping[str, str],
) -> DataFrame:
    """Lists with the shop's own ids, and their reasons as text."""
    names = F.broadcast(items.select("item_index", "item_id", "domain"))
    cited = F.broadcast(
        items.select(F.col("item_index").alias("because_index"), F.col("item_id").alias("because_id"), "title")
    )
    return (
        listed.join(names, on="item_index")
        .join(cited, on="because_index", how="left")
        .join(targets, on="user_index")
        .select(
            "user_id",
            "domain",
            "rank",
            "item_id",
            "score",
            F.lit(source).alias("source"),
            "reason_code",
            reason_text(F.col("reason_code"), F.col("title"), demand_source, texts).alias("reason"),
            F.when(F.col("because_id").isNull(), F.array().cast("array<string>"))
            .otherwise(F.array("because_id"))
            .alias("because_item_ids"),
        )
    )
