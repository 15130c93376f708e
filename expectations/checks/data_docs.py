"""Leaves Data Docs: pages of plain HTML that say what was expected of each table and what was found.

    data_docs/index.html                               every run, newest first
    data_docs/runs/<ds>_<stage>_<time>.json            what the index says of a run
    data_docs/validations/<table>/<run>/<time>/….html  one table of one run, made by Great Expectations
    data_docs/static/…                                 the look of these pages

Each run adds files of its own, so that nights which run side by side disturb neither each other nor a reader; and
files are copied into place, so that the root may be an object store.
"""

from __future__ import annotations

import html
import json
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import great_expectations as gx
from great_expectations.core import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
    RunIdentifier,
)
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from great_expectations.render.renderer.site_builder import SiteBuilder
from jinja2 import Environment, FileSystemLoader
from pyarrow import fs

from expectations.checks.suite_runner import TableRun, expectation_of
from expectations.runtime.small_files import whole_file

MAX_RUNS_LISTED = 500
"""The latest runs that the index lists: bounds its length, however long a shop has run."""

_TEMPLATE = "data_docs_index.html"
"""Beside this file."""


def publish_data_docs(
    context: EphemeralDataContext, root: str, ds: str, now: datetime, stage: str, runs: Sequence[TableRun]
) -> str:
    """Adds the pages of one run of a stage and the index, below the lake's root. Returns the index's path."""
    run = RunIdentifier(run_name=f"{ds}_{stage}", run_time=now)
    for table_run in runs:
        _store(context, run, table_run)
    folder = f"{root}/data_docs"
    with tempfile.TemporaryDirectory() as site:
        _build_pages(context, site, with_static=not _exists(f"{folder}/static"))
        fs.copy_files(f"{Path(site).as_uri()}", folder)
    record = {
        "ds": ds,
        "stage": stage,
        "time": now.isoformat(timespec="seconds"),
        "tables": [_line(run, t) for t in runs],
    }
    _write(f"{folder}/runs/{ds}_{stage}_{now:%Y%m%dT%H%M%S%f}.json", json.dumps(record, indent=1))
    _write(f"{folder}/index.html", _index(_records(f"{folder}/runs")))
    return f"{folder}/index.html"


def _store(context: EphemeralDataContext, run: RunIdentifier, table_run: TableRun) -> None:
    name = table_run.table.name
    context.suites.add(gx.ExpectationSuite(name=name, expectations=[expectation_of(r) for r in table_run.results]))
    num_failed = len(table_run.failures)
    num_results = len(table_run.results)
    result = ExpectationSuiteValidationResult(
        success=not num_failed,
        suite_name=name,
        results=[_escaped_result(r) for r in table_run.results],
        statistics={
            "evaluated_expectations": num_results,
            "successful_expectations": num_results - num_failed,
            "unsuccessful_expectations": num_failed,
            "success_percent": 100.0 * (num_results - num_failed) / num_results,
        },
        meta={"run_id": run, "validation_time": run.run_time, "batch_parameters": {"ds": table_run.ds}},
    )
    context.validation_results_store.set(_identifier(run, table_run), result)


def _escaped_result(result: ExpectationValidationResult) -> ExpectationValidationResult:
    """A copy whose failing values are shown as text: an id with HTML in it must not run in a reader's browser."""
    return ExpectationValidationResult(
        success=result.success,
        expectation_config=result.expectation_config,
        result=_escaped(result.result),
        exception_info=_escaped(result.exception_info),
        meta=result.meta,
    )


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value


def _identifier(run: RunIdentifier, table_run: TableRun) -> ValidationResultIdentifier:
    return ValidationResultIdentifier(ExpectationSuiteIdentifier(table_run.table.name), run, f"ds={table_run.ds}")


def _build_pages(context: EphemeralDataContext, site: str, with_static: bool) -> None:
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": site}
    SiteBuilder(context, backend, site_name="Nightjar", show_how_to_buttons=False).build(build_index=False)
    for unused in Path(site).rglob("*.gif"):
        unused.unlink()
    if not with_static:
        shutil.rmtree(Path(site) / "static")


def _line(run: RunIdentifier, table_run: TableRun) -> dict[str, Any]:
    page = "/".join(("validations", *_identifier(run, table_run).to_tuple())) + ".html"
    return {
        "table": table_run.table.name,
        "ds": table_run.ds,
        "expectations": len(table_run.results),
        "failures": list(table_run.failures),
        "page": page,
    }


def _records(folder: str) -> list[dict[str, Any]]:
    """What is known of the latest runs; the latest day first, and of a day the latest run."""
    filesystem, local = fs.FileSystem.from_uri(folder)
    files = [info.path for info in filesystem.get_file_info(fs.FileSelector(local)) if info.path.endswith(".json")]
    records = []
    for path in sorted(files, reverse=True)[:MAX_RUNS_LISTED]:
        with filesystem.open_input_stream(path) as stream:
            records.append(json.loads(stream.readall()))
    return sorted(records, key=lambda record: (record["ds"], record["time"], record["stage"]), reverse=True)


def _index(records: Sequence[dict[str, Any]]) -> str:
    # What the template writes is escaped: a failing value with HTML in it must not run in a reader's browser.
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return environment.get_template(_TEMPLATE).render(records=records)


def _exists(path: str) -> bool:
    filesystem, local = fs.FileSystem.from_uri(path)
    return filesystem.get_file_info(local).type != fs.FileType.NotFound


def _write(path: str, text: str) -> None:
    filesystem, local = fs.FileSystem.from_uri(path)
    with whole_file(filesystem, local) as stream:
        stream.write(text.encode())
