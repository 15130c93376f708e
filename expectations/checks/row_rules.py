"""Rules that a schema cannot say: each a column, null where a row keeps the rule, telling what fails where it does not.

Great Expectations then only has to expect that the column is null. It counts all such columns of a table in one Spark
job, however many rules there are, and shows the failing values as they are told here. Rules about a whole list or about
another table are rows of a frame of their own, made with a join or an aggregate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

MAX_TOLD_LENGTH = 80
"""Of one failing value: a sample in a message, not the data."""


@dataclass(frozen=True)
class RowCheck:
    """What holds for every row of a frame.

    Attributes:
        name: reads as the rule, such as `item_is_available`; becomes a column of the checked frame.
        statement: the rule in words, for Data Docs and the night's error.
        is_broken: true where a row breaks it; null counts as kept.
        tell: the columns whose values show what is wrong.
    """

    name: str
    statement: str
    is_broken: Column
    tell: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """A frame and what is expected of it.

    Attributes:
        rows: a table's rows, or rows made from them, such as one per user.
    """

    rows: DataFrame
    expectations: Sequence[Expectation] = ()
    row_checks: Sequence[RowCheck] = field(default=())

    def checked_rows(self) -> DataFrame:
        """Returns `rows` with a column per row check, null where a row keeps it."""
        return self.rows.withColumns(
            {check.name: F.when(check.is_broken, told(*check.tell)).otherwise(F.lit(None)) for check in self.row_checks}
        )

    def all_expectations(self) -> list[Expectation]:
        """Returns the expectations, those of the row checks included."""
        of_rows = [
            gxe.ExpectColumnValuesToBeNull(column=check.name, description=check.statement) for check in self.row_checks
        ]
        return [*self.expectations, *of_rows]


def told(*columns: str) -> Column:
    """`user_id=7 item_id=9`: the values of a row as text, long ones cut."""
    parts = [
        F.concat(
            F.lit(f"{name}="), F.substring(F.coalesce(F.col(name).cast("string"), F.lit("null")), 1, MAX_TOLD_LENGTH)
        )
        for name in columns
    ]
    return F.concat_ws(" ", *parts)


def is_not_finite(column: str) -> Column:
    """True for NaN and both infinities."""
    return F.isnan(column) | (F.abs(F.col(column)) == F.lit(float("inf")))
