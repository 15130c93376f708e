"""docs/configuration.md tells every setting, as the code has it."""

from __future__ import annotations

from tests.docs.configuration_page import HEADINGS, PAGE, page_text
from tests.docs.settings_table import settings_rows


def test_the_page_tells_every_setting_as_the_code_has_it() -> None:
    text = PAGE.read_text("utf-8")
    assert page_text(text) == text, "Run python -m tests.docs.configuration_page"


def test_every_kind_of_setting_has_a_heading() -> None:
    assert {row["kind"] for row in settings_rows()} == set(HEADINGS)
