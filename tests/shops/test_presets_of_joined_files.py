"""Public data sets that come as several files of all days, cut into days and joined by a preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations.runtime.program import Night
from expectations.shop.shop import load_shop
from expectations.tables import EVENTS, ITEMS, QUARANTINE, NightError
from jobs.ingest import ingest
from jobs.split_days import MadeDays, split_days
from tests.worlds.raw_drops import write_drop

OLIST = {
    "olist_order_items_dataset.csv": (
        '"order_id","order_item_id","product_id","seller_id","shipping_limit_date","price","freight_value"\n'
        '"o1",1,"p1","s","2017-09-19 09:45:35",58.90,13.29\n"o1",2,"p1","s","2017-09-19 09:45:35",58.90,13.29\n'
        '"o2",1,"p2","s","2017-09-21 09:45:35",10.00,1.00\n"o3",1,"p2","s","2017-09-21 09:45:35",10.00,1.00\n'
    ),
    "olist_orders_dataset.csv": (
        '"order_id","customer_id","order_status","order_purchase_timestamp"\n'
        '"o1","c1","delivered","2017-09-13 08:59:02"\n"o2","c2","delivered","2017-09-14 23:10:00"\n'
        '"o3","c3","canceled","2017-09-14 12:00:00"\n'
    ),
    "olist_customers_dataset.csv": ('"customer_id","customer_unique_id"\n"c1","ann"\n"c2","ann"\n"c3","bob"\n'),
    "olist_products_dataset.csv": '"product_id","product_category_name"\n"p1","cool_stuff"\n"p2",""\n',
}
INSTACART = {
    "order_products__prior.csv": (
        "order_id,product_id,add_to_cart_order,reordered\n2,33,1,0\n2,28,2,0\n9,33,1,1\n5,28,1,0\n"
    ),
    "orders.csv": (
        "order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order\n"
        "2,1,prior,1,2,08,\n9,1,prior,2,3,07,15.0\n5,7,prior,1,0,10,\n"
    ),
    "products.csv": 'product_id,product_name,aisle_id,department_id\n33,"Milk, whole",84,16\n28,Bread,112,3\n',
    "aisles.csv": "aisle_id,aisle\n84,milk\n112,bread\n",
}


def night_of(night: Night, preset: str, files: Mapping[str, str], folder: Path) -> Night:
    for name, text in files.items():
        write_drop(night.data, f"{preset}/{name}", text)
    path = folder / "shop.toml"
    path.write_text(f'name = "own"\npreset = "{preset}"\n', encoding="utf-8")
    # Cutting writes drops now, long after the time at which other tests let a night begin.
    return replace(night, shop=load_shop(str(path)), now=datetime(2100, 1, 1, tzinfo=timezone.utc))


def taken_in(night: Night, days: Sequence[str]) -> list[tuple[object, ...]]:
    rows = [row for ds in days for row in night.lake.read(EVENTS, ds).to_pylist()]
    return sorted((row["ds"], row["user_id"], row["item_id"], row["quantity"], row["price"]) for row in rows)


def test_olist_lines_take_buyers_and_times_from_two_other_files(
    spark: SparkSession, night: Night, tmp_path: Path
) -> None:
    night = replace(night_of(night, "olist", OLIST, tmp_path), ds="2017-09-14")
    assert split_days(spark, night, Path(night.data) / "olist" / "olist_order_items_dataset.csv") == 2
    ingest(spark, night)
    # 23:10 in Sao Paulo is the next day in UTC, and the same day in the shop.
    assert taken_in(night, night.lake.days(EVENTS)) == [
        ("2017-09-13", "ann", "p1", 2.0, 58.9),
        ("2017-09-14", "ann", "p2", 1.0, 10.0),
    ]
    assert {row["reason"] for row in night.lake.read(QUARANTINE, "2017-09-14").to_pylist()} == {"order_not_carried_out"}
    assert {row["item_id"]: row["category"] for row in night.lake.read(ITEMS, "2017-09-14").to_pylist()} == {
        "p1": ["cool_stuff"],
        "p2": [],
    }


def test_instacart_baskets_get_days_by_the_number_of_their_order(
    spark: SparkSession, night: Night, tmp_path: Path
) -> None:
    night = replace(night_of(night, "instacart", INSTACART, tmp_path), ds="2017-12-31")
    log = Path(night.data) / "instacart" / "order_products__prior.csv"
    assert split_days(spark, night, log, made_days=MadeDays("orders.order_number", "2017-12-31")) == 2
    ingest(spark, night)
    assert [row[:3] for row in taken_in(night, night.lake.days(EVENTS))] == [
        ("2017-12-30", "1", "28"),
        ("2017-12-30", "1", "33"),
        ("2017-12-31", "1", "33"),
        ("2017-12-31", "7", "28"),
    ]
    catalogue = {
        row["item_id"]: (row["title"], row["category"]) for row in night.lake.read(ITEMS, night.ds).to_pylist()
    }
    assert catalogue == {"33": ("Milk, whole", ["milk"]), "28": ("Bread", ["bread"])}


def test_a_log_whose_other_files_are_not_there_is_refused(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    lines = {name: text for name, text in OLIST.items() if "orders" not in name}
    night = night_of(night, "olist", lines, tmp_path)
    with pytest.raises(NightError, match=r"There is no file .*olist_orders_dataset\.csv, which completes the log"):
        split_days(spark, night, Path(night.data) / "olist" / "olist_order_items_dataset.csv")
