"""The Python of the documents reads a small published night."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from expectations.runtime.arrow_types import arrow_schema
from expectations.tables import OUTPUT_TABLES, RUN_MANIFEST, TABLES, USER_RECOMMENDATIONS, Table
from tests.docs.pages import PAGES, blocks

ROW = {"ds": "2025-05-31", "user_id": "C000001", "rank": 1, "item_id": "item-1", "score": 1.0, "reason": "Popular"}
WITH_PYTHON = [str(page.name) for page in PAGES if "```python" in page.read_text("utf-8")]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`data/tables` below the working folder, as after a night in the default root."""
    for table in map(TABLES.__getitem__, OUTPUT_TABLES):
        rows = [ROW] if table is USER_RECOMMENDATIONS else []
        content = pa.Table.from_pylist(rows, schema=as_nullable(table))
        write_deltalake(tmp_path / "data" / "tables" / table.name, content, partition_by=["ds"])
    manifest = [
        {"ds": "2025-05-31", "table_name": name, "status": "published", "table_version": 0} for name in OUTPUT_TABLES
    ]
    rows = pa.Table.from_pylist(manifest, schema=as_nullable(RUN_MANIFEST))
    write_deltalake(tmp_path / "data" / "tables" / RUN_MANIFEST.name, rows, partition_by=["ds"])
    monkeypatch.chdir(tmp_path)


def as_nullable(table: Table) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in arrow_schema(table)])


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(page: str) -> None:
    (home,) = [block.text.split(";")[0] for block in blocks("sql") if "-- Home:" in block.text]
    names: dict[str, Any] = {"query": home}
    shown = [block for block in blocks("python") if Path(block.page).name == page]
    for block in shown:
        exec(compile(block.text, block.page, "exec"), names)


def test_pages_show_python() -> None:
    assert {"README.md", "reading_tables.md"} <= set(WITH_PYTHON)
