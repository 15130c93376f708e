"""What a shop's files say of items and users is what the lake says: nothing is made up, and nothing lost in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from expectations.runtime.program import Night
from expectations.shop.drop_settings import Drops
from expectations.shop.raw_files import RawFile
from expectations.tables import EVENTS, ITEMS, QUARANTINE, USERS, NightError
from jobs.ingest import ingest, look_at_drop
from tests.worlds.raw_drops import write_drop

FIRST, SECOND = "2024-03-09", "2024-03-10"
ITEM_COLUMNS = {
    "item_id": "id",
    "title": "title",
    "category": "category",
    "price": "price",
    "is_available": "on_sale",
}


@pytest.fixture
def corner(night: Night) -> Night:
    """A shop of events, items and users files, whose events carry titles and countries as well."""
    shop = night.shop
    columns = {"event_time": "time", "user_id": "customer", "item_id": "article", "event_type": "what"}
    shop = replace(
        shop,
        events=RawFile("{data}/{ds}.csv", columns=columns),
        items=RawFile("{data}/{ds}-items.csv", columns=ITEM_COLUMNS, separator=">"),
        users=RawFile("{data}/{ds}-users.csv", columns={"user_id": "id", "country": "country"}),
        items_file="changes",
        items_from_events={"title": "label"},
        users_from_events={"country": "land"},
        drops=replace(Drops(), max_reject_share=0.5),
    )
    return replace(night, shop=shop)


def events(night: Night, ds: str, *lines: str) -> None:
    rows = "".join(f"{ds} 10:00:00,{line}\n" for line in lines)
    write_drop(night.data, f"{ds}.csv", "time,customer,article,what,label,land\n" + rows)


def items(night: Night, ds: str, *lines: str) -> None:
    text = "id,title,category,price,on_sale\n" + "".join(f"{line}\n" for line in lines)
    write_drop(night.data, f"{ds}-items.csv", text)


def test_what_a_file_said_is_not_overwritten_by_events_of_a_later_day(spark: SparkSession, corner: Night) -> None:
    items(corner, FIRST, "lamp,Lamp,Home,9,yes", "rug,Rug,Home,50,no")
    write_drop(corner.data, f"{FIRST}-users.csv", "id,country\ncyd,Norway\n")
    events(corner, FIRST, "ann,lamp,view,LAMP (cached),Spain")
    events(corner, SECOND, "cyd,rug,view,RUG (cached),Chile", "ann,vase,view,Vase,France")
    ingest(spark, corner)
    found = {row["item_id"]: row for row in corner.lake.read(ITEMS, SECOND).to_pylist()}
    told = {item: (row["title"], row["price"], row["is_available"]) for item, row in found.items()}
    assert told == {"lamp": ("Lamp", 9.0, True), "rug": ("Rug", 50.0, False), "vase": ("Vase", None, True)}
    countries = {row["user_id"]: row["country"] for row in corner.lake.read(USERS, SECOND).to_pylist()}
    assert countries == {"ann": "France", "cyd": "Norway"}


AVAILABLE = {
    **dict.fromkeys(("1.0", "3", "yes", "TRUE", "In stock", "in_stock", "on", "nan", ""), True),
    **dict.fromkeys(("0.0", "0", "False", "0.00", "-3", "no", "out of stock", "out_of_stock", "OUTOFSTOCK"), False),
    **dict.fromkeys(("off", "sold-out", "discontinued", "draft", "archived"), False),
    **dict.fromkeys(("maybe", "perhaps"), None),
}


def test_availability_is_read_word_by_word(spark: SparkSession, corner: Night) -> None:
    """And a category that begins like a JSON array, and is none, stays what it is."""
    lines = [f"i{place},I,[Sale] Shoes>Boots,1,{word}" for place, word in enumerate(AVAILABLE)]
    items(corner, SECOND, *lines)
    events(corner, SECOND, "ann,i0,view,,")
    ingest(spark, corner)
    found = {row["item_id"]: row for row in corner.lake.read(ITEMS, SECOND).to_pylist()}
    words = {f"i{place}": is_available for place, is_available in enumerate(AVAILABLE.values())}
    assert {item: row["is_available"] for item, row in found.items()} == {
        item: is_available for item, is_available in words.items() if is_available is not None
    }
    refused = corner.lake.read(QUARANTINE, SECOND).to_pylist()
    assert [row["reason"] for row in refused] == ["unknown_is_available"] * 2
    assert found["i0"]["category"] == ["[Sale] Shoes", "Boots"]


@pytest.mark.parametrize("kind", ["parquet", "json", "csv"])
def test_ids_that_passed_through_a_table_of_floats_are_the_same_ids(
    spark: SparkSession, corner: Night, kind: str
) -> None:
    """Of ten million and more, Spark and Java write them with an exponent."""
    columns = {"event_time": "time", "user_id": "customer", "item_id": "article"}
    raw = RawFile(f"{{data}}/{{ds}}.{kind}", format=kind, columns=columns, constants={"event_type": "view"})
    shop = replace(corner.shop, events=raw, users=None, items_from_events={}, users_from_events={})
    night = replace(corner, shop=shop)
    items(night, SECOND, "10000001,Big,,1,yes", "7,Seven,,1,yes", "17850120,Rounded,,1,yes")
    path = Path(night.data) / f"{SECOND}.{kind}"
    times = [f"{SECOND} {hour:02}:00:00" for hour in range(5)]
    customers, articles = [12345678.0, 1234567.0, None, 20000000.0, 7.0], [10000001.0, 7.0, 7.0, 10000001.0, 17850120.0]
    log = pd.DataFrame({"time": times, "customer": customers, "article": articles})
    if kind == "parquet":
        log.to_parquet(path)
    elif kind == "json":
        log.to_json(path, orient="records", lines=True)
    else:
        in_java = {10000001.0: "1.0000001E7", 12345678.0: "1.2345678E7", 20000000.0: "2.0E7", 17850120.0: "1.785012E7"}
        log.map(lambda value: in_java.get(value, value)).to_csv(path, index=False)
    write_drop(night.data, path.name, path.read_bytes())
    ingest(spark, night)
    found = {(row["user_id"], row["item_id"]) for row in night.lake.read(EVENTS, SECOND).to_pylist()}
    assert found == {("12345678", "10000001"), ("1234567", "7"), ("20000000", "10000001"), ("7", "17850120")}
    assert {row["item_id"] for row in night.lake.read(ITEMS, SECOND).to_pylist()} == {"10000001", "7", "17850120"}


def test_an_id_that_has_lost_digits_is_refused(spark: SparkSession, corner: Night) -> None:
    """A spreadsheet shows and saves long numbers so: many articles would become one."""
    items(corner, SECOND, "7,Seven,,1,yes")
    events(corner, SECOND, "ann,7,view,,", "ann,12E7,view,,", "bob,8.85E+12,view,,")
    ingest(spark, corner)
    assert {row["item_id"] for row in corner.lake.read(EVENTS, SECOND).to_pylist()} == {"7", "12E7"}
    assert [row["reason"] for row in corner.lake.read(QUARANTINE, SECOND).to_pylist()] == ["inexact_item_id"]


def test_an_items_file_that_is_wholly_refused_stops_the_day(spark: SparkSession, corner: Night) -> None:
    corner = replace(corner, shop=replace(corner.shop, items_file="full", items_from_events={}))
    items(corner, FIRST, "a,A,,9.50,yes")
    events(corner, FIRST, "ann,a,view,,")
    items(corner, SECOND, "a,A,,9.50,perhaps")
    events(corner, SECOND, "ann,a,view,,")
    with pytest.raises(
        NightError, match=rf"items file of {SECOND}: none of its 1 rows was accepted \(unknown_is_available 1\)"
    ):
        ingest(spark, corner)
    assert corner.lake.days(EVENTS) == []


def test_a_full_items_file_of_other_ids_stops_the_day(spark: SparkSession, corner: Night) -> None:
    """Whether the file before it came in the same pass or lies in the lake."""
    drops = replace(Drops(), min_earlier_drops=1)
    corner = replace(corner, shop=replace(corner.shop, items_file="full", items_from_events={}, drops=drops))
    items(corner, FIRST, "1,One,,1,yes", "2,Two,,1,yes")
    items(corner, SECOND, "01,One,,1,yes", "2,Two,,1,yes", "03,Three,,1,yes")
    events(corner, FIRST, "ann,1,view,,")
    events(corner, SECOND, "ann,2,view,,")
    refusal = f"items file of {SECOND}: 2 of its 3 items were not in that of {FIRST}, such as '01'"
    with pytest.raises(NightError, match=refusal):
        ingest(spark, corner)
    assert corner.lake.days(EVENTS) == []
    ingest(spark, replace(corner, ds=FIRST))
    with pytest.raises(NightError, match=refusal):
        ingest(spark, corner)
    assert corner.lake.days(EVENTS) == [FIRST]
    ingest(spark, replace(corner, shop=replace(corner.shop, drops=replace(drops, max_entering_share=0.7))))


def test_events_of_other_ids_than_the_catalogue_stop_each_night(spark: SparkSession, corner: Night) -> None:
    corner = replace(corner, shop=replace(corner.shop, items_from_events={}))
    items(corner, SECOND, "sku-1,One,,1,yes", "sku-2,Two,,1,yes")
    events(corner, SECOND, *(f"u{place},SKU-{place % 2 + 1},view,," for place in range(20)))
    for _ in range(2):
        with pytest.raises(
            NightError, match=r"2 of the unknown ids would be known: events say 'SKU-1', the .* 'sku-1'"
        ):
            ingest(spark, corner)


def test_guests_under_one_id_are_warned_of(
    spark: SparkSession, corner: Night, caplog: pytest.LogCaptureFixture
) -> None:
    corner = replace(corner, shop=replace(corner.shop, items=None))
    lines = [f"{'Guest' if place % 3 else place},lamp{place},view,," for place in range(1200)]
    events(corner, SECOND, *lines)
    ingest(spark, corner)
    assert [message for message in caplog.messages if "null_words" in message] == [
        f"corner drop of {SECOND}: user 'Guest' has 800 of 1200 events. Where guests are written so, add 'Guest' to "
        'null_words and say missing_user = "ignore" under [events]; now they are one customer.'
    ]
    assert "A night would warn: corner drop" in look_at_drop(spark, corner)
