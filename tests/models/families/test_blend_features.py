"""Several models' lists on one scale, and the weights under which what was wanted stands first."""

from __future__ import annotations

import numpy as np
import pytest

from expectations.runtime.lake import Lake, Version
from models.families.blend_features import ListedPairs, listed_pairs
from models.families.listwise_softmax import listwise_weights
from tests.worlds.judged_night import Listed, write_lists

DS = "2024-03-10"


@pytest.fixture
def lists(lake: Lake) -> list[Version]:
    """Two models' lists of two users."""
    first: list[Listed] = [(2, 5, 9.0, False), (2, 7, 5.0, True), (2, 6, 1.0, False), (3, 5, 4.0, False)]
    second: list[Listed] = [(2, 8, 0.9, False), (2, 5, 0.1, False)]
    return [write_lists(lake, DS, model, rows) for model, rows in (("first", first), ("second", second))]


def test_pairs_of_all_lists_stand_once_by_user_and_item(lists: list[Version]) -> None:
    pairs = listed_pairs(lists, 2, 3)
    assert pairs.user_indices.tolist() == [2, 2, 2, 2, 3]
    assert pairs.item_indices.tolist() == [5, 6, 7, 8, 5]
    assert pairs.is_seen.tolist() == [False, False, True, False, False]


def test_features_by_hand(lists: list[Version]) -> None:
    features = listed_pairs(lists, 2, 3).features
    # The first list of user 2 holds 9, 5 and 1: mean 5, deviation sqrt(32 / 3). Item 8 is as good as its last one.
    high = 4 / np.sqrt(32 / 3)
    np.testing.assert_allclose(features[:, 0], [high, -high, 0, -high, 0], atol=1e-6)
    np.testing.assert_allclose(features[:, 1], [1, 1 / 2, 1 / np.log2(3), 0, 1])
    # The second list holds 0.9 and 0.1, and knows nothing of user 3.
    np.testing.assert_allclose(features[:, 2], [-1, -1, -1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(features[:, 3], [1 / np.log2(3), 0, 0, 1, 0])
    assert features[:, 4].tolist() == [0, 0, 1, 0, 0]


def test_a_range_of_users_is_read_alone(lists: list[Version]) -> None:
    whole, part = listed_pairs(lists, 2, 3), listed_pairs(lists, 3, 3)
    assert part.user_indices.tolist() == [3]
    np.testing.assert_array_equal(part.features, whole.features[4:])
    assert not len(listed_pairs(lists, 9, 12).keys)


def test_parts_joined_are_the_whole(lists: list[Version]) -> None:
    joined = ListedPairs.joined([listed_pairs(lists, 2, 2), listed_pairs(lists, 3, 3)])
    np.testing.assert_array_equal(joined.features, listed_pairs(lists, 2, 3).features)


def test_a_model_that_scores_all_alike_says_nothing(lake: Lake) -> None:
    constant = write_lists(lake, DS, "constant", [(2, item, 1.0, False) for item in (5, 6, 7)])
    np.testing.assert_array_equal(listed_pairs([constant], 2, 2).features[:, 0], np.zeros(3))


def test_weights_find_what_tells_the_wanted_rows() -> None:
    rng = np.random.default_rng(0)
    rows, lists = rng.normal(size=(4000, 3)), np.repeat(np.arange(200), 20)
    chance = np.exp(2.0 * rows[:, 0] - 1.0 * rows[:, 1])
    is_wanted = np.zeros(4000, dtype=bool)
    for n in range(200):
        own = np.flatnonzero(lists == n)
        is_wanted[rng.choice(own, 1, p=chance[own] / chance[own].sum())] = True
    weights = listwise_weights(rows, is_wanted, lists, regularization=0.0)
    np.testing.assert_allclose(weights, [2.0, -1.0, 0.0], atol=0.25)


def test_the_weights_are_the_optimum() -> None:
    """One list of two rows: the softmax of w has the slope -(1 - p) + 2 r w = 0 at its optimum."""
    weight = listwise_weights(np.array([[1.0], [-1.0]]), np.array([True, False]), np.array([7, 7]), 0.1)[0]
    refused = 1 / (1 + np.exp(2 * weight))
    assert 2 * refused == pytest.approx(0.2 * weight, rel=1e-3)


def test_lists_without_anything_wanted_say_nothing() -> None:
    rows, lists = np.array([[1.0], [0.0], [5.0], [0.0]]), np.array([0, 0, 1, 1])
    wanted = np.array([True, False, False, False])
    alone = listwise_weights(rows[:2], wanted[:2], lists[:2], 0.1)
    np.testing.assert_allclose(listwise_weights(rows, wanted, lists, 0.1), alone)
    assert listwise_weights(rows, np.zeros(4, dtype=bool), lists, 0.1).tolist() == [0.0]
