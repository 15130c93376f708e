"""Reasons in words, for a shopper, as Spark columns; see `expectations.reasons`."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from expectations.reasons import CITING_WORDS, MAX_TITLE_LENGTH, Reason, fixed_words

__all__ = ["Reason", "readable_title", "reason_text"]


def reason_text(code: Column, title: Column, demand_source: str) -> Column:
    """The words of a reason.

    Args:
        title: of the item, or the name of the country, that the reason cites; not looked at for codes that cite none.
        demand_source: the model that says what is popular; demand of all time is not popular "now".
    """
    text = F.lit(None).cast("string")
    for reason, words in fixed_words(demand_source).items():
        text = F.when(code == reason.value, F.lit(words)).otherwise(text)
    for reason, words in CITING_WORDS.items():
        text = F.when(code == reason.value, F.concat(F.lit(words), title)).otherwise(text)
    return text


def readable_title(title: Column, item_id: Column) -> Column:
    """A title on one line and not too long; the item's id where there is none."""
    line = F.trim(F.regexp_replace(title, r"[\s\p{Cntrl}]+", " "))
    cut = F.concat(F.rtrim(F.substring(line, 1, MAX_TITLE_LENGTH - 1)), F.lit("…"))
    return F.coalesce(F.when(F.length(line) > MAX_TITLE_LENGTH, cut).when(F.length(line) > 0, line), item_id)
