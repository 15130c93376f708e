"""Builds the tables that the shop reads, and leaves them staged: their files lie inside the Delta tables, unseen.

Reads gate_decisions, the published model's lists (re-ranked, where policy_decisions allow it), and of what the night
knows of items and users what each table needs; stages every table of `expectations.semantics.published_tables` for
`ds`. `jobs.publish_tables` commits them once they passed their expectations. A re-run finds what it would write already
staged, and an attempt that died is never looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from expectations.runtime.code_version import code_version
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.semantics.published_tables import available_domains, tables_for_domains
from expectations.shop.shop import Shop
from expectations.tables import (
    CROSS_DOMAIN_RECOMMENDATIONS,
    ITEMS,
    NEW_ITEM_AUDIENCES,
    NEW_USER_RECOMMENDATIONS,
    OUTPUT_TABLES,
    SIMILAR_ITEMS,
    USER_RECOMMENDATIONS,
    USERS,
)
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.published_candidates import policy_details
from jobs.lists.rule_counts import RuleCounts
from jobs.tables.cross_domain_recommendations import cross_domain_inputs, cross_domain_recommendations
from jobs.tables.new_item_audiences import SOURCE as WORDS
from jobs.tables.new_item_audiences import audience_inputs, new_item_audiences, num_new_items
from jobs.tables.new_item_exploration import explored, num_explored
from jobs.tables.new_user_recommendations import SOURCE as SEGMENT_DEMAND
from jobs.tables.new_user_recommendations import new_user_inputs, new_user_recommendations
from jobs.tables.similar_items import similar_inputs, similar_items
from jobs.tables.staging import Plan, stage
from jobs.tables.table_inputs import TableInputs, table_inputs
from jobs.tables.user_recommendations import recommendation_inputs, rule_details, user_recommendations

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Stages the tables of one night."""
    parser = night_parser(__doc__)
    parser.add_argument("--tables", nargs="+", choices=OUTPUT_TABLES, default=OUTPUT_TABLES, help="default: all")
    arguments = parser.parse_args(argv)
    build_tables(session_from_environment("build_tables"), night_from(arguments), arguments.tables)


def build_tables(spark: SparkSession, night: Night, names: Collection[str] = OUTPUT_TABLES) -> None:
    """Stages those of the night's tables that are named; one that is staged as it would be is left alone."""
    inputs = table_inputs(night.lake, night.ds, night.shop)
    domains = available_domains(inputs.features.to_arrow(ITEMS, ["domain", "is_available"]))
    wanted = [table for table in tables_for_domains(domains) if table.name in names]
    for plan in plans(spark, inputs, night.shop, len(domains)):
        if plan.table not in wanted:
            continue
        stage(night.lake, inputs.gate, plan, night.now, night.shop)
        # What a table kept at hand is of no use to the next one, and the programs of a night may share a JVM.
        spark.catalog.clearCache()


def plans(spark: SparkSession, inputs: TableInputs, shop: Shop, num_domains: int) -> list[Plan]:
    """Returns how each table is built, in the order in which they are."""
    return [
        _user_recommendations(spark, inputs, shop),
        _similar_items(spark, inputs, shop),
        _new_user_recommendations(spark, inputs.features, shop),
        _new_item_audiences(spark, inputs.features, shop),
        _cross_domain_recommendations(spark, inputs, shop, num_domains),
    ]


def _user_recommendations(spark: SparkSession, inputs: TableInputs, shop: Shop) -> Plan:
    features, lists, counts = inputs.features, inputs.lists, RuleCounts()
    explores = num_explored(shop) > 0

    def rows() -> DataFrame:
        recommendations = user_recommendations(spark, inputs, shop, counts)
        return explored(spark, features, recommendations, shop, inputs.gate.is_fallback)

    def metadata() -> dict[str, Any]:
        rules = rule_details(features.read(spark, ITEMS), shop.rules, inputs.ds, counts.get())
        return {"rules": rules, "policy": policy_details(shop.policy, lists)}

    bounds = [
        shop.top_k,
        shop.repeats,
        shop.num_prior_gaps,
        shop.max_repeat_share,
        shop.active_days,
        shop.num_candidates,
    ]
    chance = [shop.policy.agent, shop.policy.temperature, shop.seed]
    return Plan(
        USER_RECOMMENDATIONS,
        [*recommendation_inputs(inputs, shop.repeats), *(audience_inputs(features) if explores else [])],
        (lists.source, inputs.fallback_source, *([WORDS] if explores else [])),
        features.version(USERS).rows * shop.top_k,
        rows,
        _code(),
        [*bounds, asdict(shop.new_items), asdict(shop.rules), *chance, shop.texts],
        metadata=metadata,
    )


def _similar_items(spark: SparkSession, inputs: TableInputs, shop: Shop) -> Plan:
    features, sources, popularity = inputs.features, inputs.similarity, inputs.popularity
    return Plan(
        SIMILAR_ITEMS,
        similar_inputs(features, sources, popularity),
        (*(source.source for source in sources), inputs.fallback_source),
        features.version(ITEMS).rows * shop.top_k,
        lambda: similar_items(spark, features, sources, popularity, shop),
        _code(),
        [shop.top_k, asdict(shop.similar_items), asdict(shop.rules), shop.texts],
    )


def _new_user_recommendations(spark: SparkSession, features: FeatureTables, shop: Shop) -> Plan:
    return Plan(
        NEW_USER_RECOMMENDATIONS,
        new_user_inputs(features),
        (SEGMENT_DEMAND,),
        shop.top_k,
        lambda: new_user_recommendations(spark, features, shop),
        _code(),
        [shop.top_k, shop.target_events, asdict(shop.new_users), asdict(shop.rules), shop.texts],
    )


def _new_item_audiences(spark: SparkSession, features: FeatureTables, shop: Shop) -> Plan:
    return Plan(
        NEW_ITEM_AUDIENCES,
        audience_inputs(features),
        (WORDS,),
        num_new_items(features, shop.new_items.days) * shop.new_items.audience_size,
        lambda: new_item_audiences(spark, features, shop),
        _code(),
        [asdict(shop.new_items), asdict(shop.rules), shop.active_days, shop.texts],
        may_be_empty=True,
    )


def _cross_domain_recommendations(spark: SparkSession, inputs: TableInputs, shop: Shop, num_domains: int) -> Plan:
    features, vectors, popularity = inputs.features, inputs.domain_vectors, inputs.popularity
    bounds = [shop.top_k, shop.repeats, shop.num_prior_gaps, shop.active_days, shop.num_candidates]
    return Plan(
        CROSS_DOMAIN_RECOMMENDATIONS,
        cross_domain_inputs(features, vectors, popularity, shop.repeats),
        (vectors.source,),
        features.version(USERS).rows * num_domains * shop.top_k,
        lambda: cross_domain_recommendations(spark, features, vectors, popularity, shop),
        _code(),
        [*bounds, asdict(shop.rules), shop.texts],
    )


def _code() -> str:
    return code_version("jobs.build_tables")


if __name__ == "__main__":
    run_program(main)
