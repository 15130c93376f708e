"""Bounds of settings, which stand at their fields: `Annotated[int, Field(ge=1), "must be at least 1"]`.

The text beside a bound is how a refusal words it. `toml_settings` checks what is read from a file; `Bounded` checks
what Python code makes, too.
"""

from __future__ import annotations

import types
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError

AtLeastOne = Annotated[int, Field(ge=1), "must be at least 1"]
NotNegativeInt = Annotated[int, Field(ge=0), "must be 0 or more"]
ZeroForNoBound = Annotated[int, Field(ge=0), "must be 0 (no bound) or more"]
Share = Annotated[float, Field(ge=0, le=1), "must lie between 0 and 1"]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1), "must lie in [0, 1)"]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False), "must be a number from 0"]
PositiveAmount = Annotated[float, Field(gt=0, allow_inf_nan=False), "must be a number above 0"]
NotNegative = Annotated[float, Field(ge=0), "must be 0 or more"]
OneOrMore = Annotated[float, Field(ge=1), "must be at least 1"]
Positive = Annotated[float, Field(gt=0), "must be more than 0"]

TYPE_WORDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "dataclass_type": "a table",
}
"""What pydantic calls a value of another type -> what it had to be."""


def one_of(*words: str) -> Any:
    """A text setting's choices."""
    return Field(pattern=f"^({'|'.join(words)})$")


class Bounded:
    """Base of the dataclasses of settings: refuses what a bound at a field excludes, also of `replace` and `Config(…)`.

    A `__post_init__` that checks more calls this one first. Types are left to the type checker.
    """

    def __post_init__(self) -> None:
        """Checks each bound.

        Raises:
            ValueError: names the first field outside of its bound.
        """
        for name, hint, adapter in _bounded_fields(cast("Hashable", type(self))):
            try:
                adapter.validate_python(getattr(self, name))
            except ValidationError as err:
                for error in err.errors(include_url=False):
                    place, at = name, hint
                    for step in error["loc"]:
                        at, joined = inside(at, step)
                        place += joined
                    if error["type"] not in TYPE_WORDS and words_of(at):
                        raise ValueError(f"`{place}` {words_of(at)}. Received: {error['input']!r}") from err


@cache
def _bounded_fields(cls: Any) -> list[tuple[str, Any, TypeAdapter[Any]]]:
    hints = get_type_hints(cls, include_extras=True)
    names = [field.name for field in fields(cls) if _has_bound(hints[field.name])]
    return [(name, hints[name], TypeAdapter(hints[name])) for name in names]


def _has_bound(hint: Any) -> bool:
    return bool(words_of(hint)) or any(_has_bound(inner) for inner in get_args(plain_type(hint)))


def plain_type(hint: Any) -> Any:
    """A field's type without its bounds and without `| None`."""
    while get_origin(hint) in (Annotated, Union, types.UnionType):
        hint = next(a for a in get_args(hint) if a is not type(None))
    return hint


def words_of(hint: Any) -> str:
    """How a field's bound is worded; empty where it has none."""
    while get_origin(hint) in (Annotated, Union, types.UnionType):
        for word in reversed(getattr(hint, "__metadata__", ())):
            if isinstance(word, str):
                return word
        hint = next(a for a in get_args(hint) if a is not type(None))
    return ""


def inside(hint: Any, step: str | int) -> tuple[Any, str]:
    """The type of one field, item or value, and how its name is joined to that of the table."""
    hint = plain_type(hint)
    if is_dataclass(hint):
        return get_type_hints(hint, include_extras=True)[str(step)], f" {step}"
    return (get_args(hint)[0], f"[{step}]") if get_origin(hint) is tuple else (get_args(hint)[1], f".{step}")
