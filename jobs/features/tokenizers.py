"""Builds `tokenizers`: the subword pieces that titles and descriptions are cut into, learnt from a day's catalogue.

Reads `items` of the day. Other programs ask for the tokenizer of the anchor day, so that a piece keeps its index until
the next one. Safe to re-run: the same catalogue gives the same bytes, and the partition is replaced, or left alone when
nothing changed.
"""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Lake, Version
from expectations.tables import ITEMS, TOKENIZERS
from jobs.features.plain_text import MAX_RAW_CHARACTERS, plain_text
from jobs.features.subwords import trained_model
from jobs.storage.partitions import build_partition, read_partition

MAX_ITEMS = 50_000
"""About how many items the pieces are learnt from, so that training fits into one task however large the catalogue."""
MAX_CHARACTERS = {"title": 200, "description": 300}
_SHARES = 1_000_000
"""Hashes are cut into so many classes: how finely the share of sampled items is told."""


def build_tokenizers(spark: SparkSession, lake: Lake, as_of: str) -> Version:
    """Builds the partition `as_of`."""
    items = lake.require(ITEMS, as_of)
    return build_partition(
        lake,
        TOKENIZERS,
        as_of,
        [items],
        [],
        lambda: tokenizers_from(read_partition(spark, lake, ITEMS, as_of), items.rows),
        code=code_version(__name__),
    )


def tokenizer_model(lake: Lake, as_of: str) -> bytes:
    """Returns the model of `as_of`.

    Raises:
        TableContractError: no tokenizer was learnt from that day.
    """
    model: bytes = lake.read(TOKENIZERS, as_of)["model"][0].as_py()
    return model


def tokenizers_from(items: DataFrame, num_items: int) -> DataFrame:
    """Returns one row with a model, also when no item has a text.

    Args:
        num_items: in `items`; decides which share of them is looked at.
    """
    # By a hash of the id, so that an item is in or out whatever the order of the rows.
    is_sampled = F.pmod(F.xxhash64("item_id"), F.lit(_SHARES)) < _SHARES * MAX_ITEMS // max(1, num_items)
    texts = [_plain(name) for name in MAX_CHARACTERS]
    sample = items.where(is_sampled).select(F.struct("item_id", *texts).alias("item"))
    # An aggregate of everything is one row, of nothing as well.
    whole = sample.agg(F.array_sort(F.collect_list("item")).alias("items"))
    train = F.arrow_udf(_trained, "binary")  # type: ignore[call-overload]  # stubs want what the code warns about
    return whole.select(train("items").alias("model"))


def _plain(name: str) -> Column:
    limit = MAX_CHARACTERS[name]

    def cut(raw: pa.Array) -> pa.Array:
        return pa.array([plain_text(text, limit) for text in raw.to_pylist()], pa.string())

    plain = F.arrow_udf(cut, "string")  # type: ignore[call-overload]  # stubs want what the code warns about
    return plain(F.substring(name, 1, MAX_RAW_CHARACTERS)).alias(name)


def _trained(samples: pa.Array) -> pa.Array:
    texts = ([item[name] for item in sample.as_py() for name in MAX_CHARACTERS] for sample in samples)
    return pa.array([trained_model(of_sample) for of_sample in texts], pa.binary())
