"""A day that is too dirty or too small stops before anything is written."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from expectations.shop.drop_settings import Drops
from expectations.shop.raw_files import RawFile, RejectRule
from expectations.shop.shop import Shop
from expectations.tables import NightError
from jobs.raw.drop_counts import DropCounts, report_lines
from jobs.raw.drop_limits import guest_warnings, require_usable_drops

DAY = "2024-03-10"
EIGHT_EARLIER = {f"2024-03-0{day}": 100 for day in range(1, 9)}


def require_usable_events(shop: Shop, count: DropCounts, earlier: dict[str, int]) -> None:
    require_usable_drops(shop, {"events": {DAY: count}}, {"events": earlier})


def test_a_usual_day_passes(shop: Shop) -> None:
    require_usable_events(shop, DropCounts(100, {"future": 5}), EIGHT_EARLIER)


def test_too_many_rows_that_break_the_contract_fail_the_day(shop: Shop) -> None:
    with pytest.raises(NightError, match=rf"corner drop of {DAY}: 6 of 100 rows.*max_reject_share=0.05 \(future 6\)"):
        require_usable_events(shop, DropCounts(100, {"future": 6}), {})


def test_what_the_shop_rejects_by_rule_and_duplicates_are_no_dirt(shop: Shop) -> None:
    shop = replace(shop, events=replace(shop.events, reject=(RejectRule("tests", "customer", matches="^test"),)))
    require_usable_events(shop, DropCounts(100, {"tests": 60, "duplicate": 30, "future": 5}), {})


def test_a_day_without_an_accepted_row_fails(shop: Shop) -> None:
    with pytest.raises(NightError, match=r"none of its 40 rows was accepted \(duplicate 30, future 10\)"):
        require_usable_events(shop, DropCounts(40, {"future": 10, "duplicate": 30}), {})


def test_a_day_far_below_the_usual_size_fails(shop: Shop) -> None:
    with pytest.raises(NightError, match=r"4 rows, below min_rows_share=0.05 of the usual 100"):
        require_usable_events(shop, DropCounts(4), EIGHT_EARLIER)


def test_a_young_shop_has_no_usual_size(shop: Shop) -> None:
    six = dict(list(EIGHT_EARLIER.items())[:6])
    require_usable_events(shop, DropCounts(4), six)
    sooner = replace(shop, drops=replace(shop.drops, min_earlier_drops=6))
    with pytest.raises(NightError, match="4 rows, below min_rows_share"):
        require_usable_events(sooner, DropCounts(4), six)


def test_the_shop_says_how_many_drops_make_the_usual_size(shop: Shop) -> None:
    sizes = {**EIGHT_EARLIER, "2024-03-09": 10}
    with pytest.raises(NightError, match="of the usual 100"):
        require_usable_events(shop, DropCounts(4), sizes)
    last_alone = replace(shop, drops=replace(shop.drops, compared_drops=1))
    require_usable_events(last_alone, DropCounts(4), sizes)


def test_days_of_one_pass_are_compared_with_each_other_and_never_with_later_ones(shop: Shop) -> None:
    shop = replace(shop, drops=replace(Drops(), min_rows_share=0.5))
    counts = {**{day: DropCounts(rows) for day, rows in EIGHT_EARLIER.items()}, DAY: DropCounts(60)}
    later = {f"2024-03-{day}": 1000 for day in range(11, 25)}
    require_usable_drops(shop, {"events": counts}, {"events": later})
    with pytest.raises(NightError, match=f"drop of {DAY}: 40 rows"):
        require_usable_drops(shop, {"events": {**counts, DAY: DropCounts(40)}}, {})


def with_items(shop: Shop, items_file: str = "full") -> Shop:
    return replace(shop, items=RawFile("items-{ds}.csv", columns={"item_id": "id"}), items_file=items_file)


ITEMS_FILES: dict[str, tuple[str, DropCounts, str | None]] = {
    "as usual": ("full", DropCounts(60), None),
    "of changes, and hardly any": ("changes", DropCounts(1), None),
    "of changes, and none": ("changes", DropCounts(0), None),
    "cut off": (
        "full",
        DropCounts(49),
        "corner items file of .*: 49 rows, below min_catalogue_share=0.5 of the usual 100",
    ),
    "empty": ("full", DropCounts(0), "items file of .* is empty: a drop must have at least one row"),
    "wholly refused": (
        "full",
        DropCounts(3, {"unreadable_price": 3}),
        r"items file of .*: none of its 3 rows was accepted \(unreadable_price 3\)",
    ),
    "dirty": (
        "full",
        DropCounts(100, {"unreadable_price": 6}),
        r"6 of 100 rows break the contract.* or name the rule under \[\[items.reject\]\]",
    ),
}


@pytest.mark.parametrize("found", ITEMS_FILES)
def test_a_file_of_items_has_its_guards_too(shop: Shop, found: str) -> None:
    items_file, count, refusal = ITEMS_FILES[found]
    shop = with_items(shop, items_file)
    with nullcontext() if refusal is None else pytest.raises(NightError, match=refusal):
        require_usable_drops(shop, {"items": {DAY: count}}, {"items": EIGHT_EARLIER})


def test_a_row_that_a_users_file_is_refused_leaves_what_stood(shop: Shop) -> None:
    shop = replace(shop, users=RawFile("users-{ds}.csv", columns={"user_id": "id"}))
    require_usable_drops(shop, {"users": {DAY: DropCounts(3, {"missing_user_id": 3})}}, {"users": EIGHT_EARLIER})


PARTIAL_FILES: dict[str, tuple[str, DropCounts, str | None]] = {
    "clean users": ("users", DropCounts(40, {"missing_user_id": 2, "repeated_user_id": 30}), None),
    "dirty users": (
        "users",
        DropCounts(40, {"missing_user_id": 3}),
        r"corner users file of .*: 3 of 40 rows break the contract, above max_reject_share=0.05 .*\[\[users.reject\]\]",
    ),
    "no users": (
        "users",
        DropCounts(20, {"malformed": 20}),
        r"users file of .*: none of its 20 rows was accepted \(malformed 20\)",
    ),
    "clean changes": ("items", DropCounts(40, {"repeated_item_id": 30}), None),
    "dirty changes": ("items", DropCounts(40, {"missing_item_id": 3}), "corner items file of .*: 3 of 40 rows break"),
    "small changes": ("items", DropCounts(19, {"missing_item_id": 19}), None),
}


@pytest.mark.parametrize("found", PARTIAL_FILES)
def test_files_of_users_and_of_changes_may_not_be_dirty(shop: Shop, found: str) -> None:
    """They may say of one thing twice, and a few rows are no share."""
    kind, count, refusal = PARTIAL_FILES[found]
    shop = replace(with_items(shop, "changes"), users=RawFile("users-{ds}.csv", columns={"user_id": "id"}))
    with nullcontext() if refusal is None else pytest.raises(NightError, match=refusal):
        require_usable_drops(shop, {kind: {DAY: count}}, {kind: EIGHT_EARLIER})


def test_a_shop_may_bound_the_size_of_its_users_file(shop: Shop) -> None:
    shop = replace(shop, users=RawFile("users-{ds}.csv", columns={"user_id": "id"}))
    counts = {"users": {DAY: DropCounts(30)}}
    require_usable_drops(shop, counts, {"users": EIGHT_EARLIER})
    shop = replace(shop, drops=replace(Drops(), min_users_share=0.5))
    with pytest.raises(NightError, match=r"users file of .*: 30 rows, below min_users_share=0.5 of the usual 100"):
        require_usable_drops(shop, counts, {"users": EIGHT_EARLIER})


@pytest.mark.parametrize(
    ("count", "warns"),
    [
        (DropCounts(1_500, {"malformed": 300}, guests={"0": 241}), True),
        (DropCounts(1_200, guests={"0": 240}), False),
        (DropCounts(999, guests={"guest": 999}), False),
    ],
)
def test_one_user_who_is_many_guests_is_warned_of(shop: Shop, count: DropCounts, warns: bool) -> None:
    said = guest_warnings(shop, {DAY: count})
    sentence = (
        f"corner drop of {DAY}: user '0' has 241 of 1200 events. Where guests are written so, add '0' to null_words"
    )
    assert len(said) == warns
    assert all(warning.startswith(sentence) for warning in said)


def test_a_day_without_an_event_of_its_week_fails(shop: Shop) -> None:
    """As where day and month are swapped, or seconds are taken for milliseconds."""
    near, far = ("2024-03-03 00:00", "2024-03-03 10:00"), ("1970-01-20 18:59", "2024-03-02 23:59")
    require_usable_events(shop, DropCounts(5, times=near), {})
    with pytest.raises(NightError, match="earliest is of 1970-01-20 18:59, the latest of 2024-03-02 23:59") as error:
        require_usable_events(shop, DropCounts(5, times=far), {})
    assert "time_format" in str(error.value)


@pytest.mark.parametrize(
    ("count", "is_closed"),
    [(DropCounts(0), True), (DropCounts(2, {"tests": 2}), True), (DropCounts(2, {"tests": 1, "future": 1}), False)],
)
def test_a_file_without_events_is_a_closed_day_where_the_shop_has_such(
    shop: Shop, count: DropCounts, is_closed: bool
) -> None:
    rule = RejectRule("tests", "customer", matches="^test")
    shop = replace(shop, events=replace(shop.events, reject=(rule,)), drops=replace(shop.drops, missing_day="closed"))
    with nullcontext() if is_closed else pytest.raises(NightError):
        require_usable_events(shop, count, EIGHT_EARLIER)
    with pytest.raises(NightError):
        require_usable_events(replace(shop, drops=replace(shop.drops, missing_day="error")), count, EIGHT_EARLIER)


def test_a_refusal_shows_rows_and_what_is_most_often_the_matter(shop: Shop) -> None:
    examples = {"future": ['e.csv line 3: {"time":"2025"}', "e.csv line 7: {}"]}
    with pytest.raises(NightError) as error:
        require_usable_drops(shop, {"events": {DAY: DropCounts(9, {"future": 9})}}, {}, lambda kind, ds: examples)
    assert 'For example: future: e.csv line 3: {"time":"2025"} | e.csv line 7: {}' in str(error.value)
    assert "unix_milliseconds" in str(error.value)


def test_a_report_tells_rows_reasons_and_cells() -> None:
    times = ("2024-03-10 00:01", "2024-03-10 23:59")
    counts = DropCounts(12_345, {"future": 2, "malformed": 7}, {"unreadable_price": 3}, times)
    assert report_lines("events", counts, {"future": ["e.csv line 3: {}"]}) == [
        "events: 12,345 rows, 12,336 accepted, from 2024-03-10 00:01 to 2024-03-10 23:59 UTC",
        "  malformed: 7 rows",
        "  future: 2 rows",
        "    e.csv line 3: {}",
        "  unreadable_price: 3 cells are unknown",
    ]
