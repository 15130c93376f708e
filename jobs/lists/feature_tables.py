"""The feature tables of one day, each in the version that was current when the job began.

A backfill may replace a partition while a job reads it. So a job looks every pointer up once, reads the files of that
version, and takes its fingerprint of the very same version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from expectations.runtime.lake import Lake, Version, parquet_dataset
from expectations.tables import (
    GRAPH_EDGES,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEMS,
    USER_FEATURES,
    USERS,
    VOCABULARIES,
    Table,
    TableContractError,
)
from jobs.storage.partitions import read_versions

FEATURE_TABLES = (VOCABULARIES, ITEMS, USERS, INTERACTIONS, HISTORIES, USER_FEATURES, ITEM_FEATURES, GRAPH_EDGES)
"""What published tables are built from, beside what models and the gate wrote."""


@dataclass(frozen=True)
class FeatureTables:
    """The versions of FEATURE_TABLES as of `ds`, by the table's name; without those that were never built."""

    ds: str
    versions: Mapping[str, Version]

    @classmethod
    def resolve(cls, lake: Lake, ds: str) -> FeatureTables:
        """Looks up which versions are current, each once."""
        found = {table.name: lake.current(table, ds) for table in FEATURE_TABLES}
        return cls(ds, {name: version for name, version in found.items() if version is not None})

    def version(self, table: Table) -> Version:
        """Returns the version of a table.

        Raises:
            TableContractError: the partition was never built; says which program builds it.
        """
        if table.name not in self.versions:
            raise TableContractError(f"{table.name} ds={self.ds}: no such partition. Was {table.built_by} run for it?")
        return self.versions[table.name]

    def read(self, spark: SparkSession, table: Table) -> DataFrame:
        """Returns the rows of a table, for Spark; raises TableContractError where it was never built."""
        return read_versions(spark, table, [self.version(table)])

    def to_arrow(self, table: Table, columns: Sequence[str]) -> pa.Table:
        """Returns some columns of a table, whole in memory; raises TableContractError where it was never built."""
        return parquet_dataset(self.version(table).path).to_table(columns=list(columns))
