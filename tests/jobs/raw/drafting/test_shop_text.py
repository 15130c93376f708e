"""What stands in files comes into the shop file as text, never as TOML."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from jobs.raw.drafting.shop_text import ShopText


@given(st.text(), st.text(), st.text())
def test_any_text_is_read_back_as_it_was(key: str, value: str, note: str) -> None:
    text = ShopText(head=[note], tail=[note])
    text.say("events.event_types", key or "k", value, note, is_guess=True)
    try:
        expected = {"events": {"event_types": {(key or "k").encode().decode(): value.encode().decode()}}}
    except UnicodeEncodeError:
        return  # half a character of UTF-16 cannot stand in a file
    assert tomllib.loads(text.text()) == expected


def test_guesses_are_marked() -> None:
    text = ShopText()
    text.say("", "name", "corner")
    text.say("events", "timezone", "UTC", "the times name no zone", is_guess=True)
    assert "# a guess: the times name no zone\n" in text.text()
    assert [(table, line.key) for table, line in text.guesses] == [("events", "timezone")]
