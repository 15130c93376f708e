"""What every kind of table that raw rows come from can tell, and how what it says is kept free of secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any, Protocol
from urllib.parse import unquote

import pyarrow as pa

from expectations.tables import NightError

ROWS_A_BATCH = 20_000
"""Rows that are held at a time, so that memory does not depend on the size of a day."""


_PASSWORD_OF_URL = re.compile(r"://[^/\s:@]*:([^/\s@]*)@")
_OPEN_PROPERTIES = {"name", "type", "uri", "warehouse"}
"""Of a catalog, by which its messages are understood."""


class SourceTable(Protocol):
    """A table that is read for one day at a time."""

    @property
    def place(self) -> str:
        """What messages call it; holds no secret."""

    def days(self) -> Mapping[str, str | None]:
        """Returns the days that have rows -> a text that is another one when the rows may be; None: nothing tells.

        Raises:
            NightError: the table cannot be read, or has no such column.
        """

    def rows_of(self, ds: str) -> AbstractContextManager[pa.RecordBatchReader]:
        """Opens the rows of a day, in no certain order.

        Raises:
            NightError: they cannot be read.
        """


@dataclass(frozen=True)
class Connection:
    """What an environment variable says of how a table is reached.

    Attributes:
        name: of the variable.
        text: what it holds; None where it is not set.
        secrets: parts of it that no message may repeat, beside those that `without_secrets` finds itself.
    """

    name: str
    text: str | None
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Connection({self.name!r})"

    def required(self) -> str:
        """Returns what it holds.

        Raises:
            NightError: it is not set.
        """
        if not self.text:
            raise NightError(
                f"`connection` names the environment variable {self.name}, which is not set. Set it where the night "
                f"runs, to what docs/own_shop.md says of a source that is a table."
            )
        return self.text

    def without_secrets(self, text: str) -> str:
        """Returns a library's words in one line, with stars for what must not be repeated."""
        hidden = {self.text or "", *self.secrets, *_PASSWORD_OF_URL.findall(self.text or ""), *self._properties()}
        for secret in sorted({*hidden, *map(unquote, hidden)}, key=len, reverse=True):
            text = text.replace(secret, "***") if secret else text
        return " ".join(text.split())[:500]

    def _properties(self) -> Iterator[str]:
        """The values of a JSON object that may be secrets, whatever a catalog or a store calls them."""
        try:
            properties = json.loads(self.text or "")
        except json.JSONDecodeError:
            return
        if isinstance(properties, dict):
            yield from (str(value) for name, value in properties.items() if name not in _OPEN_PROPERTIES)


def json_object(connection: Connection) -> dict[str, str]:
    """Returns the properties that a connection gives as a JSON object.

    Raises:
        NightError: it holds none.
    """
    try:
        properties = json.loads(connection.required())
    except json.JSONDecodeError:
        properties = None
    if not isinstance(properties, dict):
        raise NightError(
            f"the environment variable {connection.name} must hold a JSON object of properties, such as "
            f'{{"type": "rest", "uri": "https://…"}}. What it holds is none, and is not shown.'
        )
    return {str(name): str(value) for name, value in properties.items()}


@contextmanager
def told_of(place: str, connection: Connection, libraries_errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turns what a library raises while a table is read into one line without secrets."""
    try:
        yield
    except NightError:
        raise
    except libraries_errors as err:
        reason = connection.without_secrets(f"{type(err).__name__}: {err}")
        # Not `from err`: a trace would repeat the library's own words.
        raise NightError(f"{place} cannot be read: {reason}. Check `table` in the shop file.") from None


def told_reader(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], told: Callable[[], AbstractContextManager[None]]
) -> pa.RecordBatchReader:
    """Returns a reader whose failures are told, and not those of whoever reads it."""

    def read() -> Iterator[pa.RecordBatch]:
        with told():
            yield from batches

    return pa.RecordBatchReader.from_batches(schema, read())


def day_of_value(value: Any, day_format: str) -> str | None:
    """Returns the day that a date, a time, a text or a whole number means; None for none."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return (value.astimezone(timezone.utc) if value.tzinfo else value).date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    try:
        day = datetime.strptime(str(value), day_format)
    except ValueError:
        day = None
    # Python takes 2024131 for a %Y%m%d, too.
    if day is None or day.strftime(day_format) != str(value):
        raise NightError(
            f"`day_column` must hold days that are written as `day_format` = {day_format!r} says. Received: {value!r}"
        )
    return day.date().isoformat()
