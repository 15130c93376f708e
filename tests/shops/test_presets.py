"""A shop of five lines reads what the exports of well-known systems look like."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.shop.presets import PRESETS
from expectations.shop.shop import load_shop
from expectations.shop.toml_settings import SettingsError
from jobs.raw.dropped_files import dropped_file
from jobs.raw.events import validated_events
from jobs.raw.ingest_plan import required_columns
from jobs.raw.raw_rows import read_raw_rows
from jobs.raw.reject_rules import GUEST, OTHER_EVENT, UNIT

DS = "2024-03-09"
SECONDS = 1_709_949_600
"""02:00 in UTC."""


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def ga4(name: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_date": "20240309",
        "event_timestamp": str(SECONDS * 1_000_000),
        "event_name": name,
        "event_params": [
            {"key": "page_title", "value": {"string_value": "Home"}},
            {"key": "ga_session_id", "value": {"int_value": "17"}},
        ],
        "user_pseudo_id": "1.2",
        "items": list(items),
    }


def retail(kind: str, *products: str) -> dict[str, Any]:
    details = [{"product": {"id": product}, "quantity": 2} for product in products]
    event = {"eventType": kind, "visitorId": "v", "eventTime": "2024-03-09T02:00:00.000Z"}
    return {**event, "productDetails": details} if products else event


def order_of_magento(*items: dict[str, Any]) -> dict[str, Any]:
    order = {"increment_id": "10", "created_at": "2024-03-09 02:00:00", "customer_email": "c@example.com"}
    return {**order, "items": list(items)}


def call_to_segment(name: str, properties: dict[str, Any], **who: str) -> dict[str, Any]:
    return {"type": "track", "event": name, "timestamp": "2024-03-09T02:00:00.000Z", "properties": properties, **who}


Row = tuple[str, str, str, float, float | None, str | None]
"""User, item, event type, quantity, price and session of an accepted event."""

SHOPIFY_HEADER = (
    "Name,Email,Paid at,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Vendor"
)
EXPORTS: dict[str, tuple[str, list[Row], list[str]]] = {
    "ga4": (
        lines(
            ga4("view_item", {"item_id": "S1", "price": 12.5, "quantity": None}),
            ga4(
                "purchase",
                {"item_id": "S1", "price": 12.5, "quantity": 2},
                {"item_id": "S2", "price": 3, "quantity": 1},
            ),
            ga4("page_view"),
            ga4("view_item_list", {"item_id": "S3"}),
        ),
        [
            ("1.2", "S1", "purchase", 2.0, 12.5, None),
            ("1.2", "S1", "view", 1.0, 12.5, None),
            ("1.2", "S2", "purchase", 1.0, 3.0, None),
        ],
        ["empty_list", OTHER_EVENT],
    ),
    "google_retail": (
        lines(retail("detail-page-view", "00"), retail("purchase-complete", "01", "02"), retail("home-page-view")),
        [
            ("v", "00", "view", 2.0, None, None),
            ("v", "01", "purchase", 2.0, None, None),
            ("v", "02", "purchase", 2.0, None, None),
        ],
        [OTHER_EVENT],
    ),
    "shopify_orders": (
        f"{SHOPIFY_HEADER}\n"
        "#1001,c@example.com,2024-03-08 21:00:00 -0500,2024-03-08 21:00:00 -0500,1,Fern,16.00,FERN-1,,Acme\n"
        '#1001,,,,2,"Mug 12"" tall",20.00,00042,,Acme\n'
        "#1002,d@example.com,,2024-03-08 21:00:00 -0500,1,Fern,16.00,FERN-1,2024-03-08 22:00:00 -0500,Acme\n",
        [
            ("c@example.com", "00042", "purchase", 2.0, 20.0, "#1001"),
            ("c@example.com", "FERN-1", "purchase", 1.0, 16.0, "#1001"),
        ],
        ["cancelled"],
    ),
    "woocommerce": (
        "Order ID,Order Date,Customer ID,SKU,Item Name,Quantity,Order Line Total\n"
        "500,2024-03-09 02:00,0,HAT-0,Hat 0,2,25.00\n501,2024-03-09 02:00,1,HAT-1,Hat 1,2,25.00\n"
        "501,2024-03-09 02:00,1,HAT-1,Hat 1,-1,-12.50\n502,2024-03-09 02:00,,HAT-1,Hat 1,1,12.50\n",
        [("1", "HAT-1", "purchase", -1.0, 12.5, "501"), ("1", "HAT-1", "purchase", 2.0, 12.5, "501")],
        [GUEST, "of_a_guest"],
    ),
    "magento_orders": (
        lines(
            order_of_magento(
                {"item_id": 1, "sku": "24-MB00", "qty_ordered": 1, "price": 34.0},
                {"item_id": 2, "parent_item_id": 1, "sku": "24-MB00", "qty_ordered": 1, "price": 0},
            )
        ),
        [("c@example.com", "24-MB00", "purchase", 1.0, 34.0, "10")],
        ["beneath_a_configurable"],
    ),
    "segment": (
        lines(
            call_to_segment("Product Viewed", {"product_id": "p1", "price": 5}, anonymousId="a1"),
            call_to_segment(
                "Order Completed",
                {"order_id": "o1", "products": [{"product_id": "p1", "price": 5, "quantity": 2}, {"product_id": "p2"}]},
                userId="u1",
                anonymousId="a1",
            ),
            call_to_segment("Page Scrolled", {}, anonymousId="a1"),
        ),
        [
            ("a1", "p1", "view", 1.0, 5.0, None),
            ("u1", "p1", "purchase", 2.0, 5.0, "o1"),
            ("u1", "p2", "purchase", 1.0, None, "o1"),
        ],
        [OTHER_EVENT],
    ),
    "personalize": (
        f"USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE\nu,i,{SECONDS},Purchase,\nu,i,{SECONDS},Watch,\n",
        [("u", "i", "purchase", 1.0, None, None)],
        [OTHER_EVENT],
    ),
    "retailrocket": (
        f"timestamp,visitorid,event,itemid,transactionid\n{SECONDS}000,257,view,355,\n{SECONDS}000,257,transaction,355,4\n",
        [("257", "355", "purchase", 1.0, None, "4"), ("257", "355", "view", 1.0, None, None)],
        [],
    ),
    "movielens": (f"1::1193::5::{SECONDS}\n", [("1", "1193", "purchase", 1.0, None, None)], []),
    "recbole": (
        f"user_id:token\titem_id:token\trating:float\ttimestamp:float\n0\t7\t4.0\t{SECONDS}.0\n",
        [("0", "7", "purchase", 1.0, None, None)],
        [],
    ),
    "amazon_reviews_2023": (
        lines(
            {
                "user_id": "A",
                "parent_asin": "B0",
                "timestamp": SECONDS * 1000,
                "verified_purchase": True,
                "rating": 5.0,
            },
            {
                "user_id": "A",
                "parent_asin": "B1",
                "timestamp": SECONDS * 1000,
                "verified_purchase": False,
                "rating": 1.0,
            },
        ),
        [("A", "B0", "purchase", 1.0, None, None)],
        ["not_bought"],
    ),
    "hm": (
        "t_dat,customer_id,article_id,price,sales_channel_id\n" + "2024-03-09,00ab,0663713009,0.0508,2\n" * 3,
        [("00ab", "0663713009", "purchase", 3.0, 0.0508, None)],
        [UNIT],
    ),
}


def shop_file(folder: Path, preset: str, *more: str) -> str:
    path = folder / "shop.toml"
    path.write_text("\n".join(['name = "own"', f'preset = "{preset}"', *more]))
    return str(path)


def test_every_preset_is_tested() -> None:
    # Those that join files are tested in tests/shops/test_presets_of_joined_files.py.
    single = [path.stem for path in PRESETS.glob("*.toml") if ".join." not in path.read_text()]
    assert sorted(EXPORTS) == sorted(single)


@pytest.mark.parametrize("preset", EXPORTS)
def test_a_preset_reads_what_its_system_exports(spark: SparkSession, tmp_path: Path, preset: str) -> None:
    text, expected, refused = EXPORTS[preset]
    shop = load_shop(shop_file(tmp_path, preset))
    path = tmp_path / "export"
    path.write_text(text, encoding=shop.events.encoding)
    rows = read_raw_rows(spark, shop.events, [dropped_file("events", DS, str(path))], required_columns(shop)["events"])
    judged = validated_events({"events": rows}, shop, 1).collect()
    names = ("user_id", "item_id", "event_type", "quantity", "price", "session_id")
    accepted = [tuple(row[name] for name in names) for row in judged if row["reason"] is None]
    assert sorted(accepted, key=str) == sorted(expected, key=str)
    assert sorted({row["reason"] for row in judged} - {None}) == sorted(refused)
    assert {f"{row['event_time']:%Y-%m-%d}" for row in judged if row["reason"] is None} == {DS}


def test_a_day_without_anybody_logged_in_is_read(spark: SparkSession, tmp_path: Path) -> None:
    shop = load_shop(shop_file(tmp_path, "segment"))
    path = tmp_path / "export"
    path.write_text(lines(call_to_segment("Product Viewed", {"product_id": "p1", "price": 5}, anonymousId="a1")))
    rows = read_raw_rows(spark, shop.events, [dropped_file("events", DS, str(path))], ["userId", "anonymousId"])
    assert [row["fault"] for row in rows.collect()] == [None]


def test_what_a_shop_says_stands_before_its_preset(tmp_path: Path) -> None:
    own = ("[events]", 'path = "{ds}/x.json"', "[events.columns]", 'user_id = "user_id"')
    shop = load_shop(shop_file(tmp_path, "ga4", *own))
    assert shop.events.path == "{ds}/x.json"
    assert (shop.events.columns["user_id"], shop.events.columns["item_id"]) == ("user_id", "items[].item_id")
    with pytest.raises(SettingsError, match=r"no preset 'ga5'. Did you mean 'ga4'\? Known: amazon_reviews_2023, "):
        load_shop(shop_file(tmp_path, "ga5"))


def test_a_preset_says_what_it_was_made_after() -> None:
    for path in PRESETS.glob("*.toml"):
        comment = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
        assert re.search(r"https://|as published|competition|plugins", comment), path
