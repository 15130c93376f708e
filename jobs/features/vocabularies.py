"""Builds `vocabularies`: which integer stands for which value, as of a day.

An anchor day is fitted afresh: from its catalogue and users come the frequent brands, categories, countries and so on,
from its tokenizer the pieces of texts; rare values share the unknown index. Every other day takes the vocabularies of
its anchor and appends what updates brought since. Users and items are numbered in the order of the first day that named
them, so that their indices never change, not even from one anchor to the next. Safe to re-run: the partition is
replaced, or left alone when nothing changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version, fingerprint_of
from expectations.shop.shop import Shop
from expectations.tables import FIRST_VALUE_INDEX, ITEM_UPDATES, ITEMS, USER_UPDATES, USERS, VOCABULARIES
from jobs.features.subwords import pieces
from jobs.features.tokenizers import tokenizer_model
from jobs.features.vocabulary_values import (
    BOUNDED_FIELDS,
    ID_FIELDS,
    fixed_values,
    frequent_values,
    ids,
    snapshot_values,
    updated_values,
)
from jobs.storage.log_as_of import LogAsOf, base_day, build_from_log, read_base
from jobs.storage.partitions import read_partition

_ENTRY = ("field", "value", "index")


def build_vocabularies(spark: SparkSession, log: LogAsOf, shop: Shop) -> Version:
    """Builds the partition of `log.until`; needs `items` and `users` of that day, and an anchor's tokenizer.

    Noted with the version: the anchor that it grew from.
    """
    build = _fitted if log.until == log.anchor else _continued
    return build_from_log(
        log,
        shop,
        VOCABULARIES,
        code_version(__name__),
        lambda: with_hash(build(spark, log, shop)),
        anchor=log.anchor,
    )


def _fitted(spark: SparkSession, log: LogAsOf, shop: Shop) -> DataFrame:
    """Fits the vocabularies of an anchor."""
    lake, day = log.lake, log.until
    items, users = (read_partition(spark, lake, table, day) for table in (ITEMS, USERS))
    # Ids keep their numbers, so those of the week before need not be put in order again.
    before = read_base(spark, log.lake, VOCABULARIES, base_day(log, shop, VOCABULARIES, code_version(__name__)))
    return fitted_vocabularies(items, users, pieces(tokenizer_model(lake, day)), shop, before)


def _continued(spark: SparkSession, log: LogAsOf, shop: Shop) -> DataFrame:
    """Continues the vocabularies of an anchor on a later day."""
    lake, anchor = log.lake, log.anchor
    items, users = (read_partition(spark, lake, table, log.until) for table in (ITEMS, USERS))
    new_items = items.where(F.col("first_seen") > anchor)
    found = updated_values(
        log.read(spark, ITEM_UPDATES, after=anchor), log.read(spark, USER_UPDATES, after=anchor), new_items
    )
    # What the anchor knew and found too rare stays so until the next one.
    known = snapshot_values(*(read_partition(spark, lake, table, anchor) for table in (ITEMS, USERS)))
    found = found.join(known, on=["field", "value"], how="left_anti")
    new_ids = ids(new_items, users.where(F.col("first_seen") > anchor))
    before = read_partition(spark, lake, VOCABULARIES, anchor)
    return appended(before.select(*_ENTRY), new_ids.unionByName(found), shop.max_values)


def fitted_vocabularies(
    items: DataFrame, users: DataFrame, token_pieces: Sequence[str], shop: Shop, before: DataFrame
) -> DataFrame:
    """Returns `field`, `value`, `index` of all fields, from the catalogue and the users of a day.

    Args:
        before: vocabularies of an earlier day, of which only the ids are looked at; may be empty.
    """
    known_ids = before.where(F.col("field").isin(*ID_FIELDS)).select(*_ENTRY)
    values = frequent_values(items, users, shop.max_values, shop.min_value_count)
    values = values.unionByName(fixed_values(items, token_pieces)).unionByName(ids(items, users))
    return appended(known_ids, values, shop.max_values)


def appended(known: DataFrame, values: DataFrame, max_values: int) -> DataFrame:
    """`known` entries, and after them the `values` that they lack, numbered within each field by day and value."""
    new = values.join(known, on=["field", "value"], how="left_anti")
    last = F.broadcast(known.groupBy("field").agg(F.max("index").alias("last")))
    place = F.row_number().over(Window.partitionBy("field").orderBy("day", "value"))
    index = F.coalesce("last", F.lit(FIRST_VALUE_INDEX - 1)) + place
    is_bounded = F.col("field").isin(*BOUNDED_FIELDS)
    numbered = (
        new.join(last, on="field", how="left")
        .withColumn("index", index)
        .where(~is_bounded | (F.col("index") < FIRST_VALUE_INDEX + max_values))
    )
    return known.unionByName(numbered.select(*_ENTRY))


def with_hash(vocabularies: DataFrame) -> DataFrame:
    """Adds one hash over all rows, whatever order they lie in."""
    vocabularies = vocabularies.persist()
    row_hash = F.xxhash64("field", "value", "index")
    sums = vocabularies.agg(F.count(F.lit(1)), F.bit_xor(row_hash), F.sum(row_hash.cast("decimal(38,0)"))).collect()[0]
    return vocabularies.withColumn("vocabulary_hash", F.lit(fingerprint_of([str(part) for part in sums])))
