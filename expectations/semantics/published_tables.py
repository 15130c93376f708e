"""Which tables a night publishes: all of OUTPUT_TABLES but those that would say nothing of its shop.

Whoever builds, checks, commits or shows tables asks here, so that they agree.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.lake import Lake
from expectations.tables import CROSS_DOMAIN_RECOMMENDATIONS, ITEMS, OUTPUT_TABLES, TABLES, Table


def output_tables(lake: Lake, ds: str) -> list[Table]:
    """The tables of the night, in the order of OUTPUT_TABLES."""
    return tables_for_domains(available_domains(lake.read(ITEMS, ds, columns=["domain", "is_available"])))


def tables_for_domains(domains: Collection[str]) -> list[Table]:
    """The tables of a night on which these domains have something to sell, in the order of OUTPUT_TABLES."""
    without = set() if len(domains) > 1 else {CROSS_DOMAIN_RECOMMENDATIONS.name}
    return [TABLES[name] for name in OUTPUT_TABLES if name not in without]


def available_domains(items: pa.Table) -> list[str]:
    """The domains in which something can be bought, in the order of the alphabet.

    Args:
        items: of one `ds`; columns domain (string) and is_available (boolean).
    """
    return sorted(pc.unique(items.filter(items["is_available"])["domain"]).to_pylist())
