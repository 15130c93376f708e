"""`cross_domain_recommendations`: for every user, the best K items of each domain beside another one that they know.

A user gets the list of a domain if they met anything outside it: somebody who bought in one gets lists of all others,
somebody who knows several gets lists of these too. The scores are those of the model `cross_domain`, as far as the gate
found its lists sound; otherwise what sells in the domain takes their place, and the column `source` says so. Rules: the
item is of the domain, no rule of single items leaves it out (see `expectations.semantics.item_eligibility`), and it may
come back to the user as the shop's `repeats` says.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.lake import Version
from expectations.semantics.list_caps import Cap
from expectations.semantics.repeat_purchases.in_spark import excluded_pairs
from expectations.shop.shop import Shop
from expectations.tables import (
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEMS,
    USER_FEATURES,
    USER_VECTORS,
    USERS,
    VOCABULARIES,
)
from jobs.lists.catalogue import catalogue_rows
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.popularity_order import PopularityVectors, popularity_order
from jobs.lists.reason_text import reason_text
from jobs.lists.target_users import target_users
from jobs.storage.partitions import read_versions
from jobs.storage.user_blocks import BLOCK, Blocks
from jobs.tables.domain_lists import DOMAIN_LISTS_DDL, DomainRules, domain_lists
from jobs.tables.domain_vectors import DomainVectors


def cross_domain_inputs(
    features: FeatureTables, vectors: DomainVectors, popularity: PopularityVectors | None, repeats: str
) -> list[Version]:
    """Returns every version that `cross_domain_recommendations` reads under the shop's `repeats`."""
    tables = [VOCABULARIES, ITEMS, USERS, INTERACTIONS, USER_FEATURES, ITEM_FEATURES]
    if repeats == "after_gap":
        tables.append(HISTORIES)
    return [
        *(features.version(table) for table in tables),
        *([popularity.version] if popularity else []),
        *vectors.versions,
    ]


def cross_domain_recommendations(
    spark: SparkSession,
    features: FeatureTables,
    vectors: DomainVectors,
    popularity: PopularityVectors | None,
    shop: Shop,
) -> DataFrame:
    """Returns the rows of `cross_domain_recommendations`, without the columns that every published row has besides.

    Args:
        vectors: what scores the items of a domain.
        popularity: the demand that says which items are popular; None where nothing is known of it.
    """
    items = catalogue_rows(spark, features, shop.rules)
    items = items.join(features.read(spark, ITEMS).select("item_id", "domain"), on="item_id")
    rules = _rules(items, vectors, popularity, shop)
    blocks = Blocks.of_users(features.version(USER_FEATURES).rows, features.version(ITEM_FEATURES).rows)
    targets = target_users(spark, features, shop.active_days)
    asking = blocks.split(_asking(spark, vectors, targets))
    met = blocks.split(_met(spark, features, shop))

    def lists(asking: pa.Table, met: pa.Table) -> pa.Table:
        return domain_lists(asking, met, rules)

    listed = asking.groupBy(BLOCK).cogroup(met.groupBy(BLOCK)).applyInArrow(lists, DOMAIN_LISTS_DDL)
    demand_source = popularity_order(rules.available(), popularity).source
    return _in_shop_words(listed, targets, items, vectors.source, demand_source, shop.texts)


def _asking(spark: SparkSession, vectors: DomainVectors, targets: DataFrame) -> DataFrame:
    """Returns who gets lists, with their vectors: one number where nobody's taste is known."""
    users = targets.select("user_index")
    if vectors.users is None:
        return users.withColumn("vector", F.array(F.lit(1.0).cast("float")))
    rows = read_versions(spark, USER_VECTORS, [vectors.users])
    return users.join(rows.select("user_index", "vector"), on="user_index")


def _met(spark: SparkSession, features: FeatureTables, shop: Shop) -> DataFrame:
    """Returns what users met, and what must not be in their lists."""
    met = features.read(spark, INTERACTIONS).select(
        "user_index", "item_index", "weight", (F.col("num_purchases") > 0).alias("is_bought")
    )
    excluded = excluded_pairs(lambda table: features.read(spark, table), shop, features.ds)
    if excluded is None:
        return met.withColumn("is_excluded", F.lit(False))
    excluded = excluded.withColumn("is_excluded", F.lit(True))
    # What came back whole is no interaction, and may be excluded all the same.
    return met.join(excluded, on=["user_index", "item_index"], how="full").fillna(
        {"weight": -1.0, "is_bought": False, "is_excluded": False}
    )


def _rules(items: DataFrame, vectors: DomainVectors, popularity: PopularityVectors | None, shop: Shop) -> DomainRules:
    """Returns what all blocks share: the catalogue by domain, and where the vectors lie."""
    is_allowed = F.col("refused_by").isNull().alias("is_available")
    rows = items.select("item_index", "domain", is_allowed, "item_group").orderBy("item_index").collect()
    domains = sorted({row["domain"] for row in rows})
    place = {domain: number for number, domain in enumerate(domains)}
    domain_of = np.full(max((row["item_index"] for row in rows), default=0) + 1, -1, np.int32)
    is_available, groups = np.zeros(len(domain_of), bool), np.zeros(len(domain_of), np.int32)
    number = {name: n for n, name in enumerate(sorted({row["item_group"] for row in rows} - {None}), start=1)}
    for row in rows:
        domain_of[row["item_index"]] = place[row["domain"]]
        is_available[row["item_index"]] = row["is_available"]
        groups[row["item_index"]] = number.get(row["item_group"], 0)
    order = popularity_order(np.flatnonzero(is_available).astype(np.int32), popularity)
    return DomainRules(
        top_k=shop.top_k,
        domains=tuple(domains),
        domain_of=domain_of,
        is_available=is_available,
        items_in_demand=order.item_indices[: order.num_in_demand],
        num_popular=shop.num_candidates,
        item_vectors_path=vectors.items.path if vectors.items else None,
        history_vectors_path=vectors.histories.path if vectors.histories else None,
        variants=Cap(shop.rules.max_per_group, groups) if shop.rules.max_per_group and number else None,
    )


def _in_shop_words(
    listed: DataFrame,
    targets: DataFrame,
    items: DataFrame,
    source: str,
    demand_source: str,
    texts: Mapping[str, str],
) -> DataFrame:
    """Returns lists with the shop's own ids, and their reasons as text."""
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
