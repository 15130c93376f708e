"""Why an item is recommended: codes, and titles as a shopper reads them.

The words of reasons are in `expectations.shop.reason_texts`.

The night's tables and the session model say the same. Titles are data: they are cleaned and cut, never parsed.
"""

from __future__ import annotations

import re
from enum import StrEnum

MAX_TITLE_LENGTH = 80
POPULARITY_MODELS = ("recent_demand", "all_time_popularity")
"""Models that say what sells, in the order in which they are asked; both give demand as vectors one number long."""
CATALOGUE_ORDER = "catalogue_order"
"""The source of items in no order of demand, when neither model was fitted."""


class Reason(StrEnum):
    """Reason codes of the published tables."""

    BUY_AGAIN = "buy_again"
    BECAUSE_YOU_BOUGHT = "because_you_bought"
    BECAUSE_YOU_VIEWED = "because_you_viewed"
    LOOK_AGAIN = "look_again"
    POPULAR = "popular_now"
    PICKED_FOR_YOU = "picked_for_you"
    IN_OUR_RANGE = "in_our_range"
    BOUGHT_TOGETHER = "bought_together"
    ALIKE = "alike"
    POPULAR_IN_COUNTRY = "popular_in_country"
    POPULAR_WITH_PEERS = "popular_with_peers"
    NEW_IN_CATEGORY = "new_in_category"


def readable(title: str | None, item_id: str) -> str:
    """A title on one line and not too long; the item's id where there is none.

    `jobs.lists.reason_text` does so in Spark.
    """
    line = re.sub(r"[\s\x00-\x1f\x7f]+", " ", title or "", flags=re.ASCII).strip(" ")
    if len(line) > MAX_TITLE_LENGTH:
        return line[: MAX_TITLE_LENGTH - 1].rstrip(" ") + "…"
    return line or item_id
