"""How a finished table stands beside the one published before it, and how its scores lie: asked of some of its owners.

An owner is whom or what a list is about: a user, or an item. Sums over all rows would need a join of two whole tables;
the lists of ten thousand owners, evenly picked, say the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.lake import Lake, Version, parquet_dataset
from expectations.runtime.published_tables import dataset_of, manifest_rows, published_table
from expectations.tables import Table

MAX_OWNERS = 10_000
"""Owners whose lists are compared, evenly over the alphabet: bounds what the driver reads."""
QUANTILES = {"lowest": 0.0, "p05": 0.05, "median": 0.5, "p95": 0.95, "highest": 1.0}


@dataclass(frozen=True)
class ListDrift:
    """How far the lists of a night differ from those that were published before.

    Attributes:
        compared_with: the latest earlier day whose partition is published; None: there is none.
        overlap: mean share of a list that stood in the owner's list of that day; None: no owner had one.
        scores: name of QUANTILES -> that quantile of the scores.
    """

    compared_with: str | None
    overlap: float | None
    scores: dict[str, float]


def list_drift(lake: Lake, ds: str, table: Table, version: Version, owners: Sequence[str]) -> ListDrift:
    """Looks at the lists of at most MAX_OWNERS.

    Args:
        version: the finished partition `ds`.
        owners: all that have a list, in any order.
    """
    owner, item = table.key[1], table.listed
    asked = pa.array(picked(owners), pa.string())
    now = parquet_dataset(version.path).to_table([owner, item, "score"], filter=pc.field(owner).isin(asked))
    quantiles = np.quantile(now["score"].to_numpy(), list(QUANTILES.values())) if now.num_rows else []
    scores = {name: round(float(value), 6) for name, value in zip(QUANTILES, quantiles, strict=False)}
    rows = manifest_rows(lake, columns=("ds", "table_name"))
    days = [row["ds"] for row in rows if row["table_name"] == table.name and row["ds"] < ds]
    published = published_table(lake, table, max(days)) if days else None
    if published is None:
        return ListDrift(None, None, scores)
    is_asked = (pc.field("ds") == max(days)) & pc.field(owner).isin(asked)
    before = dataset_of(published).to_table([owner, item], filter=is_asked)
    return ListDrift(max(days), overlap(_lists(now, owner, item), _lists(before, owner, item)), scores)


def picked(owners: Sequence[str]) -> list[str]:
    """Returns at most MAX_OWNERS of them, evenly over the alphabet."""
    ordered = sorted(owners)
    places = np.linspace(0, len(ordered) - 1, min(len(ordered), MAX_OWNERS)).astype(int)
    return [ordered[place] for place in places]


def overlap(now: dict[str, set[str]], before: dict[str, set[str]]) -> float | None:
    """Returns the mean share of a list that stood in the same owner's list before; None where no owner had one."""
    shares = [len(items & before[owner]) / len(items) for owner, items in now.items() if owner in before]
    return round(float(np.mean(shares)), 6) if shares else None


def _lists(rows: pa.Table, owner: str, item: str) -> dict[str, set[str]]:
    lists: dict[str, set[str]] = defaultdict(set)
    for name, listed in zip(rows[owner].to_pylist(), rows[item].to_pylist(), strict=True):
        lists[name].add(listed)
    return dict(lists)
