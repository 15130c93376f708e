"""What the documents show: their fenced blocks, and the commands in them and in running text."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from expectations.runtime.code_version import REPOSITORY

PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")), REPOSITORY / "findings" / "README.md")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:make|python -m) [^`…]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def blocks(language: str) -> list[Block]:
    """Returns all blocks in one language, in the order of the pages."""
    found = []
    for path in PAGES:
        for block in FENCED.finditer(path.read_text("utf-8")):
            if block[1] == language:
                found.append(Block(str(path.relative_to(REPOSITORY)), language, block[2]))
    return found


def commands() -> list[tuple[str, ...]]:
    """Returns every command of the documents once, as a shell splits it; variables before a program are left out."""
    lines = [line for block in blocks("bash") for line in block.text.replace("\\\n", " ").splitlines()]
    for path in PAGES:
        lines += [found[1] for found in INLINE.finditer(FENCED.sub("", path.read_text("utf-8")))]
    found = [tuple(shlex.split(line, comments=True)) for line in _joined(lines)]
    return list(dict.fromkeys(words for words in found if words))


def _joined(lines: list[str]) -> list[str]:
    """Lines whose quotes are left open go on in the next one."""
    joined: list[str] = []
    for line in lines:
        if joined and joined[-1].count("'") % 2:
            joined[-1] += "\n" + line
        else:
            joined.append(line)
    return joined
