"""No program brings to the driver what grows with users or events: a function that could is named with its bound."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from expectations.runtime.code_version import REPOSITORY

SPARK_NAMES = {"collect", "toPandas", "toLocalIterator", "toArrow", "toJSON"}
"""Methods that bring rows to the driver, and that no other library of ours has."""
SHARED_NAMES = {"first", "head", "take", "tail"}
"""Methods of Spark that arrays and Arrow tables have, too: they count wherever Spark may be at work."""
BOUNDED = {
    "jobs/tables/new_item_audiences.py:likes": "one number per item that somebody met",
    "jobs/tables/similar_items.py:item_facts": "a few numbers per item",
    "jobs/tables/cross_domain_recommendations.py:_rules": "one row per item of the catalogue",
    "jobs/tables/segment_popularity.py:_deepest": "one number",
    "jobs/features/vocabularies.py:with_hash": "one row of sums",
    "jobs/storage/daily_partitions.py:write_days": "one row per day of one pass",
    "jobs/raw/drop_counts.py:counts_of": "one row per day, reason and set of odd cells, and per word for a guest",
    "jobs/raw/catalogue_limits.py:catalogue_changes": "one row per items file of one pass",
    "jobs/raw/catalogue_limits.py:require_known_items": "one row of sums",
    "jobs/raw/catalogue_limits.py:_both_sides": "three ids of either side",
    "jobs/raw/catalogue_limits.py:_alike": "one row of counts",
    "jobs/raw/joined_rows.py:_require_one_a_key": "one row",
    "jobs/raw/repeated_events.py:num_repeats": "one row a day of one pass",
    "jobs/raw/drop_counts.py:examples_of": "three rows a reason of one day",
    "jobs/raw/drop_counts.py:_raise_unreadable": "at most a thousand names of files",
    "jobs/raw/item_user_updates.py:_validated": "a window's first(), which brings nothing",
    "jobs/raw/reading/parquet_rows.py:_Batches._unrolled": "Arrow's take() of one batch, in executors",
    "jobs/split_days.py:_rows": "one row",
    "jobs/raw/dropped_files.py:hashed_files": "one row per raw file",
    "jobs/lists/eligible_items.py:eligible_items": "a few values per item of the catalogue",
    "jobs/publishing/night_sample.py:sample_users": "a page to look at, by pyarrow's head()",
    "jobs/publishing/night_sample.py:sample_items": "a page to look at, by pyarrow's head()",
    "jobs/publishing/night_sample.py:sample_domains": "a page to look at, by pyarrow's head()",
    "jobs/publishing/night_sample.py:sample_audiences": "a page to look at, by pyarrow's head()",
    "jobs/split_days.py:split_days": "one row of counts",
    "expectations/checks/features.py:last_indices": "one row per field of the vocabularies",
    "expectations/semantics/item_eligibility/in_spark.py:unknown_names": "at most one row per name in the shop file",
    "expectations/runtime/lake.py:vocabulary_hash": "one value, by pyarrow's head()",
}


def callers() -> set[str]:
    """`file:function` of every call that could bring rows to the driver."""
    return {
        f"{path.relative_to(REPOSITORY).as_posix()}:{function}"
        for folder in ("jobs", "expectations", "models")
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        if "demo_shop" not in path.parts
        for function in _functions_that_bring_rows(path.read_text("utf-8"), is_spark=folder != "models")
    }


def _functions_that_bring_rows(source: str, is_spark: bool) -> Iterator[str]:
    """The qualified names of functions with such a call; `<module>` for one outside of any.

    Args:
        is_spark: whether the module lies where Spark is at work; elsewhere an import of it tells.
    """
    tree = ast.parse(source)
    imports = (ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    is_spark = is_spark or any("pyspark" in line for line in imports)
    yield from _calls(tree, SPARK_NAMES | SHARED_NAMES if is_spark else SPARK_NAMES, ())


def _calls(node: ast.AST, names: set[str], inside: tuple[str, ...]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr in names:
            yield ".".join(inside) or "<module>"
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _calls(child, names, (*inside, child.name))
        else:
            yield from _calls(child, names, inside)


def test_every_function_that_brings_rows_to_the_driver_is_bounded() -> None:
    found = callers()
    assert found - set(BOUNDED) == set(), "name what bounds the rows that these functions bring to the driver"
    assert set(BOUNDED) - found == set(), "these functions bring no rows any more"


def test_a_second_call_in_a_file_is_seen() -> None:
    source = "def few(rows): return rows.count()\nclass A:\n    def all_of(self, rows): return rows.collect()\n"
    assert list(_functions_that_bring_rows(source, is_spark=True)) == ["A.all_of"]


def test_models_may_take_from_arrays_but_not_from_spark() -> None:
    source = "def first(rows):\n    return rows.take(1)\n"
    assert list(_functions_that_bring_rows(source, is_spark=False)) == []
    assert list(_functions_that_bring_rows(f"import pyspark\n\n{source}", is_spark=False)) == ["first"]
