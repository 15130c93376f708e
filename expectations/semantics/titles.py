"""A title as a shopper reads it, on one line and not too long. Titles are data: they are cleaned and cut, not parsed.

The night's tables ask in Spark, the session model in Python, and a test holds the two together. PySpark is imported
inside its function: the images that train and serve models have none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

MAX_TITLE_LENGTH = 80
"""Characters; a longer title is cut, since reasons cite titles within a sentence."""


def readable_title(title: str | None, item_id: str) -> str:
    """Returns a title on one line and not too long; the item's id where there is none."""
    line = re.sub(r"[\s\x00-\x1f\x7f]+", " ", title or "", flags=re.ASCII).strip(" ")
    if len(line) > MAX_TITLE_LENGTH:
        return line[: MAX_TITLE_LENGTH - 1].rstrip(" ") + "…"
    return line or item_id


def readable_title_in_spark(title: Column, item_id: Column) -> Column:
    """Returns the same as a column."""
    from pyspark.sql import functions as F

    line = F.trim(F.regexp_replace(title, r"[\s\p{Cntrl}]+", " "))
    cut = F.concat(F.rtrim(F.substring(line, 1, MAX_TITLE_LENGTH - 1)), F.lit("…"))
    return F.coalesce(F.when(F.length(line) > MAX_TITLE_LENGTH, cut).when(F.length(line) > 0, line), item_id)
