"""What the rules of lists ask of an item, in Python, for one row of `items` at a time."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from expectations.semantics.item_eligibility import BLANKS
from expectations.shop.list_rules import PATH_SEPARATOR, ListRules


def is_refused(item: Mapping[str, Any], rules: ListRules) -> bool:
    """Returns whether a rule of the shop file keeps an item out of all lists.

    Args:
        item: a row of `items` with item_id, category, brand and price; whether it is available is not asked.
    """
    path = PATH_SEPARATOR.join([*(item["category"] or ()), ""])
    lies_below = any(path.startswith(f"{named}{PATH_SEPARATOR}") for named in rules.exclude_categories)
    is_named = item["item_id"] in rules.exclude_items or item["brand"] in rules.exclude_brands
    return lies_below or is_named or not _bounds_hold(item["price"], rules)


def capped_category(category: Sequence[str] | None, rules: ListRules) -> str | None:
    """Returns what an item of that path counts for in `max_per_category`; None for nothing."""
    path = list(category or ())
    return PATH_SEPARATOR.join(path[: rules.category_level] if rules.category_level else path) if path else None


def item_group(item: Mapping[str, Any], rules: ListRules) -> str | None:
    """Returns what an item shares with its variants; None where it has none.

    Args:
        item: a row of `items` with item_group_id, title and brand.
    """
    if item["item_group_id"] is not None:
        return f"id {item['item_group_id']}"
    title = re.sub(BLANKS, " ", item["title"] or "").lower().strip(" ")
    return f"title {title} of {item['brand'] or ''}" if rules.group_equal_titles and title else None


def _bounds_hold(price: float | None, rules: ListRules) -> bool:
    if rules.min_price is None and rules.max_price is None:
        return True
    lowest, highest = rules.min_price or 0.0, math.inf if rules.max_price is None else rules.max_price
    return price is not None and lowest <= price <= highest
