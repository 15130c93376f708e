"""What ranking models know of an item alone: how much it is wanted lately, how old it is, how dear for its kind."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

DEMAND_DAYS = (7, 30, 90)
_STEADY_DEMAND = 1 / 30
"""Added to both sides of the trend, an event a month: a single purchase of a rare item is no trend."""


def item_signals(
    items: DataFrame, vocabularies: DataFrame, events: DataFrame, target_events: Sequence[str], as_of: str
) -> DataFrame:
    """One row per item: item_index, demand over DEMAND_DAYS, demand_trend, item_age_days, price, price_to_category.

    Args:
        events: of the last DEMAND_DAYS[-1] days; earlier ones are not looked at.
    """
    indices = vocabularies.where(F.col("field") == "item_id").select(
        F.col("value").alias("item_id"), F.col("index").alias("item_index")
    )
    # A shop without categories has one category, the empty path.
    of_category = Window.partitionBy("category").rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    demands = [F.coalesce(f"demand_{days}", F.lit(0)).alias(f"demand_{days}") for days in DEMAND_DAYS]
    return (
        items.withColumn("category_price", F.median(F.when(F.col("price") > 0, F.col("price"))).over(of_category))
        .join(indices, on="item_id", how="inner")
        .join(demand_of_items(events, target_events, as_of), on="item_id", how="left")
        .select(
            "item_index",
            *demands,
            F.date_diff(F.lit(as_of).cast("date"), F.col("first_seen").cast("date")).alias("item_age_days"),
            "price",
            log_ratio(F.col("price"), F.col("category_price")).alias("price_to_category"),
        )
        .withColumn("demand_trend", demand_trend(F.col("demand_7"), F.col("demand_30")))
    )


def demand_of_items(events: DataFrame, target_events: Sequence[str], as_of: str) -> DataFrame:
    """How often each item was wanted: item_id and a count per DEMAND_DAYS, the day `as_of` included.

    What comes back later was wanted all the same; the line that takes it back is no wish.
    """
    days_ago = F.date_diff(F.lit(as_of).cast("date"), F.col("ds").cast("date"))
    is_wish = F.col("event_type").isin(list(target_events)) & (F.col("quantity") > 0)
    counts = (F.count(F.when(days_ago < days, True)).alias(f"demand_{days}") for days in DEMAND_DAYS)
    return events.where(is_wish).groupBy("item_id").agg(*counts)


def demand_trend(demand_7: Column, demand_30: Column) -> Column:
    """Log of the daily demand of a week over that of a month; 0 is steady, and without any demand."""
    return F.ln((demand_7 / 7 + _STEADY_DEMAND) / (demand_30 / 30 + _STEADY_DEMAND))


def log_ratio(price: Column, usual: Column) -> Column:
    """Log of a price over the usual one; null where either is unknown or free."""
    return F.when((price > 0) & (usual > 0), F.ln(price / usual))
