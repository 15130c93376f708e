"""Builds the tables that the shop reads, and leaves them staged: their files lie inside the Delta tables, unseen.

Reads gate_decisions, the published model's lists, items, users, interactions, neighbours and vectors of `ds`; stages
user_recommendations, similar_items and, of a shop of several domains, cross_domain_recommendations of `ds`.
`jobs.publish_tables` commits them once they passed their expectations. A re-run finds what it would write already
staged, and an attempt that died is never looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.lake import Version, fingerprint_of
from expectations.outputs import available_domains, output_tables
from expectations.program import Night, end_of, night_from, night_parser, run_program
from expectations.spark_session import session_from_environment
from expectations.tables import (
    CROSS_DOMAIN_RECOMMENDATIONS,
    GATE_DECISIONS,
    ITEMS,
    SIMILAR_ITEMS,
    USER_RECOMMENDATIONS,
    USERS,
    NightError,
    Table,
)
from jobs.build_cross_domain import cross_domain_inputs, cross_domain_recommendations, cross_domain_source
from jobs.build_similar_items import similar_inputs, similar_items
from jobs.build_user_recommendations import recommendation_inputs, user_recommendations
from jobs.fallback_order import CATALOGUE_ORDER, popularity_vectors
from jobs.gate_decision import GateDecision, gate_decision
from jobs.partitions import contract_columns, write_parquet

logger = logging.getLogger(__name__)

SHELF_LIFE = timedelta(hours=48)
"""How long after the end of `ds` rows may be shown: a shop whose night fails has one more day."""
ROWS_PER_FILE = 1_000_000


def main(argv: Sequence[str] | None = None) -> None:
    """Stages the tables of one night."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    build_tables(session_from_environment("build_tables"), night)


def build_tables(spark: SparkSession, night: Night) -> None:
    """Stages the tables of the night; one that is already staged as it would be is left alone."""
    lake, ds = night.lake, night.ds
    gate = gate_decision(lake, ds)
    popularity = popularity_vectors(lake, ds)
    fallback_source = popularity[0] if popularity else CATALOGUE_ORDER
    _stage(
        night,
        gate,
        Plan(
            USER_RECOMMENDATIONS,
            recommendation_inputs(night, gate),
            (gate.published_model, fallback_source),
            lake.require(USERS, ds).rows,
            lambda: user_recommendations(spark, night, gate),
        ),
    )
    _stage(
        night,
        gate,
        Plan(
            SIMILAR_ITEMS,
            similar_inputs(night, gate),
            (gate.similar_model,),
            lake.require(ITEMS, ds).rows,
            lambda: similar_items(spark, night, gate),
        ),
    )
    if CROSS_DOMAIN_RECOMMENDATIONS in output_tables(lake, ds):
        _stage(
            night,
            gate,
            Plan(
                CROSS_DOMAIN_RECOMMENDATIONS,
                cross_domain_inputs(night, gate),
                (cross_domain_source(night, gate),),
                lake.require(USERS, ds).rows * len(available_domains(lake, ds)),
                lambda: cross_domain_recommendations(spark, night, gate),
            ),
        )


@dataclass(frozen=True)
class Plan:
    """How one table is built.

    Attributes:
        inputs: every version that `rows` reads, but the gate's.
        sources: what may stand in the column `source`.
        num_owners: at most so many lists there are.
        rows: the table without what every published row has besides.
    """

    table: Table
    inputs: Sequence[Version]
    sources: Sequence[str]
    num_owners: int
    rows: Callable[[], DataFrame]


def _stage(night: Night, gate: GateDecision, plan: Plan) -> None:
    lake, ds, shop, table = night.lake, night.ds, night.shop, plan.table
    inputs = [v.fingerprint for v in (lake.require(GATE_DECISIONS, ds), *plan.inputs)]
    settings = [shop.top_k, shop.repeats, shop.max_repeat_share, shop.active_days, shop.num_candidates]
    fingerprint = fingerprint_of(table.name, ds, night.code, inputs, settings)
    current = lake.current(table, ds)
    if current is not None and current.fingerprint == fingerprint:
        logger.info("already staged: table=%s ds=%s rows=%d", table.name, ds, current.rows)
        return
    rows = contract_columns(_signed(plan.rows(), night, gate, plan.sources), table, ds)
    path = lake.new_version_path(table, ds, fingerprint)
    num_files = max(1, -(-plan.num_owners * shop.top_k // ROWS_PER_FILE))
    num_rows = write_parquet(_in_files(rows, table, num_files), path)
    if num_rows == 0:
        raise NightError(f"{table.name} ds={ds}: not one row came out, and an empty table is not staged.")
    lake.commit(table, ds, path, fingerprint, num_rows, top_k=shop.top_k)
    logger.info("staged: table=%s ds=%s rows=%d sources=%s", table.name, ds, num_rows, ",".join(plan.sources))


def _signed(rows: DataFrame, night: Night, gate: GateDecision, sources: Sequence[str]) -> DataFrame:
    """`rows` with what every published row tells of itself."""
    generated_at = night.now.replace(microsecond=0)
    return rows.withColumns(
        {
            "model_version": _version_of(F.col("source"), sources, gate),
            "generated_at": F.lit(generated_at),
            "expires_at": F.lit(end_of(night.ds) + SHELF_LIFE),
        }
    )


def _version_of(source: Column, sources: Sequence[str], gate: GateDecision) -> Column:
    text = F.lit(None).cast("string")
    for model in sources:
        text = F.when(source == model, F.lit(gate.version_of(model))).otherwise(text)
    return text


def _in_files(rows: DataFrame, table: Table, num_files: int) -> DataFrame:
    """`rows` as they lie in the files of a Delta table: in the order of the key, without `ds`.

    Delta keeps the partition in its log. Readers that look for one user skip the files whose bounds exclude them.
    """
    owner = table.key[1]
    return rows.drop("ds").repartitionByRange(num_files, owner).sortWithinPartitions(*table.key[1:])


if __name__ == "__main__":
    run_program(main)
