"""The two costly tables of preprocessing with Polars, on one node: what a user would otherwise pick.

    python -m tests.benchmarks.performance.polars_features EVENTS_GLOB VOCABULARIES OUT_FOLDER MAX_HISTORY

Reads the same Parquet files as Spark does, and writes the same rows of `interactions` and `histories` as Parquet.
"""

from __future__ import annotations

import sys

import polars as pl

EVENT_TYPES = ("view", "click", "cart", "purchase")
WEIGHTS = (1, 2, 3, 5)
_FIRST_INDEX = 2


def main() -> None:
    """Builds both tables."""
    events_glob, vocabularies, out, max_history = sys.argv[1:5]
    events = indexed_events(
        pl.scan_parquet(events_glob, hive_partitioning=False), pl.scan_parquet(vocabularies)
    ).collect()
    pairs = pair_totals(events)
    interactions(pairs).write_parquet(f"{out}/interactions.parquet")
    histories(events, pairs, int(max_history)).write_parquet(f"{out}/histories.parquet")


def indexed_events(events: pl.LazyFrame, vocabularies: pl.LazyFrame) -> pl.LazyFrame:
    """What of an event the tables need, with the vocabulary's indices."""
    indices = {
        field: vocabularies.filter(pl.col("field") == field).select(
            pl.col("value").alias(field), pl.col("index").alias(f"{field.removesuffix('_id')}_index")
        )
        for field in ("user_id", "item_id")
    }
    return (
        events.select("user_id", "item_id", "event_type", "quantity", "event_time")
        .join(indices["user_id"], on="user_id")
        .join(indices["item_id"], on="item_id")
        .drop("user_id", "item_id")
        .with_columns(
            pl.col("event_type").replace_strict(
                EVENT_TYPES, range(_FIRST_INDEX, _FIRST_INDEX + 4), return_dtype=pl.Int32
            )
        )
    )


def pair_totals(events: pl.DataFrame) -> pl.DataFrame:
    """Counts, units kept and times of every pair."""
    is_purchase = pl.col("event_type") == _FIRST_INDEX + 3
    is_taken_back = is_purchase & (pl.col("quantity") <= 0)
    time = pl.col("event_time")
    return events.group_by("user_index", "item_index").agg(
        *(
            ((pl.col("event_type") == _FIRST_INDEX + n) & ~is_taken_back).sum().alias(f"num_{name}s")
            for n, name in enumerate(EVENT_TYPES)
        ),
        pl.col("quantity").filter(is_purchase).sum().round(6).alias("units_kept"),
        time.filter(~is_purchase).min().alias("first_other"),
        time.filter(~is_purchase).max().alias("last_other"),
        time.filter(is_purchase & ~is_taken_back).min().alias("first_purchase"),
        time.filter(is_purchase & ~is_taken_back).max().alias("last_purchase"),
    )


def interactions(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs with an event that counts."""
    is_kept = pl.col("is_kept")
    counted = pairs.with_columns(
        ((pl.col("units_kept") > 0) | (pl.col("num_purchases") == 0)).alias("is_kept"),
    ).with_columns(pl.when(is_kept).then("num_purchases").otherwise(0).alias("num_purchases"))
    counts = [pl.col(f"num_{name}s") for name in EVENT_TYPES]
    return (
        counted.with_columns(
            pl.sum_horizontal(counts).alias("num_events"),
            pl.sum_horizontal(*(count * weight for count, weight in zip(counts, WEIGHTS, strict=True))).alias("weight"),
            pl.min_horizontal("first_other", pl.when(is_kept).then("first_purchase")).alias("first_time"),
            pl.max_horizontal("last_other", pl.when(is_kept).then("last_purchase")).alias("last_time"),
        )
        .filter(pl.col("num_events") > 0)
        .select("user_index", "item_index", "weight", "num_events", "num_purchases", "first_time", "last_time")
        .sort("user_index", "item_index")
    )


def histories(events: pl.DataFrame, pairs: pl.DataFrame, max_history: int) -> pl.DataFrame:
    """Each user's latest events, in order of time."""
    is_purchase = pl.col("event_type") == _FIRST_INDEX + 3
    returned = pairs.filter((pl.col("num_purchases") > 0) & (pl.col("units_kept") <= 0)).select(
        "user_index", "item_index", pl.lit(True).alias("is_returned")
    )
    seconds = pl.col("event_time").dt.epoch("s")
    return (
        events.filter(~is_purchase | (pl.col("quantity") > 0))
        .with_columns(seconds.alias("seconds"))
        .sort("user_index", "seconds", "item_index", "event_type")
        .group_by("user_index", maintain_order=True)
        .tail(max_history)
        .join(returned, on=["user_index", "item_index"], how="left", maintain_order="left")
        .filter(~(is_purchase & pl.col("is_returned").fill_null(False)))
        .with_columns(((pl.col("seconds") - pl.col("seconds").shift(1).over("user_index")) // 60).alias("minutes"))
        .group_by("user_index", maintain_order=True)
        .agg(
            pl.col("item_index").alias("item_indices"),
            pl.col("event_type").alias("event_type_indices"),
            ((pl.col("minutes") + 1).log(2).floor().cast(pl.Int32) + 1).fill_null(0).alias("gap_buckets"),
            pl.col("seconds").alias("event_times"),
            pl.col("event_time").dt.weekday().alias("weekdays"),
        )
    )


if __name__ == "__main__":
    main()
