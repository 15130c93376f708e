"""Builds all feature tables that models read, as of a day, in one Spark session, each table after those it reads.

Reads `events`, `item_updates` and `user_updates` up to the day, and nothing later. Writes first what the day goes on
from, at its anchor: the catalogue, the users, the tokenizer, the vocabularies and the sums of the log; then the feature
tables of the day itself. On most days the anchor is there already, and only the days after it are read. With `--tables`
only the tables that it names are built, from those that lie in the lake. Safe to re-run: what is current already is
left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from pyspark.sql import SparkSession

from expectations.runtime.drops import DropFolder
from expectations.runtime.lake import Version
from expectations.runtime.program import Night, add_as_of, days_from, night_from, night_parser, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.tables import (
    EVENTS,
    GRAPH_EDGES,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEM_IMAGES,
    ITEMS,
    PAIR_TOTALS,
    RECENT_EVENTS,
    TOKENIZERS,
    USER_FEATURES,
    USERS,
    VOCABULARIES,
    NightError,
    Table,
)
from jobs.features.graph_edges import build_graph_edges
from jobs.features.histories import build_histories
from jobs.features.interactions import build_interactions
from jobs.features.item_features import build_item_features
from jobs.features.item_images import build_item_images
from jobs.features.items import build_items
from jobs.features.pair_totals import build_pair_totals
from jobs.features.recent_events import build_recent_events
from jobs.features.tokenizers import build_tokenizers
from jobs.features.user_features import build_user_features
from jobs.features.users import build_users
from jobs.features.vocabularies import build_vocabularies
from jobs.storage.log_as_of import LogAsOf

logger = logging.getLogger(__name__)

ANCHOR_TABLES = (ITEMS, USERS, TOKENIZERS, VOCABULARIES, PAIR_TOTALS, RECENT_EVENTS)
"""What the days from an anchor up to the next one go on from, each table after those that it reads."""
DAY_TABLES = (
    ITEMS,
    USERS,
    VOCABULARIES,
    INTERACTIONS,
    HISTORIES,
    ITEM_FEATURES,
    ITEM_IMAGES,
    USER_FEATURES,
    GRAPH_EDGES,
)
"""What models read, each table after those that it reads; on an anchor, some of them are there already."""
PREPROCESSED_TABLES = tuple(dict.fromkeys(table.name for table in (*ANCHOR_TABLES, *DAY_TABLES)))


def preprocess(spark: SparkSession, night: Night, as_of: str, names: Collection[str] = PREPROCESSED_TABLES) -> None:
    """Builds the feature tables of `as_of` that are named.

    Raises:
        NightError: the lake holds no events up to that day.
        TableContractError: a table that is named reads one that was not built yet.
    """
    log = LogAsOf.of(night.lake, as_of)
    days = list(log.versions[EVENTS.name])
    if not days:
        earliest = next(iter(night.lake.days(EVENTS)), None)
        raise NightError(
            f"events as of {as_of}: the lake holds none so early; its first day is {earliest}. "
            "Run jobs.ingest for that ds, or choose a later ds, or a smaller horizon_days or num_windows."
        )
    logger.info("preprocess: as_of=%s anchor=%s days=%d from=%s to=%s", as_of, log.anchor, len(days), days[0], days[-1])
    drops = night.drop_folder
    anchor = log.as_of(log.anchor)
    _build(spark, anchor, drops, [table for table in ANCHOR_TABLES if table.name in names])
    day_tables = [table for table in DAY_TABLES if table.name in names]
    if night.shop.uses_anchor_weights:
        # What the models that take the anchor's weights were fitted on.
        _build(spark, anchor, drops, day_tables)
    _build(spark, log, drops, day_tables)


def _build(spark: SparkSession, log: LogAsOf, drops: DropFolder, tables: Sequence[Table]) -> None:
    """Builds the partition `log.until` of these tables."""
    lake, as_of, shop = log.lake, log.until, drops.shop
    builders: dict[Table, Callable[[], Version]] = {
        ITEMS: lambda: build_items(spark, log, shop),
        USERS: lambda: build_users(spark, log, shop),
        TOKENIZERS: lambda: build_tokenizers(spark, lake, as_of),
        VOCABULARIES: lambda: build_vocabularies(spark, log, shop),
        PAIR_TOTALS: lambda: build_pair_totals(spark, log, shop),
        RECENT_EVENTS: lambda: build_recent_events(spark, log, shop),
        INTERACTIONS: lambda: build_interactions(spark, log, shop),
        HISTORIES: lambda: build_histories(spark, log, shop),
        ITEM_FEATURES: lambda: build_item_features(spark, log),
        ITEM_IMAGES: lambda: build_item_images(spark, lake, as_of, drops, shop.image_size),
        USER_FEATURES: lambda: build_user_features(spark, lake, as_of),
        GRAPH_EDGES: lambda: build_graph_edges(spark, lake, as_of, shop),
    }
    for table in tables:
        builders[table]()


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the feature tables of `--as-of`."""
    parser = night_parser(__doc__)
    add_as_of(parser)
    parser.add_argument(
        "--tables", nargs="+", choices=PREPROCESSED_TABLES, default=PREPROCESSED_TABLES, help="default: all"
    )
    arguments = parser.parse_args(argv)
    night = night_from(arguments)
    spark = session_from_environment("preprocess")
    for as_of in days_from(arguments, night):
        preprocess(spark, night, as_of, arguments.tables)


if __name__ == "__main__":
    run_program(main)
