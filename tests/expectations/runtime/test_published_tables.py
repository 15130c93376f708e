"""Published tables are read through PyArrow's own file systems.

deltalake 1.6.6's own, with pyarrow 25.0: one of eight programs that had read `run_manifest` through it was aborted
when it ended, because a thread of Arrow's gave back Python's bytes to an interpreter that was closing.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pyarrow import fs

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.published_tables import dataset_of

ROOMS = ("dags", "docker", "expectations", "jobs", "models")


def test_a_dataset_reads_through_arrows_own_file_system(tmp_path: Path) -> None:
    folder = tmp_path / "a table"
    rows = pa.table({"ds": ["2024-03-11", "2024-03-12"], "user_id": ["u/1", "u 2"]})
    write_deltalake(folder, rows, partition_by=["ds"])

    dataset = dataset_of(DeltaTable(folder))

    assert isinstance(dataset.filesystem.base_fs, fs.LocalFileSystem)
    assert dataset.to_table().sort_by("ds") == rows


def test_nothing_reads_a_delta_table_in_another_way() -> None:
    found = {
        f"{path.relative_to(REPOSITORY)}:{node.attr}"
        for room in ROOMS
        for path in (REPOSITORY / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("to_pyarrow_table", "to_pyarrow_dataset", "to_pandas")
    }

    assert found == {"expectations/runtime/published_tables.py:to_pyarrow_dataset"}
