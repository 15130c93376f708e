"""The items that lists may show, and what the rules of lists look at, as arrays by item_index."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from expectations.semantics.list_caps import Cap
from expectations.shop.list_rules import ListRules
from expectations.tables import USER_RECOMMENDATIONS, NightError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EligibleItems:
    """Arrays by item_index, but for `indices`.

    Attributes:
        indices: of the items that lists may show, ascending.
        category, brand, item_group: a number for each; 0 where an item has none.
    """

    indices: np.ndarray
    category: np.ndarray
    brand: np.ndarray
    item_group: np.ndarray
    is_new: np.ndarray
    boost: np.ndarray

    def caps(self, rules: ListRules) -> tuple[Cap, ...]:
        """Returns the caps that are set, and of which the shop has anything."""
        caps = (
            Cap(rules.max_per_category, self.category),
            Cap(rules.max_per_brand, self.brand),
            Cap(rules.max_per_group, self.item_group),
        )
        return tuple(cap for cap in caps if cap.most and cap.group.any())


def eligible_items(items: DataFrame, ds: str, top_k: int) -> EligibleItems:
    """Returns the items that lists may show, from the rows of `jobs.lists.catalogue`.

    Raises:
        NightError: the rules leave fewer than `top_k` items.
    """
    rows = items.select("item_index", "refused_by", "category", "brand", "item_group", "is_new", "boost").toArrow()
    rows = rows.sort_by("item_index")
    allowed = rows.filter(pc.is_null(rows["refused_by"]))
    _require_k_items(ds, top_k, rows["refused_by"], allowed.num_rows)
    index = rows["item_index"].to_numpy()
    num_items = int(index.max(initial=0)) + 1

    def by_index(values: np.ndarray, default: float) -> np.ndarray:
        placed = np.full(num_items, default, values.dtype)
        placed[index] = values
        return placed

    return EligibleItems(
        indices=allowed["item_index"].to_numpy(),
        category=by_index(numbers_of(rows["category"]), 0),
        brand=by_index(numbers_of(rows["brand"]), 0),
        item_group=by_index(numbers_of(rows["item_group"]), 0),
        is_new=by_index(rows["is_new"].to_numpy(), False),
        boost=by_index(rows["boost"].to_numpy(), 1.0),
    )


def _require_k_items(ds: str, top_k: int, refused_by: pa.ChunkedArray, num_allowed: int) -> None:
    if num_allowed >= top_k:
        return
    counts = {pair["values"]: pair["counts"] for pair in pc.value_counts(refused_by).to_pylist() if pair["values"]}
    num_available = len(refused_by) - counts.pop("availability", 0)
    by_rule = ", ".join(f"{name} takes out {count}" for name, count in sorted(counts.items()))
    left = f", of which the shop's rules leave {num_allowed}: {by_rule}" if counts else ""
    remedy = "loosen these rules" if counts else "look at the day's items"
    raise NightError(
        f"{USER_RECOMMENDATIONS.name} ds={ds}: every user gets {top_k} items, and the shop has "
        f"{num_available} available{left}. Set `top_k` in the shop file to what is left at most, or {remedy}."
    )


def numbers_of(names: pa.ChunkedArray) -> np.ndarray:
    """Returns a number from 1 for each name, 0 for none."""
    numbers = pc.fill_null(names.combine_chunks().dictionary_encode().indices, -1)
    counted: np.ndarray = numbers.to_numpy() + 1
    return counted
