"""Publishes what the night staged: each table's partition `ds` in one Delta transaction, then the manifest.

The manifest names the version of each table that belongs to the night: readers who go by it see all tables of a night
change together. Refuses tables that did not pass their expectations, before any of them is committed. Killed at any
moment it leaves the manifest with the previous night, whole; a re-run commits what is missing, and nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from deltalake import DeltaTable

from expectations.runtime.lake import Version
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.semantics.published_tables import output_tables
from expectations.tables import RUN_MANIFEST, TABLES, NightError, Table
from jobs.publishing.delta_commit import (
    DS_KEY,
    RUN_ID_KEY,
    Contents,
    Partitions,
    Versions,
    commit_together,
    files_of,
)
from jobs.publishing.manifest import as_noted, night_rows, stage_manifest

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Publishes the staged tables of one night."""
    publish_tables(night_from(night_parser(__doc__).parse_args(argv)))


def publish_tables(night: Night) -> None:
    """Commits every table of the night, and the manifest last: it vouches for the rest, and names their versions.

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
    publish_versions(night, staged)


def publish_versions(night: Night, staged: Mapping[Table, Version]) -> None:
    """Commits finished versions of a night's tables, and then the manifest.

    Raises:
        NightError: the lists are not what the shop file asks of them; nothing is committed then.
    """
    lake, ds = night.lake, night.ds
    rows = night_rows(lake, ds, staged, night.shop, night.code)
    tables = {table: {ds: files_of(lake, table, version)} for table, version in staged.items()}

    def contents(before: DeltaTable) -> Contents:
        def manifest(versions: Versions) -> Partitions:
            versions = as_noted(lake, before, tables, versions)
            named = [row | {"table_version": versions[TABLES[row["table_name"]], ds]} for row in rows]
            version = stage_manifest(lake, ds, named, night.shop.shelf_life_hours, night.run_id, night.now)
            return {ds: files_of(lake, RUN_MANIFEST, version)}

        return Contents(tables, manifest, {DS_KEY: ds, RUN_ID_KEY: night.run_id})

    commit_together(lake, contents)


if __name__ == "__main__":
    run_program(main)
