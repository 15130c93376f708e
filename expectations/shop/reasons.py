"""Why an item is recommended: codes.

The words of reasons are in `expectations.shop.reason_texts`.

`expectations.semantics.reasons` says which of them a row gives.
"""

from __future__ import annotations

from enum import StrEnum

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
    VIEWED_TOGETHER = "viewed_together"
    ALIKE = "alike"
    POPULAR_IN_COUNTRY = "popular_in_country"
    POPULAR_WITH_PEERS = "popular_with_peers"
    NEW_IN_CATEGORY = "new_in_category"
