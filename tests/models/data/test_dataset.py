"""What a dataset reads only when it is asked: the graph and the pictures."""

from __future__ import annotations

import numpy as np

from models.data.dataset import Dataset
from tests.worlds.communities import ITEMS, PICTURE_SIZE, UNSOLD_ITEM


def test_edges_of_users_lead_to_items_of_their_own_community(dataset: Dataset) -> None:
    edges = dataset.edges
    is_user = edges.kind == "user_item"
    assert (edges.source[is_user] % 2 == edges.target[is_user] % 2).all()
    pairs = dataset.interactions
    assert np.array_equal(edges.source[is_user], pairs.user_index)
    assert np.array_equal(edges.target[is_user], pairs.item_index)
    assert (edges.weight > 0).all()


def test_a_picture_stands_in_the_row_of_its_item(dataset: Dataset) -> None:
    pictures = dataset.pictures
    assert pictures.pixels.shape == (1 + len(ITEMS), PICTURE_SIZE, PICTURE_SIZE, 3)
    assert pictures.row[UNSOLD_ITEM] == 0
    assert not pictures.pixels[0].any()
    for item in ITEMS:
        assert (pictures.pixels[pictures.row[item]] == 40 + 160 * (item % 2)).all()
