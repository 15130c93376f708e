"""What customers did with two items: the same for who writes "bought with" and for who checks it."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def with_acts(pairs: DataFrame, interactions: DataFrame, first: str, second: str) -> DataFrame:
    """Returns the pairs with what at least one customer did with both of their items.

    Args:
        pairs: different rows, with the item indices `first` and `second`, int; null where nothing is to be known.
        interactions: rows of the table INTERACTIONS: what came back whole is not among them.

    Returns:
        `is_bought_together`: a customer bought both. `is_met_together`: a customer had to do with both, such as by
        looking at them. False where an index is null.
    """
    met = interactions.select("user_index", "item_index", (F.col("num_purchases") > 0).alias("is_bought"))
    of_first = met.select("user_index", F.col("item_index").alias(first), F.col("is_bought").alias("is_first_bought"))
    of_second = met.select(
        "user_index", F.col("item_index").alias(second), F.col("is_bought").alias("is_second_bought")
    )
    both = pairs.join(of_first, on=first, how="left").join(of_second, on=["user_index", second], how="left")
    return both.groupBy(*pairs.columns).agg(
        F.coalesce(F.bool_or(F.col("is_first_bought") & F.col("is_second_bought")), F.lit(False)).alias(
            "is_bought_together"
        ),
        F.coalesce(F.bool_or(F.col("is_second_bought").isNotNull()), F.lit(False)).alias("is_met_together"),
    )
