"""Events that lie in several files, files that complete others, and files that stand for all days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.program import Night
from expectations.shop.shop import load_shop
from expectations.shop.toml_settings import SettingsError
from expectations.tables import EVENTS, ITEM_UPDATES, ITEMS, QUARANTINE, NightError
from jobs.ingest import ingest, look_at_drop
from jobs.list_stale import staleness
from tests.worlds.raw_drops import write_drop

DS, BEFORE = "2024-03-10", "2024-03-09"
ShopOf = Callable[[str], Night]

CLICKS_AND_ORDERS = """
[[events]]
path = "{data}/{ds}/clicks.csv"
[events.columns]
event_time = "at"
user_id = "visitor"
item_id = "page"
[events.constants]
event_type = "view"

[[events]]
path = "{data}/{ds}/orders.json"
format = "json"
time_format = "unix_seconds"
[events.columns]
event_time = "paid"
user_id = "customer.id"
item_id = "lines[].sku"
price = "lines[].price"
[events.constants]
event_type = "purchase"
"""
ORDERS = '{"paid": 1710064800, "customer": {"id": "ann"}, "lines": [{"sku": "rug", "price": "9"}, {"sku": "hat"}]}\n'

LINES_OF_ORDERS = """
[events]
path = "{data}/{ds}/lines.csv"
[events.columns]
event_time = "orders.bought"
user_id = "people.person"
item_id = "product"
session_id = "order_id"
[events.constants]
event_type = "purchase"
[events.join.orders]
path = "{data}/{ds}/orders.csv"
key = "order_id"
[events.join.people]
path = "{data}/people.csv"
key = "id"
of = "orders.customer"
[[events.reject]]
reason = "cancelled"
column = "orders.status"
one_of = ["canceled"]
"""


@pytest.fixture
def shop_of(night: Night, tmp_path: Path) -> ShopOf:
    def load(text: str) -> Night:
        path = tmp_path / "several.toml"
        path.write_text(f'name = "several"\n{text}', encoding="utf-8")
        return replace(night, ds=DS, shop=load_shop(str(path)))

    return load


def events(night: Night, ds: str = DS) -> list[tuple[object, ...]]:
    names = ("event_type", "user_id", "item_id", "price")
    return sorted((tuple(row[name] for name in names) for row in night.lake.read(EVENTS, ds).to_pylist()), key=str)


def write_clicks(night: Night, ds: str, *lines: str) -> None:
    write_drop(night.data, f"{ds}/clicks.csv", "at,visitor,page\n" + "".join(f"{ds} {line}\n" for line in lines))


def test_clicks_and_orders_are_two_files_each_with_its_own_columns(spark: SparkSession, shop_of: ShopOf) -> None:
    night = shop_of(CLICKS_AND_ORDERS)
    write_clicks(night, DS, "09:00:00,ann,rug", "10:00:00,bob,hat", "10:00:00,bob,hat")
    write_drop(night.data, f"{DS}/orders.json", ORDERS)
    ingest(spark, night)
    assert events(night) == [
        ("purchase", "ann", "hat", None),
        ("purchase", "ann", "rug", 9.0),
        ("view", "ann", "rug", None),
        ("view", "bob", "hat", None),
    ]
    noted = night.lake.require(EVENTS, DS).metadata
    assert noted["rows_read"] == {"events": 3, "events 2": 2}
    assert noted["rejected"] == {"events": {"duplicate": 1}, "events 2": {}}
    assert [row["source"] for row in night.lake.read(QUARANTINE, DS).to_pylist()] == ["events"]
    assert look_at_drop(spark, night).count("events 2: 2 rows, 2 accepted") == 1


def test_a_robot_is_one_whichever_files_its_events_stand_in(spark: SparkSession, shop_of: ShopOf) -> None:
    night = shop_of("[drops]\nmax_user_events = 2\n" + CLICKS_AND_ORDERS)
    write_clicks(night, DS, "09:00:00,ann,rug", "10:00:00,bob,hat")
    write_drop(night.data, f"{DS}/orders.json", ORDERS + ORDERS.replace("ann", "bob").replace(', {"sku": "hat"}', ""))
    ingest(spark, night)
    assert events(night) == [("purchase", "bob", "rug", 9.0), ("view", "bob", "hat", None)]


def test_a_drop_without_one_of_its_files_stops_unless_the_shop_may_be_shut(
    spark: SparkSession, shop_of: ShopOf
) -> None:
    write_clicks(shop_of(CLICKS_AND_ORDERS), DS, "09:00:00,ann,rug")
    with pytest.raises(NightError, match=r"2024-03-10 is still being written: .*waiting for .*/orders\.json\)"):
        ingest(spark, shop_of(CLICKS_AND_ORDERS))
    late = replace(shop_of(CLICKS_AND_ORDERS), now=datetime(2024, 3, 12, tzinfo=timezone.utc))
    with pytest.raises(NightError, match=r"2024-03-10 is not whole, .*orders\.json is not there"):
        ingest(spark, late)
    write_clicks(shop_of(CLICKS_AND_ORDERS), BEFORE, "09:00:00,ann,rug")
    write_drop(shop_of(CLICKS_AND_ORDERS).data, f"{DS}/orders.json", ORDERS)
    with pytest.raises(NightError, match=r"2024-03-09/orders\.json: missing from the drop of 2024-03-09"):
        ingest(spark, shop_of(CLICKS_AND_ORDERS))
    shut = shop_of('[drops]\nmissing_day = "closed"\n' + CLICKS_AND_ORDERS)
    ingest(spark, shut)
    assert events(shut, BEFORE) == [("view", "ann", "rug", None)]


def test_a_mistake_in_the_second_file_is_told_of_the_second(shop_of: ShopOf) -> None:
    with pytest.raises(SettingsError, match=r"`events 2\.columns` must map 'user_id'"):
        shop_of(CLICKS_AND_ORDERS.replace('user_id = "customer.id"\n', ""))


def write_orders(night: Night, orders: str, people: str = "id,person\n7,ann\n8,bob\n") -> None:
    write_drop(night.data, f"{DS}/lines.csv", "order_id,product\n1,rug\n1,hat\n2,rug\n3,cup\n")
    write_drop(night.data, f"{DS}/orders.csv", "order_id,customer,bought,status\n" + orders)
    write_drop(night.data, "people.csv", people)


def test_lines_of_orders_take_their_time_and_their_buyer_from_joined_files(
    spark: SparkSession, shop_of: ShopOf
) -> None:
    night = shop_of(LINES_OF_ORDERS)
    # A table of floats wrote one of the keys, and not the other.
    write_orders(night, f"1,7.0,{DS} 09:00:00,paid\n2,8.0,{DS} 10:00:00,paid\n3,8.0,{DS} 11:00:00,canceled\n")
    ingest(spark, night)
    assert events(night) == [
        ("purchase", "ann", "hat", None),
        ("purchase", "ann", "rug", None),
        ("purchase", "bob", "rug", None),
    ]
    (refused,) = night.lake.read(QUARANTINE, DS).to_pylist()
    assert (refused["reason"], refused["line"]) == ("cancelled", 5)
    assert '"orders.status":"canceled"' in refused["raw"]


def test_a_row_without_a_partner_is_refused_by_the_name_of_the_join(spark: SparkSession, shop_of: ShopOf) -> None:
    night = shop_of("[drops]\nmax_reject_share = 0.5\n" + LINES_OF_ORDERS)
    write_orders(night, f"1,7,{DS} 09:00:00,paid\n2,9,{DS} 10:00:00,paid\n")
    ingest(spark, night)
    reasons = {(row["line"], row["reason"]) for row in night.lake.read(QUARANTINE, DS).to_pylist()}
    assert reasons == {(4, "no_partner_in_people"), (5, "no_partner_in_orders")}


def test_a_key_that_stands_for_two_things_is_refused(spark: SparkSession, shop_of: ShopOf) -> None:
    night = shop_of(LINES_OF_ORDERS)
    write_orders(night, f"1,7,{DS} 09:00:00,paid\n1,8,{DS} 09:00:00,paid\n")
    with pytest.raises(NightError, match=r"orders\.csv: order_id '1' stands in lines 2, 3 with different values"):
        ingest(spark, night)


def test_a_joined_file_that_lacks_a_column_is_named(spark: SparkSession, shop_of: ShopOf) -> None:
    night = shop_of(LINES_OF_ORDERS)
    write_orders(night, f"1,7,{DS} 09:00:00,paid\n", people="id,name\n7,ann\n")
    with pytest.raises(NightError, match=r"people\.csv: has no column 'person'"):
        ingest(spark, night)


def test_a_joined_file_that_stands_for_all_days_changes_no_day_that_was_taken_in(
    spark: SparkSession, shop_of: ShopOf
) -> None:
    night = shop_of(LINES_OF_ORDERS)
    orders = f"1,7,{DS} 09:00:00,paid\n2,8,{DS} 10:00:00,paid\n3,8,{DS} 11:00:00,paid\n"
    write_orders(night, orders)
    for name, text in (
        ("lines", "order_id,product\n4,rug\n"),
        ("orders", f"order_id,customer,bought,status\n4,7,{BEFORE} 09:00:00,paid\n"),
    ):
        write_drop(night.data, f"{BEFORE}/{name}.csv", text)
    ingest(spark, night)
    before = night.lake.require(EVENTS, BEFORE)
    write_orders(night, orders, people="id,person\n7,anna\n8,bob\n")
    ingest(spark, night)
    assert {user for _, user, *_ in events(night)} == {"anna", "bob"}
    assert night.lake.require(EVENTS, BEFORE) == before


CATALOGUE = """
[events]
path = "{data}/{ds}/e.csv"
[events.columns]
event_time = "at"
user_id = "who"
item_id = "what"
[events.constants]
event_type = "purchase"
[items]
path = "{data}/catalogue.csv"
[items.columns]
item_id = "what"
title = "title"
"""


def titles(night: Night, ds: str) -> dict[str, object]:
    return {row["item_id"]: row["title"] for row in night.lake.read(ITEMS, ds).to_pylist()}


def test_a_catalogue_without_a_day_goes_with_the_first_drop_and_the_newest(
    spark: SparkSession, shop_of: ShopOf
) -> None:
    night = shop_of(CATALOGUE)
    days = ("2024-03-08", BEFORE, DS)
    for ds in days:
        write_drop(night.data, f"{ds}/e.csv", f"at,who,what\n{ds} 09:00:00,ann,rug\n")
    write_drop(night.data, "catalogue.csv", "what,title\nrug,Rug\n")
    ingest(spark, night)
    assert [night.lake.read(ITEM_UPDATES, ds).num_rows for ds in days] == [1, 0, 1]
    assert titles(night, DS) == {"rug": "Rug"}
    assert staleness(night).waiting == ()
    old = {ds: night.lake.require(EVENTS, ds) for ds in days[:2]}
    write_drop(night.data, "catalogue.csv", "what,title\nrug,Red rug\n")
    assert staleness(night).waiting == (DS,)
    ingest(spark, night)
    assert titles(night, DS) == {"rug": "Red rug"}
    assert {ds: night.lake.require(EVENTS, ds) for ds in days[:2]} == old
    # The next day has the file as it is then; the day before keeps what it had.
    next_day = "2024-03-11"
    write_drop(night.data, f"{next_day}/e.csv", f"at,who,what\n{next_day} 09:00:00,ann,rug\n")
    write_drop(night.data, "catalogue.csv", "what,title\nrug,Blue rug\n")
    ingest(spark, replace(night, ds=next_day))
    assert titles(night, next_day) == {"rug": "Blue rug"}
    assert night.lake.read(ITEM_UPDATES, DS).to_pylist()[0]["title"] == "Red rug"
