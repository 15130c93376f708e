"""The rows of `run_manifest`: what each published table of a night rests on, and how good it is."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pyarrow import fs

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.code_version import code_version
from expectations.runtime.days import end_of
from expectations.runtime.input_fingerprint import input_fingerprint
from expectations.runtime.lake import Lake, Version, fingerprint_of, parquet_dataset, vocabulary_hash
from expectations.runtime.published_tables import rows_of
from expectations.shop.policy_settings import POLICY
from expectations.shop.shop import Shop
from expectations.tables import BACKTESTS, ITEMS, RUN_MANIFEST, USER_RECOMMENDATIONS, NightError, Table
from jobs.lists.gate_decision import GateDecision, gate_decision
from jobs.publishing.delta_commit import Partitions, Versions, at_version, paths_by_ds
from jobs.publishing.list_drift import ListDrift, list_drift

logger = logging.getLogger(__name__)

NAMES = ("ds", "table_name", "table_version")
"""The columns of the manifest that readers go by."""


@dataclass(frozen=True)
class TableFigures:
    """What is in one table.

    Attributes:
        coverage: the share of the available items that it brings to anybody.
        drawn_share: of the rows, how many had to share their place with chance: propensity below 1.
    """

    rows: int
    owners: int
    fallback_share: float
    drawn_share: float
    coverage: float
    sources: dict[str, int]
    reasons: dict[str, int]
    drift: ListDrift


def night_rows(
    lake: Lake, ds: str, staged: Mapping[Table, Version], shop: Shop, code_at_start: str | None = None
) -> list[dict[str, Any]]:
    """Returns the rows of `ds`, before it is known in which version of each table it is published.

    Args:
        staged: the finished version of each table that the night publishes.
        code_at_start: the version of the code when the night began; None where nobody noted it.

    Raises:
        NightError: the lists are not what the shop file asks of them.
    """
    gate = gate_decision(lake, ds)
    figures = {table: table_figures(lake, ds, table, version) for table, version in staged.items()}
    require_fit_to_publish(ds, figures[USER_RECOMMENDATIONS], shop)
    noted = {"input_fingerprint": input_fingerprint(staged.values()), "code_version": _code_of_night(code_at_start)}
    return [_row(lake, ds, gate, table, version, figures[table]) | noted for table, version in staged.items()]


def stage_manifest(
    lake: Lake, ds: str, rows: Sequence[dict[str, Any]], shelf_life_hours: int, run_id: str, now: datetime
) -> Version:
    """Writes the rows of `ds` beside the Delta table, unless they are there already: a re-run adds nothing new.

    Args:
        rows: of `night_rows`, each with its `table_version`.
        run_id: of the run that publishes; noted in every row.
        now: when that run started, in UTC.
    """
    fingerprint = fingerprint_of(RUN_MANIFEST.name, ds, rows, shelf_life_hours)
    staged = lake.reuse(RUN_MANIFEST, ds, fingerprint)
    if staged is not None:
        return staged
    signed = {
        "run_id": run_id,
        "generated_at": now.replace(microsecond=0),
        "expires_at": end_of(ds) + timedelta(hours=shelf_life_hours),
    }
    path = write_manifest(lake, ds, [{**row, **signed} for row in rows], fingerprint)
    return lake.commit(RUN_MANIFEST, ds, path, fingerprint, len(rows))


def as_noted(lake: Lake, manifest: DeltaTable, tables: Mapping[Table, Partitions], versions: Versions) -> Versions:
    """Returns `versions`, with those that the manifest names already where they hold the same files.

    Args:
        tables: the files of every partition.
        versions: that hold them, too, but may be later ones.
    """
    days = sorted({ds for partitions in tables.values() for ds in partitions})
    noted = {(row["table_name"], row["ds"]): row["table_version"] for row in rows_of(manifest, days, NAMES)}
    found = dict(versions)
    for table, partitions in tables.items():
        for ds, files in partitions.items():
            version = noted.get((table.name, ds))
            if version is not None and set(files) == set(paths_by_ds(at_version(lake, table, version)).get(ds, ())):
                found[table, ds] = version
    return found


def write_manifest(lake: Lake, ds: str, rows: Sequence[dict[str, Any]], fingerprint: str) -> str:
    """Writes whole rows of `ds` into a new folder beside the Delta table. Returns the folder."""
    table = pa.Table.from_pylist(list(rows), schema=arrow_schema(RUN_MANIFEST))
    path = lake.new_version_path(RUN_MANIFEST, ds, fingerprint)
    filesystem, local = fs.FileSystem.from_uri(path)
    filesystem.create_dir(local, recursive=True)
    # Delta keeps the partition in its log, not in the files.
    pq.write_table(table.drop_columns(["ds"]), f"{local}/part-00000.parquet", filesystem=filesystem)
    return path


def require_fit_to_publish(ds: str, figures: TableFigures, shop: Shop) -> None:
    """Holds the finished lists of users against `[publish]` of the shop file.

    Raises:
        NightError: names the first bound that is not kept.
    """
    bounds, before = shop.publish, figures.drift.compared_with
    overlap = 1.0 if figures.drift.overlap is None else figures.drift.overlap
    checks = (
        ("max_fallback_share", figures.fallback_share <= bounds.max_fallback_share, figures.fallback_share),
        ("min_coverage", figures.coverage >= bounds.min_coverage, figures.coverage),
        ("min_overlap", overlap >= bounds.min_overlap, overlap),
    )
    for name, is_kept, found in checks:
        if not is_kept:
            with_what = f" with ds={before}" if name == "min_overlap" else ""
            raise NightError(
                f"{USER_RECOMMENDATIONS.name} ds={ds}: `publish.{name}` of the shop file must be kept. Received: "
                f"{found:.3f}{with_what}, where {getattr(bounds, name)} is the bound. Nothing is published. Look at "
                f"the gate's decision; if these lists are right, change the bound and run jobs.publish_tables again."
            )


def _row(
    lake: Lake, ds: str, gate: GateDecision, table: Table, version: Version, figures: TableFigures
) -> dict[str, Any]:
    metrics: dict[str, Any] = {"backtest": _backtest(lake, gate), "gate": _gate(gate), "table": asdict(figures)}
    metrics |= {name: version.metadata[name] for name in ("rules", "policy") if name in version.metadata}
    versions, policy = gate.model_versions, metrics.get("policy", {})
    if policy.get("is_allowed"):
        versions = {**versions, POLICY: policy["model_version"]}
    return {
        "ds": ds,
        "table_name": table.name,
        "status": "fallback" if gate.is_fallback else "published",
        "rows": figures.rows,
        "users": figures.owners,
        "fallback_share": figures.fallback_share,
        "metrics": json.dumps(metrics, sort_keys=True),
        "model_versions": json.dumps(versions, sort_keys=True),
        "vocabulary_hash": vocabulary_hash(lake, ds),
        "rollback": None,
    }


def _code_of_night(code_at_start: str | None) -> str:
    """The version of the code; both, where it was replaced while the night ran."""
    now = code_version()
    if code_at_start in (None, now):
        return now
    logger.warning("the code was replaced while the night ran: from=%s to=%s", code_at_start, now)
    return f"{code_at_start}+{now}"


def table_figures(lake: Lake, ds: str, table: Table, version: Version) -> TableFigures:
    """Counts a staged table in one pass; holds one batch at a time, and the names of items and of owners."""
    owner, item = table.key[1], "similar_item_id" if table.listed == "similar_item_id" else "item_id"
    columns = list(dict.fromkeys(["rank", owner, item, "source", "reason_code"]))
    marks = [name for name in ("is_fallback", "propensity") if name in table.column_names]
    rows = num_fallback = num_drawn = 0
    owners: set[str] = set()
    items: set[str] = set()
    sources: dict[str, int] = {}
    reasons: dict[str, int] = {}
    for batch in _batches(version, [*columns, *marks]):
        rows += batch.num_rows
        owners.update(batch[owner].filter(pc.equal(batch["rank"], 1)).to_pylist())
        items.update(pc.unique(batch[item]).to_pylist())
        if marks:
            num_fallback += pc.sum(batch["is_fallback"]).as_py() or 0
            num_drawn += pc.sum(pc.less(batch["propensity"], 1.0)).as_py() or 0
        _count(sources, batch["source"])
        _count(reasons, batch["reason_code"])
    num_available = pc.sum(lake.read(ITEMS, ds, columns=["is_available"])["is_available"]).as_py() or 0
    return TableFigures(
        rows=rows,
        owners=len(owners),
        fallback_share=round(num_fallback / max(rows, 1), 6),
        drawn_share=round(num_drawn / max(rows, 1), 6),
        coverage=round(len(items) / max(num_available, 1), 6),
        sources=sources,
        reasons=reasons,
        drift=list_drift(lake, ds, table, version, sorted(owners)),
    )


def _backtest(lake: Lake, gate: GateDecision) -> list[dict[str, Any]]:
    """Returns the whole backtest table; empty when the night had none (the gate says so)."""
    version = gate.in_force.version(lake, BACKTESTS)
    if version is None:
        return []
    rows = parquet_dataset(version.path).to_table().drop_columns(["ds"])
    return rows.sort_by([("task", "ascending"), ("k", "ascending"), ("model", "ascending")]).to_pylist()


def _gate(gate: GateDecision) -> dict[str, Any]:
    return {
        **gate.decision,
        "published_model": gate.published_model,
        "similar_model": gate.similar_model,
        "is_fallback": gate.is_fallback,
        "champion": gate.champion,
    }


def _batches(version: Version, columns: list[str]) -> Any:
    return (batch for batch in parquet_dataset(version.path).to_batches(columns=columns) if batch.num_rows)


def _count(counts: dict[str, int], column: pa.Array) -> None:
    for pair in pc.value_counts(column).to_pylist():
        counts[pair["values"]] = counts.get(pair["values"], 0) + pair["counts"]
