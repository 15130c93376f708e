"""`new_item_audiences`: for each item that is new, the users most likely to want it, by what is like it.

Hardly anybody met the item yet, so what is like it speaks for it: the items whose words are most alike, and who met
these and how lately.

    score(user) = sum over its likes that the user met of likeness x 2^(-days since / half_life_days)

It is a sum and no mean: who buys much of a kind is more likely to buy one more. An item of the first day that the
shop's log speaks of is not new: the shop had it before.

The reason is the category where the item is new in the one that the user met most of; otherwise what speaks for it.

How many items speak for one, and the half-life, are settings of the shop (`NewItems`). Their defaults were chosen on
UCI Online Retail, on items first sold in the 30 days after 2011-07-12, 08-11 and 09-10; see
`tests.benchmarks.lists.new_users_items`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from expectations.runtime.days import SECONDS_PER_DAY, days_before, end_of
from expectations.runtime.lake import Version
from expectations.semantics.item_eligibility.in_spark import category_path
from expectations.semantics.titles import readable_title_in_spark
from expectations.shop.reasons import Reason
from expectations.shop.shop import Shop
from expectations.tables import HISTORIES, INTERACTIONS, ITEM_FEATURES, ITEMS, USER_FEATURES, USERS, VOCABULARIES
from jobs.lists.catalogue import catalogue_rows
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.list_assembly import SCORE_DECIMALS
from jobs.lists.reason_text import reason_text
from jobs.lists.target_users import target_users
from jobs.storage.user_blocks import BLOCK, Blocks
from jobs.tables.similarity_sources import SimilaritySource, content_source

SOURCE = ITEM_FEATURES.name
"""What chooses: the words of the catalogue, which follow from `item_features`."""
LIKES_DDL = "item_index int, like_index int, likeness float"
PARTS = 1_000_000_000
"""Parts of 1 in which a faded likeness is summed, as a whole number: such a sum is the same in any order."""


def audience_inputs(features: FeatureTables) -> list[Version]:
    """Returns every version that `new_item_audiences` reads."""
    tables = (VOCABULARIES, ITEMS, ITEM_FEATURES, USERS, USER_FEATURES, INTERACTIONS, HISTORIES)
    return [features.version(table) for table in tables]


def new_item_audiences(spark: SparkSession, features: FeatureTables, shop: Shop) -> DataFrame:
    """The rows of `new_item_audiences`, without what every published row has besides; none where nothing is new.

    Beside the table's columns, `because_item_id` is what speaks for the item in the user's own history.
    """
    items, targets = catalogue_rows(spark, features, shop.rules), target_users(spark, features, shop.active_days)
    interactions = features.read(spark, INTERACTIONS)
    shelves = features.read(spark, ITEMS).select(
        "item_id",
        "first_seen",
        category_path().alias("path"),
        readable_title_in_spark(F.element_at(F.when(F.size("category") > 0, F.col("category")), -1), F.lit("")).alias(
            "shelf"
        ),
    )
    known = items.select("item_index", "item_id", "refused_by").join(shelves, on="item_id")
    new = known.where(F.col("refused_by").isNull() & (F.col("first_seen") > old_until(features, shop.new_items.days)))
    alike = likes(features, interactions, new.select("item_index"), shop.new_items.num_alike)
    wanted = fans(interactions, alike, end_of(features.ds, shop.drops.day_timezone), shop.new_items.half_life_days)
    # What came back whole is no interaction, yet the user knows it.
    remembered = features.read(spark, HISTORIES).select("user_index", F.explode("item_indices").alias("item_index"))
    met = interactions.select("user_index", "item_index").unionByName(remembered)
    met = met.join(F.broadcast(new.select("item_index")), on="item_index")
    strangers = wanted.join(targets, on="user_index").join(met, on=["user_index", "item_index"], how="left_anti")
    best_first = Window.partitionBy("item_index").orderBy(F.desc("parts"), "user_index")
    ranked = strangers.withColumn("rank", F.row_number().over(best_first))
    audiences = ranked.where(F.col("rank") <= shop.new_items.audience_size)
    favourites = most_browsed(remembered, known.select("item_index", "path"))
    return with_reasons(audiences.join(favourites, on="user_index", how="left"), items, new, shop.texts)


def most_browsed(remembered: DataFrame, paths: DataFrame) -> DataFrame:
    """The category that each user has the most events in, as user_index and favourite; of equal ones the first by name.

    Args:
        remembered: user_index and item_index, one row an event.
        paths: item_index and path; null where an item has no category.
    """
    counts = (
        remembered.join(F.broadcast(paths.where(F.col("path").isNotNull())), on="item_index")
        .groupBy("user_index", "path")
        .count()
    )
    most_first = Window.partitionBy("user_index").orderBy(F.desc("count"), "path")
    first = counts.withColumn("place", F.row_number().over(most_first)).where("place = 1")
    return first.select("user_index", F.col("path").alias("favourite"))


def with_reasons(audiences: DataFrame, items: DataFrame, new: DataFrame, texts: Mapping[str, str]) -> DataFrame:
    """Returns the rows of audiences in the shop's words.

    Args:
        items: the catalogue.
        new: item_index, item_id, path and shelf, the last part of the path, of the new items.
    """
    cited = items.select(F.col("item_index").alias("like_index"), F.col("item_id").alias("because_item_id"), "title")
    is_favourite = F.coalesce(F.col("path") == F.col("favourite"), F.lit(False))
    code = (
        F.when(is_favourite, Reason.NEW_IN_CATEGORY.value)
        .when(F.col("is_bought"), Reason.BECAUSE_YOU_BOUGHT.value)
        .otherwise(Reason.BECAUSE_YOU_VIEWED.value)
    )
    named = F.when(is_favourite, F.col("shelf")).otherwise(F.col("title"))
    return (
        audiences.join(F.broadcast(new.select("item_index", "item_id", "path", "shelf")), on="item_index")
        .join(F.broadcast(cited), on="like_index")
        .select(
            "item_id",
            "rank",
            "user_id",
            F.round(F.col("parts") / PARTS, SCORE_DECIMALS).alias("score"),
            F.lit(SOURCE).alias("source"),
            code.alias("reason_code"),
            reason_text(code, named, "", texts).alias("reason"),
            "because_item_id",
        )
    )


def old_until(features: FeatureTables, new_days: int) -> str:
    """Returns the last day that makes an item old: what was first seen later is new."""
    first_seen = features.to_arrow(ITEMS, ["first_seen"])["first_seen"]
    return max(days_before(features.ds, new_days), pc.min(first_seen).as_py() or "")


def num_new_items(features: FeatureTables, new_days: int) -> int:
    """Returns how many items may get an audience."""
    items = features.to_arrow(ITEMS, ["first_seen", "is_available"])
    return (
        pc.sum(pc.and_(pc.greater(items["first_seen"], old_until(features, new_days)), items["is_available"])).as_py()
        or 0
    )


def likes(features: FeatureTables, interactions: DataFrame, new: DataFrame, num_alike: int) -> DataFrame:
    """Returns the items that speak for each new one: item_index, like_index, likeness above 0, at most 1."""
    met = interactions.select("item_index").distinct().toArrow()["item_index"].to_numpy()
    words = content_source(features)

    def likes_in_block(owners: pa.Table) -> pa.Table:
        return most_alike(np.sort(owners["item_index"].to_numpy()), words, met, num_alike)

    return (
        Blocks.of_items(features.version(ITEM_FEATURES).rows)
        .split(new)
        .groupBy(BLOCK)
        .applyInArrow(likes_in_block, LIKES_DDL)
    )


def most_alike(owners: np.ndarray, source: SimilaritySource, met: np.ndarray, num_alike: int) -> pa.Table:
    """Finds the `num_alike` items that are most like each of some items, among those that somebody met.

    Args:
        owners: item indices, int. Shape (num_owners,).
        met: indices of the items that somebody met, int, in any order. Shape (num_met,).

    Returns:
        The columns of LIKES_DDL; equal likeness goes by index.
    """
    met = np.sort(met)
    likeness = _columns(source.scores(owners), met)
    best = np.argsort(-likeness, axis=1, kind="stable")[:, :num_alike]
    values = np.take_along_axis(likeness, best, axis=1)
    values[met[best] == owners[:, None]] = 0
    rows, places = np.nonzero(values > 0)
    return pa.table(
        {
            "item_index": pa.array(owners[rows], pa.int32()),
            "like_index": pa.array(met[best[rows, places]], pa.int32()),
            "likeness": pa.array(values[rows, places], pa.float32()),
        }
    )


def fans(interactions: DataFrame, likes: DataFrame, end: datetime, half_life_days: float) -> DataFrame:
    """Who met what is like a new item: item_index, user_index, parts; the like that says most, and is it bought."""
    age_days = (F.lit(int(end.timestamp())) - F.unix_seconds("last_time")) / SECONDS_PER_DAY
    fading = F.pow(F.lit(2.0), -age_days / half_life_days)
    parts = F.round(F.col("likeness") * fading * PARTS).cast("bigint")
    met = interactions.select(
        "user_index",
        F.col("item_index").alias("like_index"),
        "last_time",
        (F.col("num_purchases") > 0).alias("is_bought"),
    )
    best = F.max(F.struct("parts", -F.col("like_index"), "is_bought"))
    return (
        met.join(F.broadcast(likes), on="like_index")
        .withColumn("parts", parts)
        .groupBy("item_index", "user_index")
        .agg(F.sum("parts").alias("parts"), best.alias("best"))
        .select("item_index", "user_index", "parts", (-F.col("best")["col2"]).alias("like_index"), "best.is_bought")
    )


def _columns(scores: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns some columns of a source's answers; 0 for items that it does not know."""
    is_inside = columns < scores.shape[1]
    return np.where(is_inside, scores[:, np.where(is_inside, columns, 0)], 0)
