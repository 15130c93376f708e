"""Values inside objects and lists, by a path, and one row for each element of a list.

A path is names between dots: `ecommerce.transaction_id`, `items[].item_id` for one row an element of the list `items`,
`event_params[key=ga_session_id].value` for the element of a list of keys and values that has this key. A raw column
whose own name holds dots is found by that name first. Where a path without `[]` comes to a list of objects, it is read
as if `[]` stood there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

_STEP = re.compile(r"([^.\[\]]+)((?:\[[^\]]*\])*)(?:\.|$)")
TYPED_VALUE = "_value"
"""How the names end of an object's fields that each hold the value in one type."""


@dataclass(frozen=True)
class Step:
    """One name of a path.

    Attributes:
        unrolls: whether every element of the list that it names becomes a row.
        key: with a key and a value, the element of the list that has them.
    """

    name: str
    unrolls: bool = False
    key: tuple[str, str] | None = None


@cache
def steps_of(path: str) -> tuple[Step, ...]:
    """Takes a path apart. A text that is no path is one name."""
    steps: list[Step] = []
    place = 0
    while place < len(path):
        match = _STEP.match(path, place)
        if match is None:
            return (Step(path),)
        name, brackets = match[1], match[2]
        key = re.fullmatch(r"\[([^=\]]+)=([^\]]*)\]", brackets)
        if brackets not in ("", "[]") and key is None:
            return (Step(path),)
        steps.append(Step(name, brackets == "[]", (key[1], key[2]) if key else None))
        place = match.end()
    return tuple(steps)


def is_path(name: str) -> bool:
    """Whether a raw column leads into an object or a list."""
    steps = steps_of(name)
    return len(steps) > 1 or steps[0].unrolls or steps[0].key is not None


class SeveralListsError(ValueError):
    """The columns of one row lead through two lists, so that it is not clear which elements belong together."""


@dataclass(frozen=True)
class _Elements:
    """What a path found behind a list: one value for each of its elements."""

    of: str
    values: Sequence[Any]


def unrolled(row: Mapping[str, Any], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields the values of the columns: once, or for each element of the list that some of them lead through.

    Nothing is yielded where that list is empty; where it is absent, its values are.

    Raises:
        SeveralListsError: they lead through two lists.
    """
    found = {name: row[name] if name in row else _value(row, steps_of(name)) for name in columns}
    lists = {value.of: len(value.values) for value in found.values() if isinstance(value, _Elements)}
    if not lists:
        yield found
        return
    if len(lists) > 1:
        raise SeveralListsError(f"columns lead through the lists {sorted(lists)}; one list a row can be unrolled")
    for place in range(next(iter(lists.values()))):
        yield {name: value.values[place] if isinstance(value, _Elements) else value for name, value in found.items()}


def found_columns(row: Mapping[str, Any], columns: Sequence[str]) -> set[str]:
    """Returns the columns whose first name the row holds."""
    return {name for name in columns if name in row or steps_of(name)[0].name in row}


def _value(value: Any, steps: Sequence[Step], passed: str = "") -> Any:
    for place, step in enumerate(steps):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step.name)
        passed = f"{passed}.{step.name}" if passed else step.name
        rest = steps[place + 1 :]
        if step.key is not None:
            value = _element_with(value, *step.key)
        elif isinstance(value, list) and (step.unrolls or (rest and _holds_objects(value))):
            return _Elements(passed, [_value(element, rest) if rest else element for element in value])
    return _typed(value) if isinstance(value, Mapping) else value


def _holds_objects(values: Sequence[Any]) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _element_with(elements: Any, key: str, wanted: str) -> Any:
    for element in elements if isinstance(elements, list) else ():
        if isinstance(element, Mapping) and str(element.get(key)) == wanted:
            return element
    return None


def _typed(value: Mapping[str, Any]) -> Any:
    """Returns the one value of an object that has a field for each type, as GA4's parameters have; else the object."""
    if value and all(name.endswith(TYPED_VALUE) for name in value):
        return next((of_type for of_type in value.values() if of_type is not None), None)
    return value


def text_of(value: Any) -> str | None:
    """Returns the text of a value; that of a list or an object is JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def is_text(value: Any) -> bool:
    """Whether a value is one text, number or yes-or-no."""
    return not isinstance(value, list | Mapping)
