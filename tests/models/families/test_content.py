"""The content model places items by what the catalogue says of them, also those that nobody met."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from keras import ops

from models.data.dataset import Dataset
from models.families.content import Content, ContentConfig, build_picture_reader
from models.interface.model import Model, Vectors
from models.interface.registry import config_values
from models.nn.layers import TextEncoder
from tests.models.contract import ModelContract
from tests.worlds.communities import ITEMS, UNSOLD_ITEM, USERS

SETTINGS: dict[str, Any] = {
    "embedding_dim": 8,
    "feature_dim": 4,
    "title_dim": 4,
    "text_dim": 8,
    "hidden_dim": 16,
    "num_blocks": 1,
    "num_heads": 1,
    "max_length": 8,
    "dropout": 0.1,
    "learning_rate": 0.01,
    "batch_size": 8,
    "epochs": 10,
}


class TestContent(ModelContract):
    name = "content"
    settings: ClassVar[dict] = SETTINGS
    same_seed_rtol = 1e-4

    def test_an_item_that_nobody_met_is_placed_by_its_content(self, fitted: Model, dataset: Dataset) -> None:
        scores = fitted.scores(dataset, np.array(USERS))
        odd = scores[:, [item for item in ITEMS if item % 2]]
        is_even = np.array(USERS) % 2 == 0
        assert (scores[is_even, UNSOLD_ITEM] > odd[is_even].max(axis=1)).all()
        assert (scores[~is_even, UNSOLD_ITEM] < odd[~is_even].min(axis=1)).all()

    def test_an_item_without_words_and_picture_is_scored_all_the_same(self, fitted: Model, dataset: Dataset) -> None:
        features = dict(dataset.item_features)
        for name in ("token_indices", "description_token_indices"):
            features[name] = np.where(np.arange(dataset.num_items)[:, None] == UNSOLD_ITEM, 0, features[name])
        assert dataset.pictures.row[UNSOLD_ITEM] == 0
        assert np.isfinite(fitted.scores(replace(dataset, item_features=features), np.array(USERS))).all()

    @pytest.mark.parametrize(
        ("reads", "text_encoder"),
        [(["tokens"], "cnn"), (["tokens", "description_tokens"], "attention"), (["picture"], "cnn")],
    )
    def test_each_kind_of_content_alone_tells_the_communities(
        self, dataset: Dataset, reads: list[str], text_encoder: str
    ) -> None:
        model = Content(_config(reads=reads, text_encoder=text_encoder, epochs=15))
        model.fit(dataset)
        users = np.array(USERS)
        scores = model.scores(dataset, users)[:, list(ITEMS)]
        is_own = (users[:, None] % 2) == (np.array(ITEMS)[None, :] % 2)
        assert scores[is_own].mean() > scores[~is_own].mean() + 1
        assert np.isfinite(model.scores(dataset, users)[:, UNSOLD_ITEM]).all()

    def test_two_items_of_equal_content_are_one_to_it(self, fitted: Model, dataset: Dataset) -> None:
        vectors = fitted.retrieval(dataset)
        assert isinstance(vectors, Vectors)
        np.testing.assert_allclose(vectors.item[4], vectors.item[14], rtol=1e-5, atol=1e-6)
        assert not np.allclose(vectors.item[4], vectors.item[5])


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("reads", ["tokens", "smell"], "`reads` must name some of categories, .*picture. Received: 'tokens, smell'"),
        ("reads", [], "`reads` must name some of"),
        ("text_dim", 0, "`text_dim` must be at least 1. Received: 0"),
    ],
)
def test_a_config_that_cannot_work_is_refused(setting: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _config(**{setting: value})


@pytest.mark.parametrize("reads_by", ["cnn", "attention"])
def test_padding_says_nothing_and_the_order_of_words_only_to_filters(reads_by: str) -> None:
    encoder = TextEncoder(20, 6, reads_by)
    texts = np.array([[3, 4, 5, 0, 0], [5, 4, 3, 0, 0], [0, 0, 0, 0, 0]])
    read = ops.convert_to_numpy(encoder(texts))
    np.testing.assert_allclose(read, ops.convert_to_numpy(encoder(texts[:, :3])), atol=1e-6)
    assert not read[2].any()
    assert np.allclose(read[0], read[1], atol=1e-6) == (reads_by == "attention")


def test_pictures_of_any_size_become_vectors() -> None:
    reader = build_picture_reader(5)
    for size in (8, 64):
        assert reader(np.zeros((2, size, size, 3), dtype=np.uint8)).shape == (2, 5)


def _config(**settings: Any) -> ContentConfig:
    values = {**config_values("content"), **SETTINGS, **settings}
    return replace(ContentConfig(**values), reads=tuple(values["reads"]))
