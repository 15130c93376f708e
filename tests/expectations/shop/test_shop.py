"""A shop file checks itself: each refusal names the key, the rule and what came."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.shop.shop import SHIPPED_SHOPS, load_shop
from expectations.shop.toml_settings import SettingsError

GOOD = """
name = "corner"
[events]
path = "{data}/{ds}.csv"
[events.columns]
event_time = "time"
user_id = "customer"
item_id = "article"
[events.constants]
event_type = "purchase"
"""


def written(folder: Path, text: str) -> str:
    path = folder / "corner.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_short_file_is_a_shop(tmp_path: Path) -> None:
    shop = load_shop(written(tmp_path, GOOD))
    assert (shop.name, shop.events.columns["user_id"], shop.top_k) == ("corner", "customer", 10)
    assert shop.folder == str(tmp_path.resolve())


def test_the_place_of_the_file_does_not_count_as_a_setting(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    first, second = load_shop(written(tmp_path, GOOD)), load_shop(written(tmp_path / "elsewhere", GOOD))
    assert first.as_dict() == second.as_dict()


@pytest.mark.parametrize("path", sorted(SHIPPED_SHOPS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_shops_load_by_name(path: Path) -> None:
    assert load_shop(path.stem).name == path.stem


def test_a_key_that_is_no_longer_read_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shop = load_shop(written(tmp_path, 'currency = "€"\n' + GOOD))
    assert shop == load_shop(written(tmp_path, GOOD))
    assert [m.partition(": ")[2] for m in caplog.messages] == [
        "`currency` is no longer read; take it out before the next release"
    ]


def refusal_of(folder: Path, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(SettingsError) as caught:
        load_shop(written(folder, GOOD.replace(old, new)))
    return str(caught.value)


NAME = 'name = "corner"'
EVENTS = '[events]\npath = "{data}/{ds}.csv"'
REJECT = f'{EVENTS}\nreject = [{{reason = "r", column = "c"%s}}]'
ITEMS = 'name = "corner"\nitems = {path = "{ds}", columns = {item_id = "i"}, is_available_words = %s}'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (NAME, 'name = "Corner Shop"', "`name` must be lower-case letters"),
        (NAME, 'name = "corner"\ntopk = 3', "unknown key 'topk'. Did you mean 'top_k'?"),
        (NAME, 'name = "corner"\nfolder = "/"', "unknown key 'folder'"),
        (NAME, 'name = "corner"\nitems_file = "some"', "`items_file` must be full or changes. Received: 'some'"),
        (NAME, 'name = "corner"\nrepeats = "no"', "`repeats` must be allowed, after_gap or never. Received: 'no'"),
        (NAME, 'name = "corner"\nmax_repeat_share = 1.5', "`max_repeat_share` must lie between 0 and 1. Received: 1.5"),
        (NAME, 'name = "corner"\nhorizon_days = 0', "`horizon_days` must be at least 1. Received: 0"),
        (NAME, 'name = "corner"\ntop_k = 60', "num_candidates=100, top_k=60"),
        (NAME, 'name = "corner"\nactive_days = -1', "`active_days` must be 0 (no bound) or more. Received: -1"),
        (NAME, 'name = "corner"\nretention_days = 60', "whoever is forgotten gets no list. Received: active_days=0"),
        (NAME, 'name = "corner"\nretention_days = 60\nactive_days = 90', "`active_days` must be 1 to 60"),
        (
            NAME,
            'name = "corner"\nnew_users = {min_people = 0}',
            "`new_users.min_people` must be at least 1. Received: 0",
        ),
        (NAME, 'name = "corner"\nnew_items = {days = 0}', "`new_items.days` must be at least 1. Received: 0"),
        (
            NAME,
            'name = "corner"\nnew_items = {exploration_share = 0.6}',
            "`new_items.exploration_share` must lie between 0 and 0.5. Received: 0.6",
        ),
        (NAME, 'name = "corner"\npolicy = {agent = "llm"}', 'must be policy_gradient or q_learning, or "" for none'),
        (NAME, 'name = "corner"\npolicy = {kl_weight = -1}', "`policy.kl_weight` must be 0 or more. Received: -1"),
        (NAME, 'name = "corner"\npolicy = {temperature = inf}', "must be 0 or more, and finite. Received: inf"),
        (NAME, 'name = "corner"\npolicy = {max_loss = 1}', "`policy.max_loss` must lie between 0 and 1. Received: 1"),
        (NAME, 'name = "corner"\npolicy = {log_days = 0}', "`policy.log_days` must be at least 1. Received: 0"),
        (NAME, 'name = "corner"\nmodels = []', "`models` must name at least one model"),
        (NAME, 'name = "corner"\nevent_weights = {buy = 1.0}', "`event_weights` must name view"),
        (NAME, 'name = "corner"\ntarget_events = ["buy"]', "`target_events` must name view"),
        (NAME, 'name = "corner"\ndrops = {missing_day = "skip"}', "`drops.missing_day` must be error or closed"),
        (NAME, 'name = "corner"\nitems_from_events = {item_id = "a"}', "`items_from_events` maps ['item_id']"),
        (NAME, 'name = "corner"\nusers_from_events = {shoe = "a"}', "`users_from_events` maps ['shoe']"),
        (
            NAME,
            'name = "corner"\nitems = {path = "{ds}", columns = {title = "t"}}',
            "`items.columns` must map 'item_id'",
        ),
        (NAME, 'name = "corner"\nusers = {path = "{ds}", columns = {shoe = "t"}}', "`users.columns` maps ['shoe']"),
        ("{ds}", "today", "`events.path` must hold {ds}, the day of the drop. Received: '{data}/today.csv'"),
        ("{data}", "{home}", "`path` may hold {ds}, {data} and {root}. Received: ['home']"),
        (
            EVENTS,
            f'{EVENTS}\nformat = "xml"',
            "`events.format` must be csv, json, parquet, xlsx, delta, iceberg, postgres or duckdb",
        ),
        (EVENTS, f'{EVENTS}\nevent_types = {{buy = "bought"}}', "`event_types` must lead to view"),
        (EVENTS, f'{EVENTS}\npaths_separator = ">"', "`paths_separator` stands between paths, `separator` within one"),
        (EVENTS, f'{EVENTS}\ncurrency_column = "c"', "`currency_column` and `rates` need each other"),
        (EVENTS, f"{EVENTS}\nrates = {{EUR = 1}}", "`currency_column` and `rates` need each other"),
        (
            EVENTS,
            f'{EVENTS}\ncurrency_column = "c"\nrates = {{EUR = 0}}',
            "`events.rates.EUR` must be a number above 0",
        ),
        (EVENTS, f'{EVENTS}\ncurrency_column = "c"\nrates = {{" EUR" = 1}}', "`rates` names [' EUR'], which no cell"),
        (
            EVENTS,
            f"{EVENTS}\nis_available_words = {{ja = true}}",
            "`events.is_available_words` means nothing: only items",
        ),
        (NAME, ITEMS % "{ja = 1}", "is_available_words.ja must be true or false. Received: 1"),
        (NAME, ITEMS % "{NULL = false}", "`is_available_words` names ['NULL'], which no cell holds"),
        (NAME, ITEMS % "{ja = true}", "`items.is_available_words` needs a column: map 'is_available'"),
        (EVENTS, REJECT % "", "rule 'r' needs exactly one condition. Received: []"),
        (EVENTS, REJECT % ", below = 0, is_null = true", "Received: ['is_null', 'below']"),
        (EVENTS, REJECT % ', matches = "("', "'(' is not a regular expression"),
        ('user_id = "customer"\n', "", "`events.columns` must map 'user_id'"),
        ('event_type = "purchase"', 'domain = "things"', "`event_type` must stand in `events.columns`"),
        ('event_type = "purchase"', 'item_id = "x"\nevent_type = "purchase"', "['item_id'] stand in `columns` and in"),
        ('event_type = "purchase"', 'colour = "x"\nevent_type = "purchase"', "`events.columns` maps ['colour']"),
    ],
)
def test_a_shop_that_cannot_be_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    refusal = refusal_of(tmp_path, old, new)
    assert message in refusal
    assert str(tmp_path) in refusal


def test_a_file_that_is_not_there_names_those_that_ship() -> None:
    with pytest.raises(SettingsError, match=r"There is no shop file .*nowhere\.toml.*online_retail"):
        load_shop("nowhere")


def test_a_file_that_is_no_toml_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"corner\.toml is not TOML"):
        load_shop(written(tmp_path, "name = "))
