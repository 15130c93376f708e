"""A shop of any size, made by Spark: so many events and days, a hundred thousand items, users who differ in zeal.

Every value is a hash of the event's number, so that the same size gives the same rows on any cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

LAST_DS = "2024-10-23"
"""A Wednesday: the day before it has the same anchor."""
NUM_ITEMS = 100_000
EVENTS_PER_USER = 50
_CHANGES_A_DAY = 200


@dataclass(frozen=True)
class GeneratedShop:
    """What the drops hold.

    Attributes:
        num_events: over all days together.
        num_days: of which LAST_DS is the last.
        stay_days: how long a user stays before another takes their place; 0: everybody is there all the time.
        retention_days: see `expectations.shop.shop.Shop`.
    """

    num_events: int
    num_days: int = 301
    stay_days: int = 0
    retention_days: int = 0

    @property
    def days(self) -> list[str]:
        """All days of the shop, in order."""
        last = date.fromisoformat(LAST_DS)
        return [(last - timedelta(days=back)).isoformat() for back in range(self.num_days - 1, -1, -1)]

    @property
    def num_users(self) -> int:
        """How many there are at a time."""
        share = min(1.0, self.stay_days / self.num_days) if self.stay_days else 1.0
        return max(1, round(self.num_events * share / EVENTS_PER_USER))


_SHOP = """\
name = "generated"
top_k = 10
horizon_days = 30
items_file = "changes"
active_days = {retention_days}
retention_days = {retention_days}
min_value_count = 2

[drops]
settle_seconds = 0
min_rows_share = 0

[events]
path = "{root}/raw/{ds}/events.parquet"
format = "parquet"
[events.columns]
event_time = "time"
user_id = "user"
item_id = "item"
event_type = "type"
quantity = "units"
price = "price"
session_id = "session"

[items]
path = "{root}/raw/{ds}/items.parquet"
format = "parquet"
separator = ">"
[items.columns]
item_id = "item"
title = "title"
category = "category"
brand = "brand"
price = "price"
"""


def write_shop(spark: SparkSession, root: Path, generated: GeneratedShop) -> Path:
    """Writes the raw drops under `root`. Returns the shop file."""
    _write_events(spark, root, generated)
    _write_items(root, generated.days)
    shop = root / "generated.toml"
    shop.write_text(_SHOP.replace("{retention_days}", str(generated.retention_days)), encoding="utf-8")
    return shop


def _write_events(spark: SparkSession, root: Path, generated: GeneratedShop) -> None:
    days = generated.days
    # Squares and cubes of even chances: some users and items are much busier than others.
    place, item = F.floor(generated.num_users * _chance(1) ** 2), F.floor(NUM_ITEMS * _chance(2) ** 3)
    day, second = F.floor(len(days) * _chance(3)), F.floor(86_400 * _chance(4))
    kind = _chance(5)
    event_type = (
        F.when(kind < 0.6, "view").when(kind < 0.8, "click").when(kind < 0.9, "cart").otherwise(F.lit("purchase"))
    )
    events = (
        spark.range(generated.num_events)
        .select("id", place.alias("p"), item.alias("i"), day.alias("d"), second.alias("s"), event_type.alias("type"))
        .withColumn("u", _user_at(F.col("p"), F.col("d"), generated))
        .select(
            F.date_add(F.lit(days[0]).cast("date"), F.col("d").cast("int")).cast("string").alias("ds"),
            F.timestamp_seconds(
                F.unix_timestamp(F.lit(days[0]), "yyyy-MM-dd") + F.col("d") * 86_400 + F.col("s")
            ).alias("time"),
            F.concat(F.lit("user-"), "u").alias("user"),
            F.concat(F.lit("item-"), "i").alias("item"),
            "type",
            # One purchase in fifty takes one back.
            F.when((F.col("type") == "purchase") & (_chance(6) < 0.02), -1.0).otherwise(1.0).alias("units"),
            F.round(1 + F.pmod(F.xxhash64("i"), F.lit(10_000)) / 100, 2).alias("price"),
            F.concat_ws("-", "u", "d", F.floor(F.col("s") / 7200)).alias("session"),
        )
    )
    written = root / "written"
    events.repartition(len(days), "ds").write.partitionBy("ds").parquet(str(written))
    for ds in days:
        (root / "raw" / ds).mkdir(parents=True, exist_ok=True)
        for part in sorted((written / f"ds={ds}").glob("part-*.parquet")):
            part.rename(root / "raw" / ds / "events.parquet")


def _user_at(place: Column, day: Column, generated: GeneratedShop) -> Column:
    """Who stands at a place on a day: the users of all places leave on different days."""
    if not generated.stay_days:
        return place
    turn = F.floor((day + F.pmod(F.xxhash64(place), F.lit(generated.stay_days))) / generated.stay_days)
    return turn * generated.num_users + place


def _chance(stream: int) -> Column:
    """From 0 up to 1, by the number of the event; another stream, another chance."""
    return F.pmod(F.xxhash64("id", F.lit(stream)), F.lit(2**31)) / 2**31


def _write_items(root: Path, days: list[str]) -> None:
    """The whole catalogue on the first day; then a few changes a day."""
    rng = np.random.default_rng(1)
    for place, ds in enumerate(days):
        items = np.arange(NUM_ITEMS) if place == 0 else rng.choice(NUM_ITEMS, _CHANGES_A_DAY, replace=False)
        table = {
            "item": [f"item-{item}" for item in items],
            "title": [f"Lamp {item} in colour {item % 31} and size {item % 17}" for item in items],
            "category": [f"Floor {item % 7}>Room {item % 83}>Shelf {item % 1009}" for item in items],
            "brand": [f"Brand {item % 4001}" for item in items],
            "price": np.round(1 + rng.random(len(items)) * 100, 2),
        }
        pq.write_table(pa.table(table), root / "raw" / ds / "items.parquet")
