"""The text of a drafted shop file: TOML, with a comment wherever somebody should look."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Value = str | int | float | bool | Sequence[str]
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_NOTE_AT = 44
"""Column at which comments begin, where what stands before is no longer."""


@dataclass(frozen=True)
class Setting:
    """A line of a shop file.

    Attributes:
        note: why it says so.
        is_guess: whether the files did not tell.
    """

    key: str
    value: Value
    note: str = ""
    is_guess: bool = False


@dataclass
class ShopText:
    """A shop file that is being written.

    Attributes:
        head: comments at the top.
        tables: name, empty for what stands in none -> its lines, in order.
        tail: comments at the end.
    """

    head: list[str] = field(default_factory=list)
    tables: dict[str, list[Setting]] = field(default_factory=dict)
    tail: list[str] = field(default_factory=list)

    def say(self, table: str, key: str, value: Value, note: str = "", is_guess: bool = False) -> None:
        """Adds a line to a table."""
        self.tables.setdefault(table, []).append(Setting(key, value, note, is_guess))

    @property
    def guesses(self) -> list[tuple[str, Setting]]:
        """Every line that says what the files did not tell, with its table."""
        return [(table, line) for table, lines in self.tables.items() for line in lines if line.is_guess]

    def text(self) -> str:
        """The file's text."""
        blocks = [_comments(self.head)] if self.head else []
        for name, lines in sorted(self.tables.items(), key=lambda item: item[0] != ""):
            head = f"[{name}]\n" if name else ""
            blocks.append(head + "".join(_line(line) for line in lines))
        if self.tail:
            blocks.append(_comments(self.tail))
        return "\n".join(blocks)


def toml_of(value: Value) -> str:
    """Returns a value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        # JSON escapes what TOML's basic strings do, but for the one control character above the blank.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"[{', '.join(map(toml_of, value))}]"


def plain(text: str) -> str:
    """A text from a file in one line of a comment: without line ends and control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _line(setting: Setting) -> str:
    key = setting.key if _BARE_KEY.fullmatch(setting.key) else toml_of(setting.key)
    said = f"{key} = {toml_of(setting.value)}"
    note = f"a guess: {setting.note}" if setting.is_guess else setting.note
    return f"{f'{said}  ':<{_NOTE_AT}}# {plain(note)}\n" if note else f"{said}\n"


def _comments(lines: Iterable[str]) -> str:
    return "".join(f"# {plain(line)}".rstrip() + "\n" for line in lines)
