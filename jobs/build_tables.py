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

from pyspark.sql import SparkSession

from expectations.runtime.code_version import code_version
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.semantics.published_tables import available_domains, output_tables
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
from jobs.lists.gate_decision import GateDecision, gate_decision
from jobs.lists.popularity_order import CATALOGUE_ORDER, popularity_vectors
from jobs.lists.published_candidates import policy_details, recommended_lists, with_policy_version
from jobs.lists.rule_counts import RuleCounts
from jobs.tables.cross_domain_recommendations import (
    cross_domain_inputs,
    cross_domain_recommendations,
    cross_domain_source,
)
from jobs.tables.new_item_audiences import SOURCE as WORDS
from jobs.tables.new_item_audiences import audience_inputs, new_item_audiences, num_new_items
from jobs.tables.new_item_exploration import explored, num_explored
from jobs.tables.new_user_recommendations import SOURCE as SEGMENT_DEMAND
from jobs.tables.new_user_recommendations import new_user_inputs, new_user_recommendations
from jobs.tables.similar_items import similar_inputs, similar_items, similar_sources
from jobs.tables.staging import Plan, _stage
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
    gate = gate_decision(night.lake, night.ds)
    wanted = [table for table in output_tables(night.lake, night.ds) if table.name in names]
    gate = with_policy_version(gate, recommended_lists(night, gate))
    for plan in plans(spark, night, gate):
        if plan.table not in wanted:
            continue
        _stage(night, gate, plan)
        # What a table kept at hand is of no use to the next one, and the programs of a night may share a JVM.
        spark.catalog.clearCache()


def plans(spark: SparkSession, night: Night, gate: GateDecision) -> list[Plan]:
    """How each table is built, in the order in which they are."""
    lake, ds, shop = night.lake, night.ds, night.shop
    popularity = popularity_vectors(lake, ds)
    fallback_source = popularity[0] if popularity else CATALOGUE_ORDER
    of_new, of_rules = asdict(shop.new_items), asdict(shop.rules)
    explores, counts = num_explored(night) > 0, RuleCounts()
    lists = recommended_lists(night, gate)
    bounds_of_lists = [shop.top_k, shop.repeats, shop.max_repeat_share, shop.active_days, shop.num_candidates]
    code = code_version("jobs.build_tables")
    return [
        Plan(
            USER_RECOMMENDATIONS,
            [*recommendation_inputs(night, gate), *(audience_inputs(night) if explores else [])],
            (lists.source, fallback_source, *([WORDS] if explores else [])),
            lake.require(USERS, ds).rows * shop.top_k,
            lambda: explored(user_recommendations(spark, night, gate, counts), spark, night, gate.is_fallback),
            code,
            [*bounds_of_lists, of_new, of_rules, shop.policy.agent, shop.policy.temperature, shop.seed],
            facts=lambda: {"rules": rule_details(spark, night, counts.get()), "policy": policy_details(night, lists)},
        ),
        Plan(
            SIMILAR_ITEMS,
            similar_inputs(night, gate),
            (*similar_sources(night, gate), fallback_source),
            lake.require(ITEMS, ds).rows * shop.top_k,
            lambda: similar_items(spark, night, gate),
            code,
            [shop.top_k, of_rules],
        ),
        Plan(
            NEW_USER_RECOMMENDATIONS,
            new_user_inputs(night),
            (SEGMENT_DEMAND,),
            shop.top_k,
            lambda: new_user_recommendations(spark, night),
            code,
            [shop.top_k, shop.target_events, shop.new_users.min_people, of_rules],
        ),
        Plan(
            NEW_ITEM_AUDIENCES,
            audience_inputs(night),
            (WORDS,),
            num_new_items(night) * shop.new_items.audience_size,
            lambda: new_item_audiences(spark, night),
            code,
            [of_new, of_rules, shop.active_days],
            may_be_empty=True,
        ),
        Plan(
            CROSS_DOMAIN_RECOMMENDATIONS,
            cross_domain_inputs(night, gate),
            (cross_domain_source(night, gate),),
            lake.require(USERS, ds).rows * len(available_domains(lake, ds)) * shop.top_k,
            lambda: cross_domain_recommendations(spark, night, gate),
            code,
            [shop.top_k, shop.repeats, shop.active_days, shop.num_candidates, of_rules],
        ),
    ]


if __name__ == "__main__":
    run_program(main)
