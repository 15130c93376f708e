"""What the Beauty benchmarks count: withheld items are gone from the log alone, and chance is counted exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.data.dataset import Dataset
from models.data.snapshot import Snapshot
from tests.benchmarks.accuracy.beauty import Question, hit_rate_and_ndcg
from tests.benchmarks.accuracy.beauty_content import (
    asked_about,
    deepest_category,
    random_pick_chances,
    withheld_items,
    without_items,
)
from tests.models.conftest import dataset, world_shop
from tests.worlds.communities import ITEMS, USERS

__all__ = ["dataset", "world_shop"]


def test_about_a_tenth_of_the_items_is_withheld() -> None:
    is_withheld = withheld_items(12_103)
    assert not is_withheld[:2].any()
    assert is_withheld.sum() == pytest.approx(1210, abs=120)


def test_nobody_met_a_withheld_item_and_everything_else_is_as_it_was(dataset: Dataset) -> None:
    is_withheld = np.arange(dataset.num_items) == 6
    without = without_items(dataset, is_withheld)
    assert not is_withheld[without.events.item_index].any()
    assert not is_withheld[without.interactions.item_index].any()
    for user in USERS:
        of_user = slice(without.events.offsets[user], without.events.offsets[user + 1])
        assert (without.events.user_index[of_user] == user).all()
        before = dataset.events.item_index[dataset.events.offsets[user] : dataset.events.offsets[user + 1]]
        assert np.array_equal(without.events.item_index[of_user], before[before != 6])
    assert without.num_items == dataset.num_items


def test_a_withheld_item_is_not_drawn_as_a_negative_either(dataset: Dataset) -> None:
    without = without_items(dataset, np.arange(dataset.num_items) == 6)
    known = Snapshot(dataset, dataset.end).known_items
    assert Snapshot(without, without.end).known_items.tolist() == [item for item in known if item != 6]


def test_only_events_with_withheld_items_are_asked_about(dataset: Dataset) -> None:
    question = Question(dataset, np.array([2, 3, 4]), np.array([6, 7, 6]))
    asked = asked_about(question, np.arange(dataset.num_items) == 6)
    assert asked.users.tolist() == [2, 4]
    assert asked.items.tolist() == [6, 6]


def test_ten_random_picks_are_counted_exactly(dataset: Dataset) -> None:
    # Each community's eleven or ten items are one category; a user has met some of the own ones.
    question = Question(dataset, np.array([3, 2]), np.array([5, 5]))
    own, other = random_pick_chances(question)
    num_met = len(set(dataset.seen_by(np.array([3])).indices.tolist()))
    assert own == pytest.approx(min(1.0, 10 / (len(ITEMS) // 2 - num_met)))
    assert other == 0


def test_a_large_category_is_seldom_guessed(dataset: Dataset) -> None:
    many = replace(
        dataset,
        sizes={**dataset.sizes, "item_id": 1002},
        item_features={**dataset.item_features, "category_indices": np.full((1002, 1), 2)},
    )
    num_met = len(set(many.seen_by(np.array([2])).indices.tolist()))
    assert random_pick_chances(Question(many, np.array([2]), np.array([900]))) == pytest.approx(10 / (1000 - num_met))


def test_the_deepest_level_of_a_path_is_its_category() -> None:
    assert deepest_category(np.array([[2, 5, 0], [3, 0, 0], [0, 0, 0]])).tolist() == [5, 3, 0]


def test_hit_rate_and_ndcg_by_hand() -> None:
    assert hit_rate_and_ndcg(np.array([0, 1, 10, 500])) == pytest.approx((0.5, (1 + 1 / np.log2(3)) / 4))
