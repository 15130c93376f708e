"""When may an item come back to somebody who bought it? What a shop's `repeats` and `max_repeat_share` mean.

An item comes back after its usual gap: the mean number of days from one day with a purchase to the same user's next
one, averaged with `num_prior_gaps` of the shop's. `in_spark` asks so for all pairs of a night, `in_numpy` for one user
at a time; a test holds the two together. They are two files, because the images that train and serve models have no
PySpark.
"""

from __future__ import annotations

from expectations.shop.shop import Shop


def max_repeats(shop: Shop) -> int:
    """Returns how many items of a list the user may have bought before, of those that may come back at all."""
    return int(shop.max_repeat_share * shop.top_k + 1e-9)


def excludes_bought_fallback(shop: Shop) -> bool:
    """Returns whether what fills a list must be new to the user: repeats are bounded."""
    return shop.repeats != "allowed" or max_repeats(shop) < shop.top_k
