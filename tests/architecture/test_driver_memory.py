"""No job brings to the driver what grows with users or events: every call that could is named here, with its bound."""

from __future__ import annotations

import ast
from pathlib import Path

from expectations.runtime.code_version import REPOSITORY

BRINGS_ROWS = {"collect", "toPandas", "toLocalIterator", "toArrow", "toJSON", "first", "head", "take", "tail"}
BOUNDED = {
    "jobs/tables/new_item_audiences.py": "one number per item that somebody met",
    "jobs/tables/similar_items.py": "a few numbers per item",
    "jobs/tables/cross_domain_recommendations.py": "one row per item of the catalogue",
    "jobs/features/vocabularies.py": "one row of sums",
    "jobs/storage/daily_partitions.py": "one row per day of one pass",
    "jobs/ingest.py": "one row per day and reason",
    "jobs/raw/inspect_files.py": "one row per raw file",
    "jobs/lists/eligible_items.py": "a few values per item of the catalogue",
    "jobs/publishing/night_sample.py": "a page to look at, by pyarrow's head()",
    "jobs/tables/segment_popularity.py": "one number",
    "jobs/split_days.py": "one row of counts",
    "expectations/checks/features.py": "one row per field of the vocabularies",
    "expectations/semantics/item_eligibility.py": "at most one row per name in the shop file",
    "expectations/runtime/lake.py": "one value, by pyarrow's head()",
}


def callers() -> set[str]:
    return {
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("jobs", "expectations")
        for path in (REPOSITORY / folder).rglob("*.py")
        if "demo_shop" not in path.parts and _brings_rows(path)
    }


def _brings_rows(path: Path) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Attribute) and call.attr in BRINGS_ROWS for call in calls)


def test_every_caller_that_brings_rows_to_the_driver_is_bounded() -> None:
    assert callers() == set(BOUNDED)
