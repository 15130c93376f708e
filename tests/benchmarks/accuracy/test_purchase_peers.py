"""What peers are shown and how they are judged, on a few users."""

from __future__ import annotations

import numpy as np
import pytest

from expectations.tables import FIRST_VALUE_INDEX
from models.data.dataset import Dataset
from models.data.pair_features import PAIR_DIM
from models.evaluation.held_out import NEW_ITEMS, WITH_REPEATS, HeldOut
from models.evaluation.ranking_metrics import relevant_from_pairs
from tests.benchmarks.accuracy.gowalla import Pairs, dataset_of
from tests.benchmarks.accuracy.purchase_peers import judged_scores, shop_arrays

NUM_USERS, NUM_ITEMS = 12, 8


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Everybody but one met half of the items, on days of a year."""
    users, items = np.nonzero(np.random.default_rng(1).random((NUM_USERS, NUM_ITEMS)) < 0.5)
    pairs = Pairs(users[users > 0] + FIRST_VALUE_INDEX, items[users > 0] + FIRST_VALUE_INDEX)
    return dataset_of(pairs, NUM_USERS + FIRST_VALUE_INDEX, NUM_ITEMS + FIRST_VALUE_INDEX)


def test_scores_are_judged_over_the_whole_catalogue(dataset: Dataset) -> None:
    judged = np.array([3, 4])
    met = int(dataset.seen_by(judged).indices[0])  # of user 3
    new = next(i for i in range(FIRST_VALUE_INDEX, dataset.num_items) if not dataset.seen_by(judged)[1, i])
    wanted = relevant_from_pairs(np.array([0, 1]), np.array([met, new]), 2)
    only_new = relevant_from_pairs(np.array([0]), np.array([new]), 1)
    tasks = [HeldOut(NEW_ITEMS, judged[1:], only_new), HeldOut(WITH_REPEATS, judged, wanted)]
    scores = np.zeros((2, NUM_ITEMS), dtype=np.float32)
    scores[0, met - FIRST_VALUE_INDEX], scores[1, new - FIRST_VALUE_INDEX] = 1, 1
    assert judged_scores(dataset, tasks, judged, scores) == {
        "ndcg@10 new_items": 1.0,
        "ndcg@10 with_repeats": 1.0,
        "recall@10 with_repeats": 1.0,
    }


def test_the_boosted_trees_see_groups_of_known_candidates(dataset: Dataset) -> None:
    judged = np.array([3, 5, 7])
    arrays = shop_arrays(dataset, judged)
    assert arrays["rows"].shape == (len(arrays["labels"]), arrays["asked_rows"].shape[1])
    assert arrays["rows"].shape[1] > PAIR_DIM
    assert arrays["group_sizes"].sum() == len(arrays["labels"])
    assert 0 < arrays["labels"].mean() < 1
    assert set(arrays["asked_place"]) == {0, 1, 2}
    assert arrays["asked_item"].min() >= 0
    assert arrays["asked_item"].max() < NUM_ITEMS
