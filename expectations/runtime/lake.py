"""The lake: where the tables that programs hand to each other lie under `NIGHTJAR_ROOT`, and how they are replaced.

A version of a partition is an immutable folder of Parquet files, and a small pointer file names the current one:

    lake/interactions/ds=2011-11-09/3f0c…-81d2/part-0000.parquet
    lake/interactions/ds=2011-11-09/current.json      {"path": …, "fingerprint": …, "rows": …}

Readers follow the pointer, so that they see a partition whole or not at all, also while a backfill replaces it and
also on object stores, which cannot rename. Each attempt writes to a folder of its own: one that died, or that lives
on after its task was given up, spoils nothing. The fingerprint is a hash of everything the partition was computed
from; a program whose partition already carries the fingerprint that it would write has nothing to do. That is what
makes a re-run cheap, and what one night may take from another.

A run of a night (`expectations.runtime.run_pins`) sees less than what is current: the log as it stood when the run
began, and of its own days only what it built itself, or found built from just what it would have read. What an earlier
run left, or another one leaves meanwhile, is not there for it.

Published tables are staged in the same way: their files already lie inside the Delta table, under
`tables/<name>/ds=…`, but no reader sees them before `jobs.publish_tables` commits them.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from pyarrow import fs

from expectations.runtime.small_files import read_json, write_json
from expectations.tables import VOCABULARIES, NightError, Table, TableContractError

_POINTER = "current.json"
_METADATA_OF_OLD = "facts"
"""Pointers that version 0.1.0 and earlier wrote say so; they stay readable, since a root outlives a release."""


def fingerprint_of(*parts: Any) -> str:
    """Returns a short hash of anything JSON can write: the same parts, the same 20 hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Version:
    """The current version of a partition.

    Attributes:
        path: of its folder, absolute.
        fingerprint: a hash of everything that it was computed from.
        rows: how many it has.
        metadata: what its program noted with it.
    """

    path: str
    fingerprint: str
    rows: int
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunView:
    """What one run of a night sees of the lake.

    Attributes:
        folder: where the run's own pointers and marks lie, under the root.
        ds: the day that it builds.
        days: as of which it computes, `ds` among them: of these it sees in the lake only what it took or built itself.
        log: name of a table of the log -> day -> the version that stood when the run began.
    """

    folder: str
    ds: str
    days: frozenset[str]
    log: Mapping[str, Mapping[str, Version]]

    def owns(self, table: Table, ds: str) -> bool:
        """Whether a partition is for this run to build: what lies there from others does not count."""
        return ds in self.days if table.home == "lake" else ds == self.ds


@dataclass(frozen=True)
class Lake:
    """The tables under one root, a local path or an object-store URL such as `s3://bucket/nightjar`.

    Attributes:
        run: whose eyes it is seen with; None: every partition is as it was last built.
    """

    root: str
    run: RunView | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if "://" not in self.root:
            object.__setattr__(self, "root", str(Path(self.root).resolve()))

    def bind_shop(self, shop_name: str) -> None:
        """Ties this root to one shop: two shops' partitions of the same `ds` would replace each other.

        Raises:
            NightError: the root already belongs to another shop.
        """
        path = f"{self.root}/shop.json"
        owner = read_json(path)
        if owner is None:
            write_json(path, {"shop": shop_name})
        elif owner["shop"] != shop_name:
            raise NightError(
                f"{self.root} belongs to the shop {owner['shop']!r}, and a root holds one shop. "
                f"Received: shop {shop_name!r}. Set NIGHTJAR_ROOT to another place for it."
            )

    def table_path(self, table: Table) -> str:
        """Returns the folder of a table; for a published one, the Delta table that readers open."""
        return f"{self.root}/{'tables' if table.home == 'published' else 'lake'}/{table.name}"

    def partition_path(self, table: Table, ds: str, model: str | None = None) -> str:
        """Returns the folder of a partition; tables that models write have one partition per model in each `ds`."""
        return f"{self.table_path(table)}/{_partition(ds, model)}"

    def current(self, table: Table, ds: str, model: str | None = None) -> Version | None:
        """Returns the current version, or None when the partition was never built; for a run, see `RunView`."""
        if self.run is not None and table.name in self.run.log:
            return self.run.log[table.name].get(ds)
        found = self._version(table, self._run_pointer_path(table, ds, model)) if self.run else None
        if found is not None or (self.run is not None and self.run.owns(table, ds)):
            return found
        return self._version(table, self._pointer_path(table, ds, model))

    def reuse(
        self, table: Table, ds: str, fingerprint: str, model: str | None = None, **metadata: Any
    ) -> Version | None:
        """Returns the version that was built from just this, and takes it into the run; None: it is to be built.

        Args:
            fingerprint: of everything that the partition would be computed from.
            metadata: what `commit` would note with it; what was noted otherwise is brought up to date.
        """
        built = [self._version(table, self._pointer_path(table, ds, model))]
        if self.run is not None:
            built.insert(0, self._version(table, self._run_pointer_path(table, ds, model)))
        found = next((version for version in built if version and version.fingerprint == fingerprint), None)
        if found is None or (metadata.items() <= found.metadata.items() and self.current(table, ds, model) == found):
            return found
        return self.commit(table, ds, found.path, fingerprint, found.rows, model, **{**found.metadata, **metadata})

    def _version(self, table: Table, pointer_path: str) -> Version | None:
        pointer = read_json(pointer_path)
        if pointer is None:
            return None
        metadata = pointer[_METADATA_OF_OLD if _METADATA_OF_OLD in pointer else "metadata"]
        path = f"{self.table_path(table)}/{pointer['path']}"
        return Version(path, pointer["fingerprint"], pointer["rows"], metadata)

    def require(self, table: Table, ds: str, model: str | None = None) -> Version:
        """Returns the current version.

        Raises:
            TableContractError: the partition was never built; says which program builds it.
        """
        version = self.current(table, ds, model)
        if version is None:
            of_model = f" model={model}" if model else ""
            raise TableContractError(
                f"{table.name} ds={ds}{of_model}: no such partition under {self.root}. Was {table.built_by} run for it?"
            )
        return version

    def days(self, table: Table, until: str | None = None, since: str | None = None) -> list[str]:
        """Returns the days that have a current version, in order, `since` and `until` included."""
        # A writer that died before its first commit leaves a folder, which is no partition.
        days = self._day_folders(table, until, since)
        return [ds for ds in days if self.current(table, ds) or self.models(table, ds)]

    def versions(self, table: Table, until: str | None = None, since: str | None = None) -> dict[str, Version]:
        """Returns day -> current version, in order, of a table without models; each pointer is read once."""
        found = {ds: self.current(table, ds) for ds in self._day_folders(table, until, since)}
        return {ds: version for ds, version in found.items() if version is not None}

    def models(self, table: Table, ds: str) -> list[str]:
        """Returns which models have a current partition for `ds`, in alphabetical order."""
        names = self._folder_names(self.partition_path(table, ds))
        models = [name.removeprefix("model=") for name in names if name.startswith("model=")]
        return sorted(m for m in models if self.current(table, ds, m))

    def new_version_path(
        self, table: Table, ds: str, fingerprint: str, model: str | None = None, attempt: str | None = None
    ) -> str:
        """Returns where to write a version before `commit`; readers do not see it until then.

        Args:
            attempt: tells attempts apart; random unless several programs write one version together.
        """
        return f"{self.partition_path(table, ds, model)}/{fingerprint}-{attempt or uuid.uuid4().hex[:8]}"

    def commit(
        self, table: Table, ds: str, path: str, fingerprint: str, rows: int, model: str | None = None, **metadata: Any
    ) -> Version:
        """Makes a version that is completely written the current one, in one atomic step."""
        version = Version(path, fingerprint, rows, metadata)
        self._write_pointer(table, self._pointer_path(table, ds, model), version)
        if self.run is not None:
            self._write_pointer(table, self._run_pointer_path(table, ds, model), version)
        return version

    def withdraw(self, table: Table, ds: str, model: str | None = None) -> None:
        """Takes a partition out of force: readers, or those of the run, find none until the next `commit`.

        Its files stay.
        """
        path = self._run_pointer_path(table, ds, model) if self.run else self._pointer_path(table, ds, model)
        filesystem, pointer = fs.FileSystem.from_uri(path)
        if filesystem.get_file_info(pointer).type == fs.FileType.File:
            filesystem.delete_file(pointer)

    def note_validated(self, table: Table, ds: str, version: Version) -> None:
        """Notes that this very version of a partition passed its expectations.

        A run's mark is its own. The mark that later nights look for stays with the version that is current for them,
        which another run may have built meanwhile.
        """
        mark = {"path": self._path_in_table(table, version.path)}
        if self.run is not None:
            write_json(self._run_validated_path(table, ds), mark)
        latest = self._version(table, self._pointer_path(table, ds, None))
        if self.run is None or (latest and latest.path == version.path):
            write_json(self._validated_path(table, ds), mark)

    def is_validated(self, table: Table, ds: str) -> bool:
        """Returns whether the current version is the one that passed its expectations; for a run, see `RunView`."""
        is_of_run = self.run is not None and self.run.owns(table, ds)
        noted = read_json(self._run_validated_path(table, ds) if is_of_run else self._validated_path(table, ds))
        version = self.current(table, ds)
        if noted is None or version is None:
            return False
        path = self._path_in_table(table, version.path)
        # Version 0.1.0 and earlier noted the path of the folder under the root as it then lay.
        return bool(noted["path"] == path or noted["path"].endswith(f"/{table.name}/{path}"))

    def read(
        self,
        table: Table,
        ds: str,
        model: str | None = None,
        columns: Iterable[str] | None = None,
        filter: pads.Expression | None = None,
    ) -> pa.Table:
        """Returns a partition as an Arrow table with the types of the contract, for programs without Spark.

        Args:
            columns: all by default.
            filter: which rows; all by default.

        Raises:
            TableContractError: the partition was never built.
        """
        dataset = parquet_dataset(self.require(table, ds, model).path)
        return dataset.to_table(columns=list(columns) if columns else None, filter=filter)

    def write(
        self, table: Table, ds: str, rows: pa.Table, fingerprint: str, model: str | None = None, **metadata: Any
    ) -> Version:
        """Writes and commits a partition from an Arrow table, for programs without Spark. Returns its version.

        Args:
            rows: the columns of the contract, in any order; others are left out.
            metadata: noted with the version.

        Raises:
            TableContractError: the columns are not those of the contract.
        """
        require_columns(table, ds, rows.column_names)
        path = self.new_version_path(table, ds, fingerprint, model)
        filesystem, local = fs.FileSystem.from_uri(path)
        filesystem.create_dir(local, recursive=True)
        pq.write_table(rows.select(table.column_names), f"{local}/part-00000.parquet", filesystem=filesystem)
        return self.commit(table, ds, path, fingerprint, rows.num_rows, model, **metadata)

    def _path_in_table(self, table: Table, path: str) -> str:
        """The path of a version as it is noted: a root that lies elsewhere tomorrow holds the same tables."""
        return path.removeprefix(f"{self.table_path(table)}/")

    def _write_pointer(self, table: Table, pointer_path: str, version: Version) -> None:
        write_json(pointer_path, {**asdict(version), "path": self._path_in_table(table, version.path)})

    def _run_pointer_path(self, table: Table, ds: str, model: str | None) -> str:
        return f"{self._run_path(table, ds, model)}/{_POINTER}"

    def _pointer_path(self, table: Table, ds: str, model: str | None) -> str:
        # A Delta table's folder holds nothing but what Delta knows, so the pointers to staged versions lie elsewhere.
        folder = f"{self.root}/{'staged' if table.home == 'published' else 'lake'}/{table.name}"
        return f"{folder}/{_partition(ds, model)}/{_POINTER}"

    def _run_validated_path(self, table: Table, ds: str) -> str:
        return f"{self._run_path(table, ds, None)}/validated.json"

    def _run_path(self, table: Table, ds: str, model: str | None) -> str:
        assert self.run is not None, "only a run has pointers and marks of its own"
        return f"{self.root}/{self.run.folder}/{table.name}/{_partition(ds, model)}"

    def _validated_path(self, table: Table, ds: str) -> str:
        return f"{self.root}/validated/{table.name}/{_partition(ds, None)}.json"

    def _day_folders(self, table: Table, until: str | None, since: str | None) -> list[str]:
        if self.run is not None and table.name in self.run.log:
            names = [f"ds={ds}" for ds in self.run.log[table.name]]
        else:
            names = self._folder_names(self.table_path(table))
        days = sorted(match[1] for match in (re.fullmatch(r"ds=(\d{4}-\d{2}-\d{2})", name) for name in names) if match)
        return [ds for ds in days if (until is None or ds <= until) and (since is None or ds >= since)]

    def _folder_names(self, path: str) -> list[str]:
        filesystem, local = fs.FileSystem.from_uri(path)
        selector = fs.FileSelector(local, allow_not_found=True)
        return [info.base_name for info in filesystem.get_file_info(selector) if info.type == fs.FileType.Directory]


def _partition(ds: str, model: str | None) -> str:
    return f"ds={ds}/model={model}" if model else f"ds={ds}"


def parquet_dataset(path: str) -> pads.Dataset:
    """Returns the files of a version, to be read batch by batch or by column."""
    filesystem, local = fs.FileSystem.from_uri(path)
    return pads.dataset(local, filesystem=filesystem, format="parquet", exclude_invalid_files=False)


def vocabulary_hash(lake: Lake, as_of: str) -> str:
    """Returns the hash that stands in every row of the vocabularies of `as_of`."""
    vocabularies = parquet_dataset(lake.require(VOCABULARIES, as_of).path)
    return str(vocabularies.head(1, columns=["vocabulary_hash"])["vocabulary_hash"][0].as_py())


def require_columns(table: Table, ds: str, found: Iterable[str]) -> None:
    """Raises TableContractError unless every column of the contract is there."""
    found = list(found)
    missing = [name for name in table.column_names if name not in found]
    if missing:
        raise TableContractError(f"{table.name} ds={ds}: missing columns {missing}. Found: {found}")
