"""Checks the tables of one stage of the night; a failure stops the night before anything is learnt or published.

Reads the current partitions of `events`, `items`, `users` (stage `inputs`), of the features as of `--as-of` (stage
`features`) or the staged lists of `ds` (stage `outputs`). Writes Data Docs, and notes which versions passed; run again,
it checks again and adds another page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from pyspark.sql import SparkSession

from expectations.checks.contract_suite import contract_expectations, contract_row_checks, shape_expectations
from expectations.checks.cross_domain_recommendations import cross_domain_checks
from expectations.checks.data_docs import publish_data_docs
from expectations.checks.features import (
    history_checks,
    interaction_checks,
    item_feature_checks,
    user_feature_checks,
    vocabulary_checks,
)
from expectations.checks.graph_edges import graph_edge_checks
from expectations.checks.inputs import event_checks, events_day, item_checks, min_events, user_checks
from expectations.checks.item_images import item_image_checks, min_images
from expectations.checks.partitions import Partitions, shuffle_partitions
from expectations.checks.published_tables import (
    min_listed_rows,
    new_item_audience_checks,
    new_user_recommendation_checks,
    no_rows_needed,
    similar_item_checks,
)
from expectations.checks.row_rules import Check
from expectations.checks.suite_runner import TableExpectations, quiet_context, run_table
from expectations.checks.user_recommendations import user_recommendation_checks
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, add_as_of, days_from, night_from, night_parser, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.semantics.published_tables import output_tables
from expectations.shop.shop import Shop
from expectations.tables import EVENTS, FEATURE_TABLES, INPUT_TABLES, OUTPUT_TABLES, TABLES, Table, TableContractError

logger = logging.getLogger(__name__)

STAGES = {
    "inputs": INPUT_TABLES,
    "features": FEATURE_TABLES,
    "outputs": OUTPUT_TABLES,
}
AS_OF_STAGES = ("features",)

# The first check of each is of the table's own rows, perhaps with more columns.
CHECKS: dict[str, Callable[[Partitions, str, Shop], list[Check]]] = {
    "items": item_checks,
    "users": user_checks,
    "vocabularies": vocabulary_checks,
    "interactions": interaction_checks,
    "histories": history_checks,
    "item_features": item_feature_checks,
    "item_images": item_image_checks,
    "user_features": user_feature_checks,
    "graph_edges": graph_edge_checks,
    "user_recommendations": user_recommendation_checks,
    "similar_items": similar_item_checks,
    "new_user_recommendations": new_user_recommendation_checks,
    "new_item_audiences": new_item_audience_checks,
    "cross_domain_recommendations": cross_domain_checks,
}
MIN_ROWS: dict[str, Callable[[Lake, Table, str, Shop], int]] = {
    "events": min_events,
    "item_images": min_images,
    "user_recommendations": min_listed_rows,
    "similar_items": min_listed_rows,
    "new_item_audiences": no_rows_needed,
    "cross_domain_recommendations": min_listed_rows,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags, checks the stage."""
    parser = night_parser(__doc__)
    add_as_of(parser)
    which = "inputs: what came in; features: what was computed from it; outputs: what is to be published"
    parser.add_argument("--stage", required=True, choices=tuple(STAGES), help=which)
    arguments = parser.parse_args(argv)
    night = night_from(arguments)
    spark = session_from_environment("validate")
    # What does not lie as of a day, a night has once.
    for as_of in days_from(arguments, night) if arguments.stage in AS_OF_STAGES else (night.ds,):
        validate_stage(night, spark, arguments.stage, as_of)


def validate_stage(night: Night, spark: SparkSession, stage: str, as_of: str) -> None:
    """Checks every table of a stage and notes the versions that passed.

    Args:
        as_of: the partition of the features; the other stages have one partition a night.

    Raises:
        TableContractError: an expectation was not met; says which, of what, and shows failing values.
    """
    partitions = Partitions(spark, night.lake)
    names = [table.name for table in output_tables(night.lake, night.ds)] if stage == "outputs" else STAGES[stage]
    days = {name: _partition_day(night, stage, TABLES[name], as_of) for name in names}
    num_rows = max(partitions.version(TABLES[name], ds).rows for name, ds in days.items())
    spark.conf.set("spark.sql.shuffle.partitions", str(shuffle_partitions(num_rows)))
    context = quiet_context()
    runs = [run_table(context, expectations_of(night, partitions, TABLES[name], ds)) for name, ds in days.items()]
    page = f"{stage}_{as_of}" if stage in AS_OF_STAGES else stage
    docs = publish_data_docs(context, night.lake.root, night.ds, night.now, page, runs)
    failures = [f"{run.table.name} ds={run.ds}: {failure}" for run in runs for failure in run.failures]
    if failures:
        more = f" (and {len(failures) - 1} more expectations)" if len(failures) > 1 else ""
        raise TableContractError(f"{failures[0]}{more}. Data Docs: {docs}")
    for run in runs:
        night.lake.note_validated(run.table, run.ds, partitions.version(run.table, run.ds))


def expectations_of(night: Night, partitions: Partitions, table: Table, ds: str) -> TableExpectations:
    """Everything that is expected of one partition: what the contract says of any table, and what this one means."""

    def checks() -> list[Check]:
        first, *others = _checks_of(night, partitions, table, ds)
        whole = Check(
            first.rows,
            [*contract_expectations(table, ds), *first.expectations],
            [*contract_row_checks(table), *first.row_checks],
        )
        return [whole, *others]

    least = MIN_ROWS[table.name](night.lake, table, ds, night.shop) if table.name in MIN_ROWS else 1
    return TableExpectations(table, ds, partitions.rows(table, ds), shape_expectations(table, least), checks)


def _checks_of(night: Night, partitions: Partitions, table: Table, ds: str) -> list[Check]:
    if table is EVENTS:
        return event_checks(partitions, ds, night.ds, night.shop)
    return CHECKS[table.name](partitions, ds, night.shop)


def _partition_day(night: Night, stage: str, table: Table, as_of: str) -> str:
    if table is EVENTS:
        day = events_day(night.lake, night.ds, night.shop)
        if day != night.ds:
            logger.info("the shop was closed; its latest drop is checked: ds=%s events=%s", night.ds, day)
        return day
    return as_of if stage in AS_OF_STAGES else night.ds


if __name__ == "__main__":
    run_program(main)
