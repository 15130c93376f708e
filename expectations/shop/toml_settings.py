"""Fills frozen dataclasses from TOML tables, and refuses what it does not know.

A mistyped key in a shop file or a model config must stop the night with its name, not be ignored until
somebody wonders why a rule has no effect.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from expectations.tables import NightError

T = TypeVar("T")


class SettingsError(NightError):
    """A shop file or a model config says something that it cannot mean."""


def settings_from_mapping(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Builds the dataclass `cls` from a TOML table.

    Nested dataclasses, tuples of them, and `dict[str, ...]` are followed; other values must have the annotated type.

    Args:
        where: what the message calls this table, such as `shops/demo.toml [events]`.

    Raises:
        SettingsError: an unknown key, a missing one, a value of another type, or one that `cls` itself refuses.
    """
    declared: dict[str, Field[Any]] = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in declared:
            close = get_close_matches(key, declared, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" Known keys: {', '.join(declared)}."
            raise SettingsError(f"{where}: unknown key {key!r}.{hint}")
    for name, field in declared.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise SettingsError(f"{where}: the key {name!r} is missing.")
    hints = get_type_hints(cls)
    converted = {key: _converted(hints[key], value, f"{where} {key}") for key, value in values.items()}
    try:
        return cls(**converted)
    except SettingsError:
        raise
    except ValueError as err:
        raise SettingsError(f"{where}: {err}") from err


def _converted(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _converted(next(a for a in arguments if a is not type(None)), value, where)
    if is_dataclass(hint) and isinstance(hint, type):
        _require(isinstance(value, Mapping), "a table", value, where)
        return settings_from_mapping(hint, value, where)
    if origin is tuple:
        _require(isinstance(value, list), "a list", value, where)
        return tuple(_converted(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        _require(isinstance(value, Mapping), "a table", value, where)
        return {key: _converted(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is Literal:
        _require(value in arguments, f"one of {', '.join(map(repr, arguments))}", value, where)
        return value
    if hint is float:
        _require(isinstance(value, int | float) and not isinstance(value, bool), "a number", value, where)
        return float(value)
    if hint is int:
        _require(isinstance(value, int) and not isinstance(value, bool), "a whole number", value, where)
        return value
    if hint in (str, bool):
        _require(isinstance(value, hint), {str: "text", bool: "true or false"}[hint], value, where)
    return value


def _require(holds: bool, rule: str, value: Any, where: str) -> None:
    if not holds:
        raise SettingsError(f"{where} must be {rule}. Received: {value!r}")
