"""`new_user_recommendations`: K items for people without a history, by their segments.

How a segment is counted is in `jobs.tables.segment_popularity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from expectations.runtime.days import SECONDS_PER_DAY, end_of
from expectations.runtime.lake import Version
from expectations.semantics.known_events import known_events
from expectations.semantics.titles import readable_title_in_spark
from expectations.shop.reasons import POPULARITY_MODELS
from expectations.shop.shop import Shop
from expectations.shop.table_settings import NewUsers
from expectations.tables import HISTORIES, ITEMS, USER_FEATURES, USERS, VOCABULARIES
from jobs.lists.catalogue import catalogue_rows
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.reason_text import reason_text
from jobs.tables.segment_popularity import (
    ATTRIBUTES,
    PARTS_OF_WISH,
    Variants,
    demand_by_segment,
    shrunk_rates,
)

SOURCE = "segment_demand"
RATE_DECIMALS = 9
"""A rate is a share of all that is wanted: of a large catalogue, small numbers."""


def new_user_inputs(features: FeatureTables) -> list[Version]:
    """Returns every version that `new_user_recommendations` reads."""
    return [features.version(table) for table in (VOCABULARIES, ITEMS, USERS, USER_FEATURES, HISTORIES)]


def new_user_recommendations(spark: SparkSession, features: FeatureTables, shop: Shop) -> DataFrame:
    """Returns the rows of `new_user_recommendations`, without what every published row has besides."""
    vocabularies, histories, users, user_features = (
        features.read(spark, table) for table in (VOCABULARIES, HISTORIES, USERS, USER_FEATURES)
    )
    items = catalogue_rows(spark, features, shop.rules)
    available = F.broadcast(items.where(F.col("refused_by").isNull()).select("item_index"))
    wishes = recent_wishes(
        histories,
        days_first_seen(users, vocabularies),
        vocabularies,
        end_of(features.ds, shop.drops.day_timezone),
        shop.target_events,
        shop.new_users,
    )
    wishes = wishes.join(available, on="item_index", how="left_semi")
    people = known_people(user_features, vocabularies)
    demand = demand_by_segment(wishes, people, shop.new_users.min_people)
    best_first = Window.partitionBy("segment").orderBy(F.desc("rate"), "item_index")
    country = readable_title_in_spark(F.col("country_name"), F.lit(""))
    return (
        shrunk_rates(demand, available, shop.top_k, shop.new_users.prior_demand, _variants(items, shop))
        .join(F.broadcast(items.select("item_index", "item_id")), on="item_index")
        .select(
            "segment",
            F.row_number().over(best_first).alias("rank"),
            "item_id",
            F.round("rate", RATE_DECIMALS).alias("score"),
            F.lit(SOURCE).alias("source"),
            "reason_code",
            reason_text(F.col("reason_code"), country, POPULARITY_MODELS[0], shop.texts).alias("reason"),
        )
    )


def _variants(items: DataFrame, shop: Shop) -> Variants | None:
    """Returns the items that have variants; None where there are none, or as many may stand in a list as like."""
    groups = items.where(F.col("refused_by").isNull() & F.col("item_group").isNotNull())
    groups = groups.select("item_index", "item_group")
    return Variants(groups, shop.rules.max_per_group) if shop.rules.max_per_group and not groups.isEmpty() else None


def recent_wishes(
    histories: DataFrame,
    first_days: DataFrame,
    vocabularies: DataFrame,
    end: datetime,
    target_events: Sequence[str],
    settings: NewUsers,
) -> DataFrame:
    """Pairs that met by a target event in the last `window_days`: user_index, item_index, parts of a faded wish.

    Each pair counts once, by its largest wish.

    Args:
        first_days: user_index, first_seen.
        end: of the day as of which the histories are.
    """
    targets = vocabularies.where((F.col("field") == "event_type") & F.col("value").isin(list(target_events)))
    age_days = (F.lit(int(end.timestamp())) - F.col("event_time")) / SECONDS_PER_DAY
    days_known = F.date_diff(F.timestamp_seconds("event_time").cast("date"), F.col("first_seen").cast("date"))
    weight = F.when(days_known < settings.first_days, F.lit(1.0)).otherwise(F.lit(settings.later_weight))
    faded = F.pow(F.lit(2.0), -age_days / settings.half_life_days) * weight * PARTS_OF_WISH
    return (
        known_events(histories)
        .where(age_days <= settings.window_days)
        .join(F.broadcast(targets.select(F.col("index").alias("event_type_index"))), on="event_type_index")
        .join(first_days, on="user_index", how="inner")
        .groupBy("user_index", "item_index")
        .agg(F.max(F.round(faded).cast("bigint")).alias("parts"))
    )


def days_first_seen(users: DataFrame, vocabularies: DataFrame) -> DataFrame:
    """user_index, first_seen."""
    indices = vocabularies.where(F.col("field") == "user_id").select(
        F.col("value").alias("user_id"), F.col("index").alias("user_index")
    )
    return users.join(indices, on="user_id").select("user_index", "first_seen")


def known_people(user_features: DataFrame, vocabularies: DataFrame) -> DataFrame:
    """user_index and ATTRIBUTES; null where the shop does not know, or where a value is too rare for an index."""
    people = user_features
    for name in ATTRIBUTES:
        values = vocabularies.where(F.col("field") == name).select(
            F.col("index").alias(f"{name}_index"), F.col("value").alias(name)
        )
        people = people.join(F.broadcast(values), on=f"{name}_index", how="left")
    return people.select("user_index", *ATTRIBUTES)
