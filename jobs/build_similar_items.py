"""`similar_items`: for every item the available items that go with it best, by item-item weights."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from expectations.lake import Version
from expectations.program import Night
from expectations.tables import ITEM_NEIGHBOURS, ITEMS, SIMILAR_ITEMS, VOCABULARIES, NightError
from jobs.catalogue import catalogue
from jobs.finished_lists import SCORE_DECIMALS
from jobs.gate_decision import GateDecision
from jobs.partitions import read_partition
from jobs.reasons import Reason, reason_text


def similar_inputs(night: Night, gate: GateDecision) -> list[Version]:
    """Every version that `similar_items` reads.

    Raises:
        NightError: no model of the night has item-item neighbours.
    """
    if not gate.similar_model:
        raise NightError(
            f"{SIMILAR_ITEMS.name} ds={night.ds}: no model of this night has item-item neighbours. "
            f"Add item_item to `models` of the shop file. Received: {', '.join(night.shop.models)}"
        )
    tables = (VOCABULARIES, ITEMS)
    return [
        *(night.lake.require(table, night.ds) for table in tables),
        night.lake.require(ITEM_NEIGHBOURS, night.ds, gate.similar_model),
    ]


def similar_items(spark: SparkSession, night: Night, gate: GateDecision) -> DataFrame:
    """The rows of `similar_items`, without what every published row has besides."""
    items = catalogue(spark, night)
    neighbours = read_partition(spark, night.lake, ITEM_NEIGHBOURS, night.ds, gate.similar_model)
    owners = F.broadcast(items.select("item_index", "item_id", "title"))
    available = items.where("is_available").select(
        F.col("item_index").alias("neighbour_index"), F.col("item_id").alias("similar_item_id")
    )
    best_first = Window.partitionBy("item_index").orderBy(F.desc("weight"), "neighbour_index")
    is_pair = (F.col("item_index") != F.col("neighbour_index")) & (F.col("weight") > 0)
    reason_code = F.lit(Reason.BOUGHT_TOGETHER.value)
    return (
        neighbours.where(is_pair)
        .join(F.broadcast(available), on="neighbour_index")
        .join(owners, on="item_index")
        .withColumn("rank", F.row_number().over(best_first))
        .where(F.col("rank") <= night.shop.top_k)
        .select(
            "item_id",
            "rank",
            "similar_item_id",
            F.round(F.col("weight").cast("double"), SCORE_DECIMALS).alias("score"),
            F.lit(gate.similar_model).alias("source"),
            reason_code.alias("reason_code"),
            reason_text(reason_code, F.col("title"), gate.similar_model).alias("reason"),
        )
    )
