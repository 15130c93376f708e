"""Exports as strangers have them, made from a seed: GA4 as BigQuery writes it, and Shopify's orders as CSV.

Fields and their order are those of the documented exports; what people buy follows their taste (a dozen kinds of
items), so that lists have something to learn.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

NUM_ITEMS = 2_000
NUM_KINDS = 12
GA4_DAYS = 14
SHOPIFY_DAYS = 180
FIRST_DAY = datetime(2024, 3, 1, tzinfo=timezone.utc)
_GA4_EVENTS = {
    # Most of what a page sends has no item.
    "page_view": 0.34,
    "user_engagement": 0.16,
    "scroll": 0.10,
    "session_start": 0.07,
    "view_item_list": 0.06,
    "view_item": 0.18,
    "select_item": 0.03,
    "add_to_cart": 0.035,
    "begin_checkout": 0.01,
    "purchase": 0.015,
}
_WITH_ITEMS = {
    "view_item_list": 6,
    "view_item": 1,
    "select_item": 1,
    "add_to_cart": 1,
    "begin_checkout": 2,
    "purchase": 3,
}
"""Event -> items in its list, at most."""
SHOPIFY_HEADER = [
    "Name",
    "Email",
    "Financial Status",
    "Paid at",
    "Fulfillment Status",
    "Fulfilled at",
    "Accepts Marketing",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Discount Code",
    "Discount Amount",
    "Shipping Method",
    "Created at",
    "Lineitem quantity",
    "Lineitem name",
    "Lineitem price",
    "Lineitem compare at price",
    "Lineitem sku",
    "Lineitem requires shipping",
    "Lineitem taxable",
    "Lineitem fulfillment status",
    "Billing Name",
    "Billing City",
    "Billing Zip",
    "Billing Country",
    "Shipping Name",
    "Shipping City",
    "Shipping Zip",
    "Shipping Country",
    "Notes",
    "Note Attributes",
    "Cancelled at",
    "Payment Method",
    "Payment Reference",
    "Refunded Amount",
    "Vendor",
    "Outstanding Balance",
    "Employee",
    "Location",
    "Device ID",
    "Id",
    "Tags",
    "Risk Level",
    "Source",
    "Phone",
    "Receipt Number",
]


def write_ga4(folder: Path, rows: int, seed: int) -> None:
    """Writes events of two weeks, a file a day, as the tables `events_YYYYMMDD` are extracted to JSON lines."""
    rng = np.random.default_rng(seed)
    per_day = rows // GA4_DAYS
    for number in range(GA4_DAYS):
        day = FIRST_DAY + timedelta(days=number)
        num_rows = rows - per_day * (GA4_DAYS - 1) if number == GA4_DAYS - 1 else per_day
        with (folder / f"events_{day:%Y%m%d}.json").open("w", encoding="utf-8") as file:
            for event in _ga4_events(rng, day, num_rows):
                file.write(json.dumps(event, separators=(",", ":")) + "\n")


def _ga4_events(rng: np.random.Generator, day: datetime, rows: int) -> Iterator[dict[str, Any]]:
    visitors = 1 + (rng.pareto(1.2, rows) * 400).astype(int) % 6_000
    names = rng.choice(list(_GA4_EVENTS), rows, p=list(_GA4_EVENTS.values()))
    for name, visitor, second in zip(names, visitors, np.sort(rng.integers(0, 86_400, rows)), strict=True):
        micros = int(day.timestamp() + int(second)) * 1_000_000 + int(rng.integers(0, 1_000_000))
        yield _ga4_event(rng, str(name), int(visitor), micros, day)


def _ga4_event(rng: np.random.Generator, name: str, visitor: int, micros: int, day: datetime) -> dict[str, Any]:
    most = _WITH_ITEMS.get(name, 0)
    chosen = [_item_of(rng, visitor) for _ in range(int(rng.integers(1, most + 1)))] if most else []
    items = [_ga4_item(item, name) for item in dict.fromkeys(chosen)]
    is_order = name == "purchase"
    return {
        "event_date": f"{day:%Y%m%d}",
        "event_timestamp": str(micros),
        "event_name": name,
        "event_params": [
            {"key": "ga_session_id", "value": {"int_value": str(1_709_000_000 + visitor)}},
            {"key": "page_location", "value": {"string_value": "https://shop.example/p"}},
            {"key": "engaged_session_event", "value": {"int_value": "1"}},
        ],
        "event_bundle_sequence_id": str(int(rng.integers(1 << 40))),
        "user_pseudo_id": f"{1_000_000_000 + visitor}.{1_700_000_000 + visitor}",
        "privacy_info": {"analytics_storage": "Yes", "ads_storage": "Yes", "uses_transient_token": "No"},
        "user_properties": [],
        "user_first_touch_timestamp": str((1_700_000_000 + visitor) * 1_000_000),
        "device": {
            "category": "mobile",
            "operating_system": "iOS",
            "language": "en-us",
            "is_limited_ad_tracking": "No",
        },
        "geo": {"continent": "Europe", "country": "Germany", "region": "Berlin", "city": "Berlin"},
        "traffic_source": {"name": "(direct)", "medium": "(none)", "source": "(direct)"},
        "stream_id": "1234567890",
        "platform": "WEB",
        "ecommerce": {
            "transaction_id": f"T{micros}" if is_order else "(not set)",
            "total_item_quantity": str(len(items)),
        },
        "items": items,
    }


def _ga4_item(item: int, event: str) -> dict[str, Any]:
    fields = {
        "item_id": f"SKU{item:05d}",
        "item_name": f"Thing {item}",
        "item_brand": f"Brand {item % 40}",
        "item_variant": "(not set)",
        "item_category": f"Kind {item % NUM_KINDS}",
        "price": _price(item),
    }
    return {**fields, "quantity": "1"} if event in ("add_to_cart", "purchase") else fields


def write_shopify(path: Path, rows: int, seed: int) -> None:
    """Writes orders of half a year, newest first, a row a line item; later rows of an order leave its cells blank."""
    rng = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, SHOPIFY_HEADER, restval="", lineterminator="\n")
        writer.writeheader()
        left, order = rows, 200_000
        seconds = SHOPIFY_DAYS * 86_400
        while left:
            lines = min(left, int(rng.integers(1, 6)))
            moment = FIRST_DAY + timedelta(seconds=seconds * left // rows - 1)
            customer = 1 + int(rng.pareto(1.2) * 1_500) % 12_000
            written = list(_shopify_order(rng, order, customer, moment, lines))
            writer.writerows(written)
            left, order = left - len(written), order - 1


def _shopify_order(
    rng: np.random.Generator, order: int, customer: int, moment: datetime, lines: int
) -> Iterator[dict[str, str]]:
    at = f"{moment - timedelta(hours=5):%Y-%m-%d %H:%M:%S} -0500"
    of_order = {
        "Financial Status": "paid",
        "Paid at": at,
        "Fulfillment Status": "fulfilled",
        "Accepts Marketing": "no",
        "Currency": "USD",
        "Created at": at,
        "Billing Country": "US",
        "Notes": "Please ring,\ntwice" if rng.random() < 0.02 else "",
        "Cancelled at": at if rng.random() < 0.01 else "",
        "Payment Method": "Shopify Payments",
        "Id": str(5_000_000_000_000 + order),
        "Source": "web",
    }
    for number, item in enumerate(dict.fromkeys(_item_of(rng, customer) for _ in range(lines))):
        yield {
            **(of_order if number == 0 else {}),
            "Name": f"#{order}",
            "Email": f"c{customer}@example.com",
            "Lineitem quantity": str(int(rng.integers(1, 3))),
            "Lineitem name": f'Thing {item}, 12"' if item % 50 == 0 else f"Thing {item}",
            "Lineitem price": f"{_price(item):.2f}",
            "Lineitem sku": f"{item:05d}",
            "Lineitem requires shipping": "true",
            "Lineitem taxable": "true",
            "Lineitem fulfillment status": "fulfilled",
            "Vendor": f"Brand {item % 40}",
        }


def _item_of(rng: np.random.Generator, user: int) -> int:
    """An item that suits a user's taste three times of four, popular ones more often."""
    kind = user % NUM_KINDS if rng.random() < 0.75 else int(rng.integers(NUM_KINDS))
    place = int(rng.pareto(1.1) * 8) % (NUM_ITEMS // NUM_KINDS)
    return place * NUM_KINDS + kind


def _price(item: int) -> float:
    return 5 + item % 97 + 0.99
