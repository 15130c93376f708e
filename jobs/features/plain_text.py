"""Text as a shopper reads it: without markup, entities and control characters, on one line.

Whatever a shop drops comes through: text in any script, broken HTML, HTML that was escaped once too often, a
description of 100 kB. The work is bounded by what is asked for, not by what was dropped.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

MAX_RAW_CHARACTERS = 20_000
"""What is looked at of one text; the rest of a longer one is not."""
_CHUNK_CHARACTERS = 1_000
"""Characters that the parser is fed at a time."""
_TAG = re.compile(r"<[A-Za-z/!?][^<]*>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufeff]+")
_WITHIN_WORDS = frozenset(
    {"a", "b", "big", "em", "font", "i", "mark", "s", "small", "span", "strong", "sub", "sup", "u", "wbr"}
)
"""Tags that do not part two words."""


def plain_text(raw: str | None, max_characters: int) -> str:
    """Returns the first `max_characters` of what is to be read in `raw`; empty where that is nothing."""
    text = (raw or "")[:MAX_RAW_CHARACTERS]
    if "<" not in text and "&" in text:
        # Feeds escape their markup whole; what looks like tags afterwards, is tags.
        text = html.unescape(text)
    # A parser of HTML would take these frames of XML for a comment, with all that is in them.
    text = text.replace("<![CDATA[", " ").replace("]]>", " ")
    if _TAG.search(text):
        text = _without_markup(text, max_characters)
    elif "&" in text:
        text = html.unescape(text)
    return " ".join(_CONTROL.sub(" ", text).split())[:max_characters].rstrip()


def _without_markup(text: str, max_characters: int) -> str:
    parser = _Reader()
    for start in range(0, len(text), _CHUNK_CHARACTERS):
        parser.feed(text[start : start + _CHUNK_CHARACTERS])
        if parser.num_characters > max_characters:
            return "".join(parser.parts)
    parser.close()
    return "".join(parser.parts)


class _Reader(HTMLParser):
    """Collects what a browser would show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.num_characters = 0

    def handle_data(self, data: str) -> None:
        if self.cdata_elem not in ("script", "style"):
            self.parts.append(data)
            self.num_characters += len(data.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _WITHIN_WORDS:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.handle_starttag(tag, [])
