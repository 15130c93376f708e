"""Builds `graph_edges`: who met what, and which items go together, as of a day.

Reads `histories`, `item_features` and `vocabularies` of the day. Counts are whole numbers until all of them are summed,
so that the rows do not depend on who sums them, nor in which order. Safe to re-run: the partition is replaced, or left
alone when nothing changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.runtime.code_version import code_version
from expectations.runtime.days import SECONDS_PER_DAY, end_of
from expectations.runtime.lake import Lake, Version
from expectations.shop.shop import Shop
from expectations.shop.table_settings import GraphEdges
from expectations.tables import FIRST_VALUE_INDEX, GRAPH_EDGES, HISTORIES, ITEM_FEATURES, VOCABULARIES
from jobs.features.co_occurrence_counts import ITEM_DDL, KINDS, PAIR_DDL, counted, item_counts, pair_counts
from jobs.storage.partitions import build_partition, read_partition

_PARTS_OF_WEIGHT = 1_000_000_000
"""A weight is summed in so many parts of 1, as a whole number. What fades below one part is no edge any more."""


def build_graph_edges(spark: SparkSession, lake: Lake, as_of: str, shop: Shop) -> Version:
    """Builds the partition `as_of`."""
    item_features, settings, end = (
        lake.require(ITEM_FEATURES, as_of),
        shop.graph_edges,
        end_of(as_of, shop.drops.day_timezone),
    )

    def rows() -> DataFrame:
        histories = read_partition(spark, lake, HISTORIES, as_of)
        vocabularies = read_partition(spark, lake, VOCABULARIES, as_of)
        edges = user_item_edges(histories, vocabularies, shop.event_weights, end, settings.half_life_days)
        return edges.unionByName(item_item_edges(histories, item_features.path, settings)).sortWithinPartitions(
            "kind", "source_index", "target_index"
        )

    inputs = [lake.require(HISTORIES, as_of), lake.require(VOCABULARIES, as_of), item_features]
    read = [shop.event_weights, asdict(settings), shop.drops.day_timezone]
    return build_partition(lake, GRAPH_EDGES, as_of, inputs, read, rows, code=code_version(__name__))


def user_item_edges(
    histories: DataFrame,
    vocabularies: DataFrame,
    event_weights: Mapping[str, float],
    end: datetime,
    half_life_days: float,
) -> DataFrame:
    """Sums over a user's events with an item of the event's weight x 2^(-age / half-life)."""
    of_types = vocabularies.where(F.col("field") == "event_type").select(
        F.col("index").alias("event_type_indices"), _weight_of_type(event_weights).alias("event_weight")
    )
    met = F.explode(F.arrays_zip("item_indices", "event_type_indices", "event_times"))
    events = histories.select("user_index", met.alias("met")).select("user_index", "met.*")
    age_days = (F.lit(int(end.timestamp())) - F.col("event_times")) / SECONDS_PER_DAY
    faded = F.col("event_weight") * F.pow(F.lit(2.0), -age_days / half_life_days)
    parts = F.sum(F.round(faded * _PARTS_OF_WEIGHT).cast("bigint"))
    return (
        events.where(F.col("item_indices") >= FIRST_VALUE_INDEX)
        .join(F.broadcast(of_types), on="event_type_indices", how="inner")
        .groupBy(F.col("user_index").alias("source_index"), F.col("item_indices").alias("target_index"))
        .agg((parts / _PARTS_OF_WEIGHT).cast("float").alias("weight"))
        .where(F.col("weight") > 0)
        .select(F.lit("user_item").alias("kind"), "source_index", "target_index", "weight")
    )


def _weight_of_type(event_weights: Mapping[str, float]) -> Column:
    weight = F.lit(0.0)
    for name, of_name in event_weights.items():
        weight = F.when(F.col("value") == name, F.lit(float(of_name))).otherwise(weight)
    return weight


def item_item_edges(histories: DataFrame, item_features_path: str, settings: GraphEdges) -> DataFrame:
    """Returns each item's strongest edges of each kind, by shrunk cosine; equal ones by item index."""

    def items_of(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return counted(batches, item_counts)

    def pairs_of(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return counted(batches, lambda some: pair_counts(some, item_features_path, settings.window_days))

    histories = histories.select("item_indices", "event_times", "session_starts")
    items = _by_kind(_summed(histories.mapInArrow(items_of, ITEM_DDL), "item_index"))
    pairs = _by_kind(_summed(histories.mapInArrow(pairs_of, PAIR_DDL), "item_index", "other_index"))
    pairs = pairs.where(F.col("num_meetings") >= settings.min_meetings)
    for index, total in (("item_index", "num_item"), ("other_index", "num_other")):
        totals = items.select("kind", F.col("item_index").alias(index), F.col("num_meetings").alias(total))
        pairs = pairs.join(F.broadcast(totals), on=["kind", index], how="inner")
    both_ways = F.array(
        *(F.struct(F.col(source).alias("source_index"), F.col(target).alias("target_index"))
          for source, target in (("item_index", "other_index"), ("other_index", "item_index")))
    )  # fmt: skip
    edges = pairs.select("kind", shrunk_cosine(settings.shrinkage).cast("float").alias("weight"), F.inline(both_ways))
    strongest_first = Window.partitionBy("kind", "source_index").orderBy(F.desc("weight"), "target_index")
    return (
        edges.withColumn("place", F.row_number().over(strongest_first))
        .where(F.col("place") <= settings.neighbours_per_item)
        .select("kind", "source_index", "target_index", "weight")
    )


def shrunk_cosine(shrinkage: float) -> Column:
    """n_ij / sqrt(n_i n_j) x n_ij / (n_ij + shrinkage), of num_meetings, num_item and num_other: in (0, 1)."""
    meetings = F.col("num_meetings")
    cosine = meetings / F.sqrt(F.col("num_item") * F.col("num_other"))
    return cosine * meetings / (meetings + shrinkage)


def _summed(counts: DataFrame, *key: str) -> DataFrame:
    return counts.groupBy(*key).agg(*(F.sum(kind).alias(kind) for kind in KINDS))


def _by_kind(counts: DataFrame) -> DataFrame:
    """Puts a row per kind in place of a column."""
    names = [name for name in counts.columns if name not in KINDS]
    of_kinds = F.array(*(F.struct(F.lit(kind).alias("kind"), F.col(kind).alias("num_meetings")) for kind in KINDS))
    return counts.select(*names, F.inline(of_kinds))
