"""The dataset and the past that is cut out of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.runtime.lake import Lake
from expectations.shop.shop import Shop
from expectations.tables import HISTORIES, UNKNOWN_INDEX, NightError, TableContractError
from models.batches.sequence_batches import latest_sequences
from models.data.arrow_rows import arrow_rows
from models.data.dataset import Dataset, load_dataset
from models.data.snapshot import Snapshot, Window, positive_pairs, training_windows
from tests.worlds.communities import DAY, NUM_DAYS, history_rows, write_world

NOON = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def small(lake: Lake, world_shop: Shop) -> Dataset:
    """User 2 buys items 4, 6 and 4 again; user 3 buys item 5 once, on the last of these days."""
    days = [(2, 4, 0), (2, 6, 2), (2, 4, 5), (3, 5, 5)]
    write_world(lake, [(user, item, NOON + timedelta(days=day)) for user, item, day in days])
    return load_dataset(lake, world_shop, DAY)


def cut_at(day: int) -> int:
    """Midnight before `NOON` + day."""
    return int((NOON + timedelta(days=day, hours=-12)).timestamp())


def test_a_snapshot_holds_what_came_before_the_cut(small: Dataset) -> None:
    items, ages, weights = Snapshot(small, cut_at(5)).histories(np.array([2, 3]), max_length=3)
    assert items.tolist() == [[0, 4, 6], [0, 0, 0]]
    assert ages.tolist() == [[0.0, 4.5, 2.5], [0.0, 0.0, 0.0]]
    assert weights.tolist() == [[0.0, 5.0, 5.0], [0.0, 0.0, 0.0]]


def test_a_history_keeps_its_latest_events(small: Dataset) -> None:
    items, _, _ = Snapshot(small, small.end).histories(np.array([2]), max_length=2)
    assert items.tolist() == [[6, 4]]


def test_events_after_the_cut_change_nothing_before_it(small: Dataset) -> None:
    cut, later = cut_at(3), small.events.time >= cut_at(3)
    other = replace(small.events, item_index=np.where(later, 20, small.events.item_index))
    one, two = Snapshot(small, cut), Snapshot(replace(small, events=other), cut)
    users, items = np.array([2, 2, 3]), np.array([4, 20, 5])
    assert np.array_equal(one.item_state, two.item_state)
    assert np.array_equal(one.user_state, two.user_state)
    rows = np.arange(len(users))
    assert np.array_equal(one.pairs_of(users).features(rows, items), two.pairs_of(users).features(rows, items))
    assert np.array_equal(one.known_item_index, two.known_item_index)


@pytest.fixture
def pushed_out(small: Dataset, lake: Lake, world_shop: Shop) -> Dataset:
    """The same events, of which user 2's first purchase is older than their history."""
    row, *others = lake.read(HISTORIES, DAY).to_pylist()
    row |= {"older_purchase_indices": row["item_indices"][:1], "older_purchase_times": row["event_times"][:1]}
    row |= {name: row[name][1:] for name in ("item_indices", "event_type_indices", "event_times", "gap_buckets")}
    lake.write(HISTORIES, DAY, arrow_rows(HISTORIES, DAY, [row, *others]), "pushed out")
    return load_dataset(lake, world_shop, DAY)


def test_purchases_before_a_history_count_as_any_other(small: Dataset, pushed_out: Dataset) -> None:
    whole, short = Snapshot(small, small.end), Snapshot(pushed_out, small.end)
    assert np.array_equal(short.item_state, whole.item_state)
    assert np.array_equal(short.user_state, whole.user_state)
    users, items = np.array([2, 3]), np.array([4, 5])
    rows = np.arange(len(users))
    assert np.array_equal(short.pairs_of(users).features(rows, items), whole.pairs_of(users).features(rows, items))
    window = Window(cut_at(0), small.end)
    assert np.array_equal(positive_pairs(pushed_out, window), positive_pairs(small, window))
    assert Snapshot(pushed_out, cut_at(2)).ends[2] - short.starts[2] == 1


def test_sequences_begin_where_a_history_begins(pushed_out: Dataset) -> None:
    snapshot = Snapshot(pushed_out, pushed_out.end)
    items, _, _ = snapshot.histories(np.array([2]), max_length=3)
    assert items.tolist() == [[0, 6, 4]]
    read, lengths = latest_sequences(snapshot, np.array([2]), max_length=4)
    assert (read["items"].tolist(), lengths.tolist()) == ([[UNKNOWN_INDEX, 6, 4]], [2])
    _, lengths = latest_sequences(Snapshot(pushed_out, cut_at(2)), np.array([2]), max_length=4)
    assert lengths.tolist() == [0]


def test_pair_features_tell_repeats_and_their_age(small: Dataset) -> None:
    pairs = Snapshot(small, cut_at(6)).pairs_of(np.array([3, 2]))
    found = pairs.features(np.array([1, 1]), np.array([4, 5]))
    np.testing.assert_allclose(found, [[1, np.log(3), np.log(1.5)] * 2, [0] * 6], rtol=1e-6)


def test_demand_is_counted_by_window(small: Dataset) -> None:
    state = Snapshot(small, cut_at(10)).item_state
    np.testing.assert_allclose(np.expm1(state[4]), [1, 2, 2, NUM_DAYS - 1 + 1], atol=1.01)
    np.testing.assert_allclose(np.expm1(state[4, :3]), [1, 2, 2], atol=1e-5)


def test_who_and_what_is_unknown_before_its_first_event(small: Dataset) -> None:
    snapshot = Snapshot(small, cut_at(5))
    assert snapshot.known_user_index[[2, 3]].tolist() == [2, 1]
    assert snapshot.known_item_index[[4, 5]].tolist() == [4, 1]


def test_positive_pairs_count_once(small: Dataset) -> None:
    users, items = positive_pairs(small, Window(cut_at(0), cut_at(6)))
    assert list(zip(users.tolist(), items.tolist(), strict=True)) == [(2, 4), (2, 6), (3, 5)]


def test_windows_go_back_from_the_end_while_there_is_a_past(dataset: Dataset) -> None:
    windows = training_windows(dataset, max_windows=3)
    days_before = [
        ((dataset.end - w.cut) // SECONDS_PER_DAY, (dataset.end - w.end) // SECONDS_PER_DAY) for w in windows
    ]
    assert days_before == [(14, 0), (28, 14), (42, 28)]


def test_a_short_log_is_cut_in_its_middle(small: Dataset) -> None:
    assert training_windows(replace(small, horizon_days=300), 3) == [Window(cut_at(5) + 12 * 3600, small.end)]


def test_a_log_of_one_moment_is_refused(dataset_of_equals: Dataset) -> None:
    at_once = replace(dataset_of_equals.events, time=np.full(20, dataset_of_equals.end - 5))
    with pytest.raises(NightError, match="span no time"):
        training_windows(replace(dataset_of_equals, events=at_once), 3)


def test_histories_that_know_the_future_are_refused(lake: Lake, world_shop: Shop, small: Dataset) -> None:
    tomorrow = datetime(2024, 3, 11, tzinfo=timezone.utc)
    lake.write(HISTORIES, DAY, history_rows(DAY, [(2, 4, tomorrow)]), "from the future")
    with pytest.raises(TableContractError, match="must not know the future"):
        load_dataset(lake, world_shop, DAY)


def test_lists_are_padded_and_absent_rows_unknown(small: Dataset) -> None:
    assert small.item_features["token_indices"][4].tolist() == [2, 4]
    assert small.item_features["brand_index"][1] == 1
    assert small.item_features["token_indices"][1].tolist() == [0, 0]
    assert (small.num_users, small.num_items) == (27, 23)
