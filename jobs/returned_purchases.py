"""Purchases that came back do not count: what a shop took back says nothing of a taste."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window


def without_returns(events: DataFrame) -> DataFrame:
    """Events without the rows that take something back, and without the purchases that they cancel.

    A user's purchases of an item count as long as more was kept than came back, over all days; then each counts.
    """
    is_purchase = F.col("event_type") == "purchase"
    of_pair = Window.partitionBy("user_id", "item_id").rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    # Rounded, so that 0.1 + 0.2 - 0.3 is nothing.
    units_kept = F.round(F.sum(F.when(is_purchase, F.col("quantity")).otherwise(0.0)).over(of_pair), 6)
    counts = ~is_purchase | ((F.col("quantity") > 0) & (F.col("_units_kept") > 0))
    return events.withColumn("_units_kept", units_kept).where(counts).drop("_units_kept")
