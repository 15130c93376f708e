"""What a table is, the indices that every vocabulary shares, and the errors of a broken contract."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

EVENT_TYPES = ("view", "click", "cart", "purchase")

AGENTS = ("policy_gradient", "q_learning")
"""What may re-rank lists. Their files in models/configs are of no model that a shop runs."""

PADDING_INDEX = 0
"""Index of "nothing here"; no vocabulary value ever has it."""
UNKNOWN_INDEX = 1
"""Index of a value that the vocabulary does not hold."""
FIRST_VALUE_INDEX = 2
"""Index of the first value of a vocabulary."""
PURCHASE_INDEX = FIRST_VALUE_INDEX + EVENT_TYPES.index("purchase")
"""Of the event type, in every vocabulary."""


class NightError(Exception):
    """A night cannot go on, for a reason that its message gives in one line: rule, what came, what to do."""


class TableContractError(NightError):
    """A table, or a partition of it, is missing or does not keep its contract."""


@dataclass(frozen=True)
class Column:
    """A column; `type` in Spark's DDL. `nullable` says whether "not known" is an answer."""

    name: str
    type: str
    nullable: bool = False
    comment: str = ""


@dataclass(frozen=True)
class Table:
    """A table; `key` names the columns that are unique together."""

    name: str
    home: Literal["lake", "published"]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    built_by: str
    comment: str = ""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def listed(self) -> str:
        """What a row of a published list names: the first column after the key."""
        return self.columns[len(self.key)].name

    @property
    def ddl(self) -> str:
        """The schema as Spark reads it: `name type [NOT NULL], ...`."""
        return ", ".join(f"{c.name} {c.type}{'' if c.nullable else ' NOT NULL'}" for c in self.columns)


def ds_from_text(text: str) -> str:
    """Returns `text` if it is a day written `YYYY-MM-DD`.

    Raises:
        NightError: it is not; `2011-2-30` or `20111109` would otherwise become a partition nobody reads.
    """
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            pass
    raise NightError(f"`ds` must be a day written YYYY-MM-DD, such as 2011-11-09. Received: {text!r}")


def lake_table(name: str, key: str, columns: tuple[Column, ...], built_by: str, comment: str = "") -> Table:
    """A table of the lake; `key` names the columns beside `ds`, separated by spaces."""
    ds = Column("ds", "string", comment="the last complete day of data, YYYY-MM-DD")
    return Table(name, "lake", ("ds", *key.split()), (ds, *columns), built_by, comment)
