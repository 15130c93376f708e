"""What `histories` know of what users did, one row an event: their latest events, and every purchase before them.

Rules and counts over purchases read histories in this way, so that views can push nothing out of them.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.tables import PURCHASE_INDEX


def known_events(histories: DataFrame) -> DataFrame:
    """Returns `user_index`, `item_index`, `event_type_index` and `event_time`, in seconds since 1970 UTC."""
    latest = F.arrays_zip("item_indices", "event_type_indices", "event_times")
    older_types = F.transform("older_purchase_indices", lambda _: F.lit(PURCHASE_INDEX))
    older = F.arrays_zip("older_purchase_indices", older_types, "older_purchase_times")
    entry = "struct<item_index:int,event_type_index:int,event_time:bigint>"
    entries = F.concat(older.cast(f"array<{entry}>"), latest.cast(f"array<{entry}>"))
    return histories.select("user_index", F.explode(entries).alias("entry")).select("user_index", "entry.*")
