"""Runs what is expected of one table, on Spark, in few queries and little memory.

Great Expectations counts all column rules of a frame in one job when it is asked for a yes or a no; asked for failing
values, it runs a query for every single rule. So it is asked twice: yes or no of all, then for a few failing values of
what failed. Never more than `MAX_FAILING_VALUES` rows come to the driver.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import great_expectations as gx
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent import SparkDatasource
from great_expectations.datasource.fluent.interfaces import Batch
from great_expectations.expectations.expectation import Expectation
from pyspark.sql import DataFrame

from expectations.checks.row_rules import Check
from expectations.tables import Table

MAX_FAILING_VALUES = 5
"""Failing values that the driver fetches and a message names: examples, not all of them."""
_MAX_VALUE_LENGTH = 120
"""Characters of a failing value that a message shows, so that one value stays on one line."""
_SOURCE = "night"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableExpectations:
    """What is expected of one partition of a table.

    Attributes:
        rows: the partition as its files have it.
        shape: columns, types, number of rows.
        checks: makes the rest; called only when the shape holds, for it reads columns by name.
    """

    table: Table
    ds: str
    rows: DataFrame
    shape: Sequence[Expectation]
    checks: Callable[[], Sequence[Check]]


@dataclass(frozen=True)
class TableRun:
    """What came of it. `failures` are in words; empty when all expectations were met."""

    table: Table
    ds: str
    results: tuple[ExpectationValidationResult, ...]
    failures: tuple[str, ...]


def quiet_context() -> EphemeralDataContext:
    """A context of Great Expectations that keeps nothing, shows no progress and sends no usage statistics."""
    warnings.filterwarnings("ignore", module=r"great_expectations(\..*)?")
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context: EphemeralDataContext = gx.get_context(mode="ephemeral", project_config=config)
    context.data_sources.add_spark(_SOURCE, persist=False)
    return context


def run_table(context: EphemeralDataContext, expected: TableExpectations) -> TableRun:
    """Checks the shape of a table, and what its values mean when the shape holds."""
    name = f"{expected.table.name} ds={expected.ds}"
    results = _run(context, f"{name} shape", expected.rows, expected.shape)
    if all(result.success for result in results):
        for number, check in enumerate(expected.checks()):
            rows = check.checked_rows().persist()
            try:
                results += _run(context, f"{name} {number}", rows, check.all_expectations())
            finally:
                rows.unpersist()
    failures = tuple(_in_words(result) for result in results if not result.success)
    logger.info(
        "validated: table=%s ds=%s expectations=%d failed=%d",
        expected.table.name,
        expected.ds,
        len(results),
        len(failures),
    )
    return TableRun(expected.table, expected.ds, tuple(results), failures)


def expectation_of(result: ExpectationValidationResult) -> Expectation:
    """What was expected where `result` came out."""
    config = result.expectation_config
    assert config is not None, "a validation always says what it validated"
    return config.to_domain_obj()


def _run(
    context: EphemeralDataContext, name: str, rows: DataFrame, expectations: Sequence[Expectation]
) -> list[ExpectationValidationResult]:
    source = cast(SparkDatasource, context.data_sources.get(_SOURCE))
    asset = source.add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe(name).get_batch({"dataframe": rows})
    # Of a whole frame there is one figure to observe, and it costs nothing more to show it.
    of_rows = [expectation for expectation in expectations if getattr(expectation, "map_metric", None)]
    of_frame = [expectation for expectation in expectations if not getattr(expectation, "map_metric", None)]
    answers = _validate(batch, of_rows, "BOOLEAN_ONLY")
    failed = [expectation_of(answer) for answer in answers if not answer.success]
    shown = {"result_format": "BASIC", "partial_unexpected_count": MAX_FAILING_VALUES}
    return [answer for answer in answers if answer.success] + _validate(batch, [*of_frame, *failed], shown)


def _validate(
    batch: Batch, expectations: Sequence[Expectation], result_format: Any
) -> list[ExpectationValidationResult]:
    if not expectations:
        return []
    suite = gx.ExpectationSuite(name="of one frame", expectations=list(expectations))
    return list(batch.validate(suite, result_format=result_format).results)


def _in_words(result: ExpectationValidationResult) -> str:
    """What was expected and what came, on one line."""
    config = expectation_of(result).configuration
    about = config.kwargs.get("column") or config.kwargs.get("column_list")
    expected = f"{config.type}({_shown(about)})" if about else config.type
    if config.description:
        expected += f", {config.description.rstrip('.')}"
    found = result.result
    if "partial_unexpected_list" in found:
        values = ", ".join(_shown(value) for value in found["partial_unexpected_list"][:MAX_FAILING_VALUES])
        return f"{expected}: {found['unexpected_count']} rows fail, such as {values}"
    if found.get("observed_value") is not None:
        return f"{expected}: found {_shown(found['observed_value'])}"
    return f"{expected}: could not be checked, {_shown(result.exception_info)}"


def _shown(value: Any) -> str:
    # `repr` keeps a line break that somebody put into an id from breaking the line.
    text = repr(value) if not isinstance(value, str) else repr(value)[1:-1]
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[:_MAX_VALUE_LENGTH]}…"
