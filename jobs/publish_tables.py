"""Publishes what the night staged: each table's partition `ds` in one Delta transaction, then the manifest.

Refuses tables that did not pass their expectations, before any of them is committed. Killed at any moment it leaves
every table with its previous partition or the new one, whole; a re-run commits what is missing, and nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.semantics.published_tables import output_tables
from expectations.tables import RUN_MANIFEST, NightError
from jobs.publishing.delta_commit import commit_partition
from jobs.publishing.manifest import stage_manifest

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Publishes the staged tables of one night."""
    publish_tables(night_from(night_parser(__doc__).parse_args(argv)))


def publish_tables(night: Night) -> None:
    """Commits every table of the night, and the manifest last: it vouches for the rest.

    Raises:
        NightError: a table is not staged, its staged version was not validated, or the lists are not what the shop
            file asks of them; nothing is committed then.
    """
    lake, ds = night.lake, night.ds
    staged = {table: lake.require(table, ds) for table in output_tables(lake, ds)}
    unchecked = [table.name for table in staged if not lake.is_validated(table, ds)]
    if unchecked:
        raise NightError(
            f"{', '.join(unchecked)} ds={ds}: only tables that passed their expectations are published. "
            f"Run expectations.validate --stage outputs for this ds first."
        )
    manifest = stage_manifest(lake, ds, staged, night.shop, night.run_id, night.now, night.code)
    for table, version in {**staged, RUN_MANIFEST: manifest}.items():
        commit_partition(lake, table, ds, version, night.run_id)


if __name__ == "__main__":
    run_program(main)
