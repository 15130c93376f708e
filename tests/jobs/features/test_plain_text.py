"""What a shopper reads in a description, whatever a feed wraps around it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.features.plain_text import MAX_RAW_CHARACTERS, plain_text


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("<p>Oak</p><p>table</p>", "Oak table"),
        ("<b>W</b>arm &amp; dry", "Warm & dry"),
        ("&lt;p&gt;Oak&lt;br/&gt;table&lt;/p&gt;", "Oak table"),
        ("<![CDATA[<p>Oak</p>]]>", "Oak"),
        ("<style>p {color: red}</style><script>go()</script>Oak<!-- made in 1999 -->", "Oak"),
        ("<a title='5 > 4'>Oak</a>", "Oak"),
        ("2 < 3 and 5 > 4, I <3 it", "2 < 3 and 5 > 4, I <3 it"),
        ("from size <M", "from size <M"),
        ("Oak\x00\x07\r\n\ttable\u00a0", "Oak table"),
        ("台灯 <br> デスクランプ 🎉 ᏣᎳᎩ", "台灯 デスクランプ 🎉 ᏣᎳᎩ"),
        ("<p></p>", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_only_what_is_to_be_read_stays(raw: str | None, read: str) -> None:
    assert plain_text(raw, 100) == read


def test_markup_before_the_text_does_not_use_up_its_length() -> None:
    assert plain_text("<div class='wide'>" * 200 + "Oak table", 3) == "Oak"


def test_a_very_long_description_is_read_from_its_start() -> None:
    assert plain_text("<p>Oak</p>" + "<i>x</i> " * 20_000, 5) == "Oak x"
    assert plain_text(" " * MAX_RAW_CHARACTERS + "Oak", 5) == ""


@pytest.mark.parametrize("part", ["<!--", "<![CDATA[", "<a b='", "<script>", "</", "<a>", "&", "<"])
def test_broken_markup_costs_no_more_than_whole_markup(part: str) -> None:
    started = time.process_time()
    plain_text(part * 100_000 + ">", 1_000)
    assert time.process_time() - started < 1


markup = st.lists(st.sampled_from(["<p>", "</p", ">", "<", "&amp;", "&#x", "<!--", "-->", "<script", "]]>", "'", "台"]))


@given(st.one_of(st.text(), markup.map("".join)), st.integers(1, 50))
def test_any_text_gives_one_line_within_its_length(raw: str, max_characters: int) -> None:
    read = plain_text(raw, max_characters)
    assert len(read) <= max_characters
    assert read == " ".join(read.split())


@given(st.lists(st.text(st.characters(categories=("L", "N")), min_size=1), max_size=20))
def test_words_keep_their_order_within_tags(words: list[str]) -> None:
    raw = "".join(f"<li>{word}</li>" for word in words)
    assert plain_text(raw, 1_000) == " ".join(words)[:1_000].rstrip()
