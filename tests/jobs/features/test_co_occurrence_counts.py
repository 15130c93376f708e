"""Counts of meetings keep the bounds that make a cosine one."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.features.co_occurrence_counts import KINDS, MAX_VISITS, counted, item_counts, pair_counts

WINDOW_DAYS = 7
DAY = 86_400
HISTORY = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20 * DAY), st.integers(0, 1)), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def features_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Items 2 to 5 are of one department, 6 to 9 of another."""
    path = tmp_path_factory.mktemp("item_features")
    rows = [{"item_index": i, "domain_index": 2 + i // 6} for i in range(2, 10)]
    pq.write_table(pa.Table.from_pylist(rows), Path(path, "part-00000.parquet"))
    return str(path)


def batch_of(users: list[list[tuple[int, int, int]]]) -> pa.RecordBatch:
    ordered = [sorted(user, key=lambda entry: entry[1]) for user in users]
    columns = {name: [[entry[n] for entry in user] for user in ordered] for n, name in enumerate(("i", "t", "s"))}
    names = ("item_indices", "event_times", "session_starts")
    types = (pa.int32(), pa.int64(), pa.int32())
    arrays = [pa.array(values, pa.list_(t)) for values, t in zip(columns.values(), types, strict=True)]
    return pa.record_batch(arrays, names=names)


@given(st.lists(HISTORY, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_items_meet_at_most_as_often_as_either_stands(
    features_path: str, users: list[list[tuple[int, int, int]]]
) -> None:
    of_items = {row.pop("item_index"): row for row in item_counts(batch_of(users)).to_pylist()}
    for row in pair_counts(batch_of(users), features_path, WINDOW_DAYS).to_pylist():
        low, high = row["item_index"], row["other_index"]
        assert 2 <= low < high
        assert all(row[kind] <= min(of_items[low][kind], of_items[high][kind]) for kind in KINDS)
        assert max(row[kind] for kind in KINDS) >= 1
        assert row["cross_domain"] == 0 or (low < 6 <= high)


@given(st.lists(HISTORY, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_window_counts_are_those_of_a_walk_over_all_pairs(
    features_path: str, users: list[list[tuple[int, int, int]]]
) -> None:
    expected: Counter[tuple[int, int]] = Counter()
    for user in users:
        met = [(item, t) for item, t, _ in user if item >= 2]
        # the last meeting of a day stands for the day
        last = {(item, t // DAY): max(u for i, u in met if (i, u // DAY) == (item, t // DAY)) for item, t in met}
        visits = [(item, t) for (item, _), t in last.items()]
        assert len(visits) <= MAX_VISITS
        near = [(a, b) for (a, s), (b, t) in combinations(visits, 2) if abs(s - t) <= WINDOW_DAYS * DAY]
        expected.update({(min(pair), max(pair)) for pair in near if pair[0] != pair[1]})
    rows = pair_counts(batch_of(users), features_path, WINDOW_DAYS).to_pylist()
    assert {(r["item_index"], r["other_index"]): r["window"] for r in rows if r["window"]} == expected


def test_histories_are_taken_in_bounded_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.features.co_occurrence_counts.USERS_AT_ONCE", 2)
    users = [[(2, DAY, 1)], [(3, DAY, 1), (2, 2 * DAY, 0)], [(2, DAY, 1)]]
    parts = [part.to_pylist() for part in counted([batch_of(users)], item_counts)]
    assert parts == [
        [
            {"item_index": 2, "session": 2, "window": 2, "cross_domain": 2},
            {"item_index": 3, "session": 1, "window": 1, "cross_domain": 1},
        ],
        [{"item_index": 2, "session": 1, "window": 1, "cross_domain": 1}],
    ]


def test_a_history_of_unknown_items_counts_nothing(features_path: str) -> None:
    assert item_counts(batch_of([[(1, DAY, 1)]])).num_rows == 0
    assert pair_counts(batch_of([[(1, DAY, 1)]]), features_path, WINDOW_DAYS).num_rows == 0
