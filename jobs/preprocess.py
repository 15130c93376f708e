"""Builds all that the models eat as of a day, in one Spark session, each table after those it reads.

Reads `events`, `item_updates` and `user_updates` up to the day, and nothing later. Writes `items`, `users`,
`vocabularies`, `interactions`, `histories`, `item_features` and `user_features` of that day. Safe to re-run: what is
in force already is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pyspark.sql import SparkSession

from expectations.program import Night, night_and_as_of, run_program
from expectations.spark_session import session_from_environment
from expectations.tables import EVENTS, NightError
from jobs.build_histories import build_histories
from jobs.build_interactions import build_interactions
from jobs.build_item_features import build_item_features
from jobs.build_items import build_items
from jobs.build_user_features import build_user_features
from jobs.build_users import build_users
from jobs.build_vocabularies import build_vocabularies

logger = logging.getLogger(__name__)

STEPS = (
    build_items,
    build_users,
    build_vocabularies,
    build_interactions,
    build_histories,
    build_item_features,
    build_user_features,
)


def preprocess(spark: SparkSession, night: Night, as_of: str) -> None:
    """Builds the feature tables of `as_of`.

    Raises:
        NightError: the lake holds no events up to that day.
    """
    days = night.lake.days(EVENTS, as_of)
    if not days:
        earliest = next(iter(night.lake.days(EVENTS)), None)
        raise NightError(
            f"events as of {as_of}: the lake holds none so early; its first day is {earliest}. "
            "Run jobs.ingest for that ds, or choose a later ds or a smaller horizon_days."
        )
    logger.info("preprocess: as_of=%s days=%d from=%s to=%s", as_of, len(days), days[0], days[-1])
    for build in STEPS:
        build(spark, night, as_of)


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the feature tables of `--as-of`."""
    night, as_of = night_and_as_of(__doc__, argv)
    preprocess(session_from_environment("preprocess"), night, as_of)


if __name__ == "__main__":
    run_program(main)
