"""Which tables a night publishes: all of OUTPUT_TABLES but those that would say nothing of its shop.

Whoever builds, checks, commits or shows tables asks here, so that they agree.
"""

from __future__ import annotations

import pyarrow.compute as pc

from expectations.runtime.lake import Lake
from expectations.tables import CROSS_DOMAIN_RECOMMENDATIONS, ITEMS, OUTPUT_TABLES, TABLES, Table


def output_tables(lake: Lake, ds: str) -> list[Table]:
    """The tables of the night, in the order of OUTPUT_TABLES."""
    without = set() if len(available_domains(lake, ds)) > 1 else {CROSS_DOMAIN_RECOMMENDATIONS.name}
    return [TABLES[name] for name in OUTPUT_TABLES if name not in without]


def available_domains(lake: Lake, ds: str) -> list[str]:
    """The domains in which something can be bought after `ds`, in the order of the alphabet."""
    items = lake.read(ITEMS, ds, columns=["domain", "is_available"])
    return sorted(pc.unique(items.filter(items["is_available"])["domain"]).to_pylist())
