"""The words of reasons: every language words every code, and a shop's own words are looked at before they are used."""

from __future__ import annotations

import pytest

from expectations.shop.raw_files import RawFile
from expectations.shop.reason_texts import LANGUAGES, POPULAR_ALWAYS, TITLE, require_texts, worded
from expectations.shop.reasons import Reason
from expectations.shop.shop import Shop


def shop_of(**settings: object) -> Shop:
    columns = {"event_time": "time", "user_id": "customer", "item_id": "article"}
    raw = RawFile(path="{data}/{ds}.csv", columns=columns, constants={"event_type": "purchase"})
    return Shop(name="corner", events=raw, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_words_every_reason_and_cites_where_english_does(language: str) -> None:
    assert set(LANGUAGES[language]) == {*Reason, POPULAR_ALWAYS}
    for code, text in LANGUAGES[language].items():
        assert text.count(TITLE) == LANGUAGES["en"][code].count(TITLE) <= 1


def test_a_title_comes_in_where_the_template_says() -> None:
    texts = shop_of(language="zh").texts
    assert worded(texts, Reason.BECAUSE_YOU_BOUGHT, "recent_demand") == ("因为您购买过“", "”")
    assert worded(texts, Reason.PICKED_FOR_YOU, "recent_demand") == ("为您精选", None)


def test_demand_of_all_time_is_not_popular_now() -> None:
    texts = shop_of().texts
    assert worded(texts, Reason.POPULAR, "recent_demand")[0] == "Popular right now"
    assert worded(texts, Reason.POPULAR, "all_time_popularity")[0] == "Popular with our customers"


def test_a_shops_own_words_stand_in_place_of_those_that_ship() -> None:
    texts = shop_of(reason_texts={"alike": "Wie {title}"}).texts
    assert worded(texts, Reason.ALIKE, "recent_demand") == ("Wie ", "")
    assert worded(texts, Reason.BUY_AGAIN, "recent_demand") == ("You bought this before", None)


@pytest.mark.parametrize(
    ("language", "own", "message"),
    [
        ("de", {}, r"`language` must be one of en, zh.* Received: 'de'"),
        ("en", {"alikee": "Like {title}"}, r"`reason_texts` must name .*alike.* Received: 'alikee'"),
        ("en", {"alike": "Like it"}, r"`reason_texts.alike` must hold \{title\} once. Received: 'Like it'"),
        ("en", {"alike": "{title}, like {title}"}, "must hold"),
        ("en", {"buy_again": "{title} again"}, r"`reason_texts.buy_again` must be a text without \{title\}"),
        ("en", {"buy_again": " "}, "must be a text"),
    ],
)
def test_words_that_no_reason_can_have_are_refused(language: str, own: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_texts(language, own)
