"""The values that features are made of, spelt the same where vocabularies are counted and where they are looked up."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

AGE_BUCKETS = ("<18", "18-24", "25-34", "35-44", "45-54", "55-64", "65+")
_BUCKET_STARTS = (18, 25, 35, 45, 55, 65)
"""The first age of each bucket but the lowest, in the order of AGE_BUCKETS."""


def age_bucket(age: Column) -> Column:
    """Returns one of AGE_BUCKETS; null without an age."""
    bucket = F.when(age >= _BUCKET_STARTS[-1], F.lit(AGE_BUCKETS[-1]))
    for start, name in reversed(tuple(zip((0, *_BUCKET_STARTS[:-1]), AGE_BUCKETS[:-1], strict=True))):
        bucket = bucket.when(age >= start, F.lit(name))
    return bucket


def category_levels(category: Column) -> Column:
    """Every level of a path as the path down to it: `[A, B]` gives `[A, A > B]`. Two `Accessories` stay apart."""
    return F.transform(
        category,
        lambda _, place: F.array_join(F.slice(category, F.lit(1), place + 1), " > "),
    )
