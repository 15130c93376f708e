"""What the contract in `expectations.tables` says of any table, as Great Expectations."""

from __future__ import annotations

from typing import Any

import great_expectations.expectations as gxe
from great_expectations.compatibility import pydantic
from great_expectations.execution_engine import ExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation, Expectation
from pyspark.sql import functions as F

from expectations.checks.row_rules import RowCheck, is_not_finite
from expectations.tables import Table

_TOLD_BY_DEFAULT = 3
"""Columns of a failing row that a report names at most: enough to find the row, and still one line."""


class ExpectColumnTypesToMatchContract(BatchExpectation):
    """Every column has the type of the contract, the elements of arrays included.

    The library's own expectation looks at the outer type alone: to it, any array is an array.
    """

    types: dict[str, str] = pydantic.Field(description="column name -> type, in Spark's DDL")

    metric_dependencies = ("table.column_types",)
    success_keys = ("types",)
    args_keys = ("types",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine | None = None,
    ) -> dict[str, Any]:
        found = {column["name"]: column["type"].simpleString() for column in metrics["table.column_types"]}
        wrong = [
            f"{name} is {found.get(name)}, not {type_}"
            for name, type_ in self.types.items()
            if found.get(name) != type_
        ]
        return {"success": not wrong, "result": {"observed_value": "; ".join(wrong) or "all as in the contract"}}


def shape_expectations(table: Table, min_rows: int = 1) -> list[Expectation]:
    """Columns, types and number of rows; what the values mean can only be asked when these hold."""
    return [
        gxe.ExpectTableColumnsToMatchOrderedList(column_list=list(table.column_names)),
        ExpectColumnTypesToMatchContract(
            types={column.name: column.type for column in table.columns},
            description="Every column has the type of the contract.",
        ),
        gxe.ExpectTableRowCountToBeBetween(min_value=min_rows),
    ]


def contract_expectations(table: Table, ds: str) -> list[Expectation]:
    """Values that must be there, the partition's own day, and the key."""
    expectations: list[Expectation] = [
        gxe.ExpectColumnValuesToNotBeNull(column=column.name) for column in table.columns if not column.nullable
    ]
    expectations.append(gxe.ExpectColumnValuesToBeInSet(column="ds", value_set=[ds]))
    key = [name for name in table.key if name != "ds"]
    if len(key) == 1:
        expectations.append(gxe.ExpectColumnValuesToBeUnique(column=key[0]))
    elif key:
        expectations.append(gxe.ExpectCompoundColumnsToBeUnique(column_list=key))
    return expectations


def contract_row_checks(table: Table) -> list[RowCheck]:
    """Numbers are numbers, and ids are not empty: what "not null" forgets."""
    names = table.column_names
    row = tuple(name for name in (*table.key, *names) if name != "ds")[:_TOLD_BY_DEFAULT]
    row_checks = [
        RowCheck(f"{c.name}_is_finite", f"{c.name} is neither infinite nor NaN.", is_not_finite(c.name), (*row, c.name))
        for c in table.columns
        if c.type in ("double", "float")
    ]
    row_checks += [
        RowCheck(f"{name}_is_not_empty", f"{name} is not empty.", F.trim(name) == "", row)
        for name in ("user_id", "item_id", "domain", "source", "reason_code", "reason", "model_version")
        if name in names
    ]
    return row_checks
