"""Builds `ranking_features`: every proposed pair of user and item, as ranking models see it, as of a day.

Reads all `candidates` of the day, its `items`, `vocabularies`, `interactions`, `histories` and `graph_edges`, and the
`events` of the last 90 days. Rows of users are shuffled once, by user; what is known of items is sent to them. Safe to
re-run: the partition is replaced, or left alone when nothing changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.runtime.lake import Lake, Version
from expectations.runtime.program import Night, days_before, end_of, night_and_days, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.tables import (
    CANDIDATES,
    EVENTS,
    FIRST_VALUE_INDEX,
    GRAPH_EDGES,
    HISTORIES,
    INTERACTIONS,
    ITEMS,
    RANKING_FEATURES,
    VOCABULARIES,
    TableContractError,
)
from jobs.co_occurrence import co_occurrence
from jobs.item_signals import DEMAND_DAYS, item_signals, log_ratio
from jobs.storage.partitions import build_partition, read_partition, read_versions

ACTIVITY_DAYS = 30
NUM_LAST_ITEMS = 10
"""How many of the user's latest items an item is held against."""
_SECONDS_PER_DAY = 86_400


def build_ranking_features(spark: SparkSession, night: Night, as_of: str) -> Version:
    """Builds the partition `as_of`; its fact `models` names the retrieval models in the order of the arrays.

    Raises:
        TableContractError: no model has candidates of that day.
    """
    lake, since = night.lake, days_before(as_of, DEMAND_DAYS[-1] - 1)
    models = lake.models(CANDIDATES, as_of)
    if not models:
        raise TableContractError(
            f"{CANDIDATES.name} ds={as_of}: no model has any. Was {CANDIDATES.built_by} run with --as-of {as_of}?"
        )

    log = list(lake.versions(EVENTS, as_of, since).values())

    def rows() -> DataFrame:
        items, vocabularies, interactions, histories = (
            read_partition(spark, lake, table, as_of) for table in (ITEMS, VOCABULARIES, INTERACTIONS, HISTORIES)
        )
        events = read_versions(spark, EVENTS, log)
        return ranking_features_from(
            [read_partition(spark, lake, CANDIDATES, as_of, model) for model in models],
            interactions,
            histories,
            item_signals(items, vocabularies, events, night.shop.target_events, as_of),
            lake.require(GRAPH_EDGES, as_of).path,
            as_of,
        )

    inputs = [*_inputs(lake, as_of, models), *log]
    return build_partition(night, RANKING_FEATURES, as_of, inputs, [night.shop.target_events], rows, models=models)


def _inputs(lake: Lake, as_of: str, models: Sequence[str]) -> list[Version]:
    tables = (ITEMS, VOCABULARIES, INTERACTIONS, HISTORIES, GRAPH_EDGES)
    return [lake.require(CANDIDATES, as_of, m) for m in models] + [lake.require(table, as_of) for table in tables]


def ranking_features_from(
    candidates: Sequence[DataFrame],
    interactions: DataFrame,
    histories: DataFrame,
    signals: DataFrame,
    graph_edges_path: str,
    as_of: str,
) -> DataFrame:
    """One row per pair that stands in any of `candidates`, which are in the order of the arrays.

    Args:
        signals: what `item_signals` knows of the items.
    """
    night_end = F.lit(int(end_of(as_of).timestamp()))
    of_user = Window.partitionBy("user_index").rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    met_price = F.when((F.col("pair_events") > 0) & (F.col("price") > 0), F.col("price"))
    last_items = F.coalesce("last_items", F.array().cast("array<int>"))
    return (
        pairs_from(candidates, interactions, night_end)
        .join(F.broadcast(signals), on="item_index", how="left")
        .withColumn("price_to_user", log_ratio(F.col("price"), F.median(met_price).over(of_user)))
        .where("is_proposed")
        .join(user_signals(histories, night_end), on="user_index", how="left")
        .withColumn("user_events_30", F.coalesce("user_events_30", F.lit(0)))
        .withColumn("co_occurrence", co_occurrence(F.col("item_index"), last_items, graph_edges_path))
        .sortWithinPartitions("user_index", "item_index")
    )


def pairs_from(candidates: Sequence[DataFrame], interactions: DataFrame, night_end: Column) -> DataFrame:
    """One row per pair that was proposed or that met, `is_proposed` or not; all rows of a user in one partition.

    Interactions come along as one more list, so that they need no join of their own.
    """
    proposed = [
        rows.select("user_index", "item_index", "score", F.lit(place).alias("place"))
        for place, rows in enumerate(candidates)
    ]
    met = interactions.select("user_index", "item_index", "num_events", "num_purchases", "first_time", "last_time")
    lists = reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), [*proposed, met])
    best_first = Window.partitionBy("user_index", "place").orderBy(F.desc("score"), "item_index")
    ranked = lists.repartition("user_index").withColumn("rank", F.row_number().over(best_first))
    of_lists = [F.col("place") == place for place in range(len(candidates))]
    first, last = F.unix_timestamp(F.max("first_time")), F.unix_timestamp(F.max("last_time"))
    num_events = F.max("num_events")
    return ranked.groupBy("user_index", "item_index").agg(
        F.array(*(F.max(F.when(is_of_list, F.col("score"))) for is_of_list in of_lists)).alias("retriever_scores"),
        F.array(*(F.max(F.when(is_of_list, F.col("rank"))) for is_of_list in of_lists)).alias("retriever_ranks"),
        F.max("place").isNotNull().alias("is_proposed"),
        F.coalesce(num_events, F.lit(0)).alias("pair_events"),
        F.coalesce(F.max("num_purchases"), F.lit(0)).alias("pair_purchases"),
        ((night_end - last) / _SECONDS_PER_DAY).alias("pair_days_since_last"),
        F.when(num_events > 1, (last - first) / (num_events - 1) / _SECONDS_PER_DAY).alias("pair_usual_gap_days"),
    )


def user_signals(histories: DataFrame, night_end: Column) -> DataFrame:
    """One row per user with a history: activity, and the latest different items."""
    is_recent_from = night_end - ACTIVITY_DAYS * _SECONDS_PER_DAY
    known_items = F.filter(F.reverse("item_indices"), lambda index: index >= FIRST_VALUE_INDEX)
    return histories.select(
        "user_index",
        F.size(F.filter("event_times", lambda time: time >= is_recent_from)).alias("user_events_30"),
        ((night_end - F.array_max("event_times")) / _SECONDS_PER_DAY).alias("user_days_since_last"),
        F.slice(F.array_distinct(known_items), 1, NUM_LAST_ITEMS).alias("last_items"),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Builds `ranking_features` of `--as-of`."""
    night, days = night_and_days(__doc__, argv)
    spark = session_from_environment("build_ranking_features")
    for as_of in days:
        build_ranking_features(spark, night, as_of)


if __name__ == "__main__":
    run_program(main)
