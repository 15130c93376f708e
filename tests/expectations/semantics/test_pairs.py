"""Rules that are read twice, in Spark for a night and in Python or NumPy for a session, say the same on any rows."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from expectations.runtime.days import SECONDS_PER_DAY, end_of
from expectations.semantics.gap_buckets import gap_bucket, gap_bucket_in_spark
from expectations.semantics.item_eligibility.in_python import capped_category, is_refused, item_group
from expectations.semantics.item_eligibility.in_spark import caps_of, refused_by
from expectations.semantics.item_eligibility.in_spark import item_group as item_group_in_spark
from expectations.semantics.list_caps import Cap, CapUse, split_by_caps
from expectations.semantics.reasons import reasons_of
from expectations.semantics.repeat_purchases.in_numpy import first_days_back, gap_totals, usual_gap_days
from expectations.semantics.repeat_purchases.in_spark import within_repurchase_gap
from expectations.semantics.titles import readable_title, readable_title_in_spark
from expectations.shop.list_rules import ListRules
from expectations.shop.reasons import Reason
from expectations.tables import HISTORIES, PURCHASE_INDEX

DS = "2024-03-31"
NUM_PRIOR_GAPS = 20
TODAY = int(end_of(DS).timestamp()) // SECONDS_PER_DAY
NUM_USERS, NUM_ITEMS = 4, 6
# An example with Spark holds many rows, so that few examples do.
in_spark = settings(max_examples=5, deadline=None)


@in_spark
@given(st.lists(st.integers(0, 2**34), min_size=50, max_size=200))
def test_a_pause_falls_into_the_same_bucket(spark: SparkSession, seconds: list[int]) -> None:
    rows = spark.createDataFrame([(s,) for s in seconds], "seconds long")
    found = rows.select(gap_bucket_in_spark(F.col("seconds"))).collect()
    assert [row[0] for row in found] == [gap_bucket(s) for s in seconds]


# What both must take for a space, what only one might, and letters of several bytes.
letters = st.text(st.sampled_from(" \t\n\r\x0b\x0c\x00\x1f\x7f\u00a0\u2003aZ9ß日🙂…"), max_size=120)


@in_spark
@given(st.lists(st.none() | letters, min_size=50, max_size=200))
def test_a_title_reads_the_same(spark: SparkSession, titles: list[str | None]) -> None:
    # Spark counts in code points and so does Python.
    rows = spark.createDataFrame([(title,) for title in titles], "title string")
    found = rows.select(readable_title_in_spark(F.col("title"), F.lit("id"))).collect()
    assert [row[0] for row in found] == [readable_title(title, "id") for title in titles]


categories = st.lists(st.sampled_from(["Home", "Light", "Home > Light", "Desk"]), max_size=3)
items = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.none() | categories,
    st.none() | st.sampled_from(["glow", "clay"]),
    st.none() | st.integers(0, 5).map(float),
)
rules = st.builds(
    ListRules,
    version=st.just("1"),
    exclude_items=st.lists(st.sampled_from(["a", "b"]), max_size=1).map(tuple),
    exclude_categories=st.lists(st.sampled_from(["Home", "Home > Light", "Desk"]), max_size=2).map(tuple),
    exclude_brands=st.lists(st.sampled_from(["glow"]), max_size=1).map(tuple),
    min_price=st.none() | st.integers(0, 2).map(float),
    max_price=st.none() | st.integers(2, 4).map(float),
    max_per_category=st.just(1),
    category_level=st.integers(0, 2),
)


@in_spark
@given(st.lists(items, min_size=50, max_size=100), rules)
def test_an_item_is_refused_and_counted_alike(
    spark: SparkSession, items: list[tuple[Any, ...]], rules: ListRules
) -> None:
    ddl = "item_id string, category array<string>, brand string, price double"
    rows = spark.createDataFrame(items, ddl).withColumn("is_available", F.lit(True))
    told = rows.select("*", refused_by(rules).isNotNull().alias("is_refused"), caps_of(rules)["max_per_category"][1])
    for row in told.collect():
        item = row.asDict()
        assert is_refused(item, rules) == row["is_refused"], item
        assert capped_category(item["category"], rules) == row[-1], item


variants = st.tuples(
    st.none() | st.sampled_from(["1", "2"]),
    st.none() | st.sampled_from(["Milk", "  mILK ", "Milk\u00a01 l", "milk 1  L", "\t", "", "Ährenbrot", "ÄHRENBROT"]),
    st.none() | st.sampled_from(["glow", "Glow"]),
)


@in_spark
@given(st.lists(variants, min_size=50, max_size=100), st.booleans())
def test_an_item_has_the_same_variants(spark: SparkSession, items: list[tuple[Any, ...]], by_title: bool) -> None:
    rules = ListRules(version="1", group_equal_titles=by_title)
    rows = spark.createDataFrame(items, "item_group_id string, title string, brand string")
    for row in rows.select("*", item_group_in_spark(rules).alias("group")).collect():
        assert item_group(row.asDict(), rules) == row["group"], row


purchases = st.tuples(
    st.integers(0, NUM_USERS - 1), st.integers(0, NUM_ITEMS - 1), st.integers(TODAY - 90, TODAY - 1), st.booleans()
)


@in_spark
@given(st.lists(purchases, min_size=1, max_size=60))
def test_a_purchase_keeps_an_item_away_for_the_same_days(
    spark: SparkSession, events: list[tuple[int, int, int, bool]]
) -> None:
    of_user = {user: [event[1:] for event in events if event[0] == user] for user in range(NUM_USERS)}
    rows = []
    for user, own in of_user.items():
        # Before the latest events of a history there are purchases alone.
        latest = own[len(own) // 2 :]
        older = [event for event in own[: len(own) // 2] if event[2]]
        row: dict[str, Any] = {name: [0] * len(latest) for name in ("gap_buckets", "session_starts", "weekdays")}
        row |= {
            "ds": DS,
            "user_index": user,
            "item_indices": [item for item, _, _ in latest],
            "event_type_indices": [PURCHASE_INDEX if is_bought else PURCHASE_INDEX + 1 for _, _, is_bought in latest],
            "event_times": [day * SECONDS_PER_DAY + 60 for _, day, _ in latest],
            "older_purchase_indices": [item for item, _, _ in older],
            "older_purchase_times": [day * SECONDS_PER_DAY + 60 for _, day, _ in older],
        }
        rows.append(row)
    histories = spark.createDataFrame([tuple(row[f] for f in HISTORIES.column_names) for row in rows], HISTORIES.ddl)
    found = {
        (row["user_index"], row["item_index"])
        for row in within_repurchase_gap(histories, end_of(DS), NUM_PRIOR_GAPS).collect()
    }

    bought = np.array([event[:3] for event in events if event[3]], dtype=np.int64).reshape(-1, 3)
    users, bought_items, days = bought.T
    gaps = usual_gap_days(*gap_totals(users, bought_items, days, NUM_ITEMS), NUM_PRIOR_GAPS)
    last_day: dict[tuple[int, int], int] = {}
    for user, item, day in bought.tolist():
        last_day[user, item] = max(day, last_day.get((user, item), 0))
    too_soon = {pair for pair, day in last_day.items() if first_days_back(np.array([day]), gaps[[pair[1]]])[0] > TODAY}
    assert found == too_soon


@given(
    order=st.permutations(range(12)),
    groups=st.lists(st.lists(st.integers(0, 3), min_size=10, max_size=12), min_size=1, max_size=2),
    most=st.integers(1, 3),
    num=st.integers(1, 6),
    listed=st.lists(st.integers(0, 11), max_size=2, unique=True),
)
def test_one_list_and_a_block_of_lists_keep_the_same_caps(
    order: list[int], groups: list[list[int]], most: int, num: int, listed: list[int]
) -> None:
    caps = [Cap(most, np.array(group)) for group in groups]
    kept, passed = split_by_caps(np.array(order), num, caps, np.array(listed, int), frozenset(listed))

    candidates = np.array([order])
    uses = [CapUse(cap, candidates) for cap in caps]
    is_open = ~np.isin(candidates, listed)
    for item in listed:
        for use in uses:
            use.add(np.array([item]), np.array([True]))
    chosen: list[int] = []
    for _ in range(num):
        is_allowed = is_open & ~np.logical_or.reduce([use.is_full for use in uses])
        if not is_allowed.any():
            break
        place = int(is_allowed[0].argmax())
        chosen.append(order[place])
        is_open[0, place] = False
        for use in uses:
            use.add(candidates[:, place], np.array([True]))
    assert kept == chosen
    before_last = order[: order.index(kept[-1])] if len(kept) == num else order
    assert passed == [item for item in before_last if item not in kept and item not in listed]


rows_of_lists = st.tuples(*([st.booleans()] * 5), st.integers(0, 3))


@given(st.lists(rows_of_lists, max_size=20))
def test_a_row_gives_the_best_reason_that_is_true(rows: list[tuple[bool, bool, bool, bool, bool, int]]) -> None:
    listed = np.arange(10, 10 + len(rows))
    by_demand, popular, met, bought, cited_bought = np.array([row[:5] for row in rows], bool).reshape(-1, 5).T
    cited = np.array([row[5] for row in rows], np.int64)
    codes, because = reasons_of(listed, by_demand, popular, met, cited, cited_bought, bought)
    expected: list[tuple[Reason, int]] = []
    for item, (is_demand, is_popular, is_met, is_bought, is_cited_bought, other) in zip(
        listed.tolist(), rows, strict=True
    ):
        if is_bought:
            expected.append((Reason.BUY_AGAIN, item))
        elif other:
            expected.append((Reason.BECAUSE_YOU_BOUGHT if is_cited_bought else Reason.BECAUSE_YOU_VIEWED, other))
        elif is_met:
            expected.append((Reason.LOOK_AGAIN, item))
        elif is_popular:
            expected.append((Reason.POPULAR, 0))
        else:
            expected.append((Reason.IN_OUR_RANGE if is_demand else Reason.PICKED_FOR_YOU, 0))
    assert list(zip(codes.tolist(), because.tolist(), strict=True)) == expected


@pytest.mark.parametrize("module", ["repeat_purchases.in_numpy", "item_eligibility.in_python", "titles", "gap_buckets"])
def test_the_session_model_needs_no_spark(module: str) -> None:
    blocked = f"import sys; sys.modules['pyspark'] = None; import expectations.semantics.{module}"
    subprocess.run([sys.executable, "-c", blocked], check=True)
