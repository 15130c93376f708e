"""Builds all that the models eat as of a day, in one Spark session, each table after those it reads.

Reads `events`, `item_updates` and `user_updates` up to the day, and nothing later. Writes first what the day goes on
from, at its anchor: the catalogue, the users, the tokenizer, the vocabularies and the sums of the log; then the feature
tables of the day itself. On most days the anchor is there already, and only the days after it are read. Safe to re-run:
what is in force already is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pyspark.sql import SparkSession

from expectations.runtime.program import Night, night_and_days, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.tables import EVENTS, NightError
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
from jobs.storage.log_as_of import Past

logger = logging.getLogger(__name__)


def preprocess(spark: SparkSession, night: Night, as_of: str) -> None:
    """Builds the feature tables of `as_of`.

    Raises:
        NightError: the lake holds no events up to that day.
    """
    past = Past.of(night.lake, as_of)
    days = list(past.versions[EVENTS.name])
    if not days:
        earliest = next(iter(night.lake.days(EVENTS)), None)
        raise NightError(
            f"events as of {as_of}: the lake holds none so early; its first day is {earliest}. "
            "Run jobs.ingest for that ds, or choose a later ds, or a smaller horizon_days or num_windows."
        )
    logger.info(
        "preprocess: as_of=%s anchor=%s days=%d from=%s to=%s", as_of, past.anchor, len(days), days[0], days[-1]
    )
    anchor = past.at(past.anchor)
    build_anchor(spark, night, anchor)
    if night.shop.warm_start:
        # What the models that go on from the anchor were fitted on.
        build_day(spark, night, anchor)
    build_day(spark, night, past)


def build_anchor(spark: SparkSession, night: Night, past: Past) -> None:
    """Builds what the days from `past.until`, an anchor, up to the next one go on from."""
    build_items(spark, night, past)
    build_users(spark, night, past)
    build_tokenizers(spark, night, past.until)
    build_vocabularies(spark, night, past)
    build_pair_totals(spark, night, past)
    build_recent_events(spark, night, past)


def build_day(spark: SparkSession, night: Night, past: Past) -> None:
    """Builds the tables that models read, as of `past.until`; on an anchor, some of them are there already."""
    build_items(spark, night, past)
    build_users(spark, night, past)
    build_vocabularies(spark, night, past)
    build_interactions(spark, night, past)
    build_histories(spark, night, past)
    build_item_features(spark, night, past)
    build_item_images(spark, night, past.until)
    build_user_features(spark, night, past.until)
    build_graph_edges(spark, night, past.until)


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the feature tables of `--as-of`."""
    night, days = night_and_days(__doc__, argv)
    spark = session_from_environment("preprocess")
    for as_of in days:
        preprocess(spark, night, as_of)


if __name__ == "__main__":
    run_program(main)
