"""Fills frozen dataclasses from TOML tables, and refuses what it does not know.

A mistyped key in a shop file or a model config must stop the night with its name, not be ignored until
somebody wonders why a rule has no effect.
"""

from __future__ import annotations

import logging
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from expectations.tables import NightError

T = TypeVar("T")
logger = logging.getLogger(__name__)


class SettingsError(NightError):
    """A shop file or a model config says something that it cannot mean."""


def settings_from_mapping(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Builds the dataclass `cls` from a TOML table.

    Nested dataclasses, tuples of them, and `dict[str, ...]` are followed; other values must have the annotated type.
    A field with `metadata={"old_names": ("old_key",)}` is read from its old key, too, with a warning.

    Args:
        where: what the message calls this table, such as `shops/demo.toml [events]`.

    Raises:
        SettingsError: an unknown key, a missing one, one under its old and its new name, a value of another type, or
            one that `cls` itself refuses.
    """
    values = with_current_keys(cls, values, where)
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


def with_current_keys(cls: type[Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Puts the new name of each field in place of an old one, in nested tables, too, and warns of each.

    Raises:
        SettingsError: a table gives a field under two of its names.
    """
    renames = {old: f.name for f in fields(cls) for old in f.metadata.get("old_names", ())}
    hints = get_type_hints(cls)
    current: dict[str, Any] = {}
    for key, value in values.items():
        name = renames.get(key, key)
        if name in current or (name != key and name in values):
            raise SettingsError(f"{where}: `{name}` is given under an old name, too; keep {name!r} alone.")
        if name != key:
            _warn_of_old_name(where, key, name)
        current[name] = _with_current_keys_inside(hints.get(name), value, f"{where} {name}")
    return current


def _with_current_keys_inside(hint: Any, value: Any, where: str) -> Any:
    arguments = [a for a in get_args(hint) if a is not type(None)]
    if is_dataclass(hint) and isinstance(hint, type):
        return with_current_keys(hint, value, where) if isinstance(value, Mapping) else value
    if get_origin(hint) in (Union, types.UnionType):
        return _with_current_keys_inside(arguments[0], value, where)
    if get_origin(hint) is tuple and isinstance(value, list):
        return [_with_current_keys_inside(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if get_origin(hint) is dict and isinstance(value, Mapping):
        return {key: _with_current_keys_inside(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    return value


@cache
def _warn_of_old_name(where: str, old: str, new: str) -> None:
    """Once in a process for each key, however often the table is read."""
    logger.warning("%s: `%s` is now `%s`; the old name is read until the next release", where, old, new)


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
