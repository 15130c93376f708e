"""How times are written is told from their texts, as Spark's patterns or units."""

from __future__ import annotations

import pytest

from jobs.raw.drafting.time_forms import time_form


@pytest.mark.parametrize(
    ("texts", "pattern", "zone"),
    [
        (["2024-03-09 10:00:00"], "yyyy-MM-dd HH:mm:ss", ""),
        (["2024-03-09T10:00:00Z", "2024-03-09T10:00:00.123+01:00"], "yyyy-MM-dd'T'HH:mm:ss[.SSSSSSSSS]XXX", "offset"),
        (["2024-03-08 21:00:00 -0500"], "yyyy-MM-dd HH:mm:ss Z", "offset"),
        (["2019-10-01 00:00:00 UTC"], "yyyy-MM-dd HH:mm:ss 'UTC'", "UTC"),
        (["09.03.2024 10:00"], "dd.MM.yyyy HH:mm", ""),
        (["3/19/2024 3:15 PM", "3/9/2024 11:15 AM"], "M/d/yyyy h:mm a", ""),
        (["Mar 9, 2024"], "MMM d, yyyy", ""),
        (["20240309"], "yyyyMMdd", ""),
        (["1709949600"], "unix_seconds", "UTC"),
        (["1709949600000"], "unix_milliseconds", "UTC"),
        (["1709949600000000"], "unix_microseconds", "UTC"),
        (["1.7099496E9"], "unix_seconds", "UTC"),
    ],
)
def test_a_pattern_or_a_unit_is_told(texts: list[str], pattern: str, zone: str) -> None:
    form = time_form(dict.fromkeys(texts, 1))
    assert form is not None
    assert (form.pattern, zone in form.zone) == (pattern, True)


def test_day_and_month_that_may_both_be_meant_leave_two_patterns() -> None:
    form = time_form({"05/06/2024": 3, "04/06/2024": 1})
    assert form is not None
    assert (form.pattern, form.other_pattern) == ("dd/MM/yyyy", "MM/dd/yyyy")
    assert form.swapped().span == ("2024-04-06", "2024-05-06")
    sure = time_form({"05/06/2024": 3, "25/06/2024": 1})
    assert sure is not None and sure.other_pattern == ""


@pytest.mark.parametrize("text", ["4006381333931", "12.50", "u1", "0309", "1000000001.1709000001"])
def test_articles_prices_and_visitors_are_no_times(text: str) -> None:
    assert time_form({text: 1}) is None


def test_what_is_written_otherwise_is_named() -> None:
    form = time_form({"29-01-2021 07:01": 8, "81": 1, "01:21.7": 1})
    assert form is not None
    assert (form.pattern, form.share, form.odd) == ("dd-MM-yyyy HH:mm", 0.8, ("81", "01:21.7"))


def test_a_time_of_the_day_has_no_day() -> None:
    form = time_form({"10:00:01": 1})
    assert form is not None and (form.pattern, form.has_date) == ("HH:mm:ss", False)


def test_days_are_those_of_utc_where_the_times_name_their_offset() -> None:
    form = time_form({"2024-03-08 21:00:00 -0500": 2})
    assert form is not None and form.days == {"2024-03-09": 2}
