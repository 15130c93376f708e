"""How long somebody paused before an event, in buckets that double: 1 for less than a minute, then one more each time.

With m whole minutes it is floor(log2(m + 1)) + 1: the number of binary digits of m + 1, which is exact. The job writes
them into `histories`, the session model reads a session by them, and a test holds the two together. PySpark is imported
inside its function: the images that train and serve models have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column


def gap_bucket(seconds: int) -> int:
    """Returns the bucket of a pause of so many whole seconds."""
    return (seconds // 60 + 1).bit_length()


def gap_bucket_in_spark(seconds: Column) -> Column:
    """Returns the bucket of a pause, as an int column.

    Args:
        seconds: a column of whole seconds.
    """
    from pyspark.sql import functions as F

    return F.length(F.bin(F.floor(seconds / 60) + 1))
