"""How a published table is staged: its files lie inside the Delta table, unseen until the night is published."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.runtime.days import end_of
from expectations.runtime.input_fingerprint import MADE_FROM, made_from_versions
from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.shop.shop import Shop
from expectations.tables import NightError, Table
from jobs.lists.gate_decision import GateDecision
from jobs.storage.partitions import contract_columns, write_parquet

logger = logging.getLogger(__name__)

ROWS_PER_FILE = 1_000_000
"""About so many rows make a file of a published table: a small table is one file."""


@dataclass(frozen=True)
class Plan:
    """How one table is built.

    Attributes:
        inputs: every version that `rows` reads, but the gate's.
        sources: what may stand in the column `source`.
        max_rows: about so many at most; they say how many files the table gets.
        rows: the table without what every published row has besides.
        code: the version of the code that computes them.
        settings: every setting of the shop that `rows` depends on.
        may_be_empty: whether a night without any row is as it should be.
        metadata: what is noted with the table, once it is written.
    """

    table: Table
    inputs: Sequence[Version]
    sources: Sequence[str]
    max_rows: int
    rows: Callable[[], DataFrame]
    code: str
    settings: Sequence[Any]
    may_be_empty: bool = False
    metadata: Callable[[], dict[str, Any]] = dict


def stage(lake: Lake, gate: GateDecision, plan: Plan, generated_at: datetime, shop: Shop) -> None:
    """Builds a table and puts its files where `jobs.publish_tables` finds them, unless they lie there already.

    Args:
        generated_at: in UTC; every row carries it.
        shop: how long lists are, and how long after the end of the day rows expire.

    Raises:
        NightError: the table came out empty, and must not be.
    """
    ds, table = gate.ds, plan.table
    inputs = [v.fingerprint for v in (gate.version, *plan.inputs)]
    fingerprint = fingerprint_of(table.name, ds, plan.code, inputs, [*plan.settings, shop.shelf_life_hours])
    noted: dict[str, Any] = {MADE_FROM: made_from_versions((gate.version, *plan.inputs), shop)}
    staged = lake.reuse(table, ds, fingerprint, **noted)
    if staged is not None:
        logger.info("already staged: table=%s ds=%s rows=%d", table.name, ds, staged.rows)
        return
    rows = contract_columns(_signed(plan.rows(), gate, plan.sources, generated_at, shop.shelf_life_hours), table, ds)
    path = lake.new_version_path(table, ds, fingerprint)
    num_files = max(1, -(-plan.max_rows // ROWS_PER_FILE))
    num_rows = write_parquet(_in_files(rows, table, num_files), path)
    if num_rows == 0 and not plan.may_be_empty:
        raise NightError(f"{table.name} ds={ds}: not one row came out, and an empty table is not staged.")
    lake.commit(table, ds, path, fingerprint, num_rows, top_k=shop.top_k, **noted, **plan.metadata())
    logger.info("staged: table=%s ds=%s rows=%d sources=%s", table.name, ds, num_rows, ",".join(plan.sources))


def _signed(
    rows: DataFrame, gate: GateDecision, sources: Sequence[str], generated_at: datetime, shelf_life_hours: int
) -> DataFrame:
    """`rows` with what every published row tells of itself."""
    return rows.withColumns(
        {
            "model_version": _version_of(F.col("source"), sources, gate),
            "generated_at": F.lit(generated_at.replace(microsecond=0)),
            "expires_at": F.lit(end_of(gate.ds) + timedelta(hours=shelf_life_hours)),
        }
    )


def _version_of(source: Column, sources: Sequence[str], gate: GateDecision) -> Column:
    text = F.lit(None).cast("string")
    for model in sources:
        text = F.when(source == model, F.lit(gate.version_of(model))).otherwise(text)
    return text


def _in_files(rows: DataFrame, table: Table, num_files: int) -> DataFrame:
    """`rows` as they lie in the files of a Delta table: in the order of the key, without `ds`.

    Delta keeps the partition in its log. Readers that look for one user skip the files whose bounds exclude them.
    """
    owner = table.key[1]
    return rows.drop("ds").repartitionByRange(num_files, owner).sortWithinPartitions(*table.key[1:])
