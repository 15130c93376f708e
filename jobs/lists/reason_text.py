"""Reasons in words, for a shopper, as Spark columns; see `expectations.shop.reasons`."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from expectations.shop.reason_texts import worded
from expectations.shop.reasons import Reason


def reason_text(code: Column, title: Column, demand_source: str, texts: Mapping[str, str]) -> Column:
    """Returns the words of a reason.

    Args:
        title: of the item, or the name of the country or category, that the reason cites; not looked at for codes that
            cite none.
        demand_source: the model that says what is popular.
        texts: the shop's.
    """
    text = F.lit(None).cast("string")
    for reason in Reason:
        before, after = worded(texts, reason, demand_source)
        words = F.lit(before) if after is None else F.concat(F.lit(before), title, F.lit(after))
        text = F.when(code == reason.value, words).otherwise(text)
    return text
