"""Fills frozen dataclasses from TOML tables, and refuses what it does not know.

A mistyped key in a shop file or a model config must stop the night with its name, not be ignored until
somebody wonders why a rule has no effect.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from expectations.shop.bounds import TYPE_WORDS, inside, plain_type, words_of
from expectations.tables import NightError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

T = TypeVar("T")
logger = logging.getLogger(__name__)


class SettingsError(NightError):
    """A shop file or a model config says something that it cannot mean."""


def settings_from_mapping(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Builds the dataclass `cls` from a TOML table; pydantic checks types, choices and bounds as they are annotated.

    A field with `metadata={"old_names": ("old_key",)}` is read from its old key, too, with a warning. A text beside a
    bound, as in `Annotated[int, Field(ge=1), "must be at least 1"]`, is how a refusal words it.

    Args:
        where: what the message calls this table, such as `shops/demo.toml [events]`.

    Raises:
        SettingsError: an unknown key, a missing one, one under its old and its new name, a value of another type, or
            one that a bound or `cls` itself refuses.
    """
    text = json.dumps(with_current_keys(cls, values, where), default=str)
    try:
        return cast("T", _adapter(cast("Hashable", cls)).validate_json(text, strict=True, extra="forbid"))
    except ValidationError as err:
        first = min(err.errors(include_url=False), key=lambda error: error["type"] != "unexpected_keyword_argument")
        raise SettingsError(_refusal(cls, first, where)) from err


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def _refusal(cls: type[Any], error: ErrorDetails, where: str) -> str:
    """What pydantic found, in the words of settings: the table, the key, the rule, and what came."""
    kind, path = error["type"], error["loc"]
    is_about_key = kind in ("unexpected_keyword_argument", "missing")
    hint, names = cls, ""
    for step in path[:-1] if is_about_key else path:
        hint, name = inside(hint, step)
        where, names = (where + names + name, "") if name.startswith("[") else (where, names + name)
    place = where + names
    if kind == "missing":
        return f"{place}: the key {path[-1]!r} is missing."
    if is_about_key:
        known = [f.name for f in fields(plain_type(hint))]
        close = get_close_matches(str(path[-1]), known, n=1)
        hope = f"Did you mean {close[0]!r}?" if close else f"Known keys: {', '.join(known)}."
        return f"{place}: unknown key {path[-1]!r}. {hope}"
    if kind == "value_error":
        return f"{place}: {error['ctx']['error']}"
    if kind not in TYPE_WORDS and (words := words_of(hint)):
        return f"{where}: `{names.strip().replace(' ', '.')}` {words}. Received: {error['input']!r}"
    choices = f"one of {', '.join(map(repr, get_args(plain_type(hint))))}"
    return f"{place} must be {choices if kind == 'literal_error' else TYPE_WORDS[kind]}. Received: {error['input']!r}"


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
    hint = plain_type(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return with_current_keys(hint, value, where) if isinstance(value, Mapping) else value
    if get_origin(hint) is tuple and isinstance(value, list | tuple):
        return [_with_current_keys_inside(get_args(hint)[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if get_origin(hint) is dict and isinstance(value, Mapping):
        return {
            key: _with_current_keys_inside(get_args(hint)[1], item, f"{where}.{key}") for key, item in value.items()
        }
    return value


@cache
def _warn_of_old_name(where: str, old: str, new: str) -> None:
    """Once in a process for each key, however often the table is read."""
    logger.warning("%s: `%s` is now `%s`; the old name is read until the next release", where, old, new)
