from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from keras import ops

from expectations.runtime.lake import Lake
from expectations.shop.shop import Shop
from expectations.tables import NightError
from models.batches.sequence_batches import NextItemBatches, latest_sequences
from models.data.dataset import Dataset, load_dataset
from models.data.snapshot import Snapshot
from models.data.tower_inputs import ITEM_CONTENT
from models.families.next_item import Loss, NextItem, title_rarity
from models.families.sequence import SequenceModel, SequenceModelConfig
from models.interface.model import Model, Vectors
from models.nn.layers import RecentSum, TitleVector
from models.nn.losses import GeneralizedBinaryCrossentropy, SoftmaxCrossentropy, calibrated_power
from models.nn.sequence_encoder import Encoder, build_encoder
from tests.models.contract import ModelContract
from tests.worlds.communities import DAY, ITEMS, SILENT_USER, USERS, community_events, write_world

SETTINGS: dict = {
    "embedding_dim": 8,
    "feature_dim": 4,
    "title_dim": 4,
    "num_blocks": 1,
    "num_heads": 1,
    "max_length": 8,
    "dropout": 0.1,
    "learning_rate": 0.02,
    "batch_size": 8,
    "epochs": 20,
}


class TestSequence(ModelContract):
    name = "sequence"
    settings: ClassVar[dict] = SETTINGS

    def test_vectors_multiply_to_the_scores(self, fitted: Model, dataset: Dataset) -> None:
        vectors = fitted.retrieval(dataset)
        assert isinstance(vectors, Vectors)
        product = (vectors.user @ vectors.item.T)[[4, 5, SILENT_USER]]
        np.testing.assert_allclose(product, fitted.scores(dataset, np.array([4, 5, SILENT_USER])), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(
        ("encoder", "loss"), [("gru", "gbce"), ("lstm", "sampled_softmax"), ("transformer", "bce")]
    )
    def test_every_encoder_and_loss_learns_the_communities(
        self, dataset: Dataset, encoder: Encoder, loss: Loss
    ) -> None:
        # Fewer candidates than items, so that the sampled losses do sample.
        config = replace(_config(), encoder=encoder, loss=loss, num_candidates=12, epochs=50)
        model = SequenceModel(config)
        history = model.fit(dataset)
        assert history.curves["loss"][-1] < history.curves["loss"][0]
        users = np.array(USERS)
        scores = model.scores(dataset, users)[:, list(ITEMS)]
        is_own = (users[:, None] % 2) == (np.array(ITEMS)[None, :] % 2)
        top = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        assert np.take_along_axis(is_own, top, axis=1).mean() > 0.9

    def test_a_world_in_which_nobody_wants_anything_is_refused(self, dataset: Dataset) -> None:
        events = replace(dataset.events, is_target=np.zeros_like(dataset.events.is_target))
        with pytest.raises(
            NightError, match="sequence as of 2024-03-10: no history holds an event that the shop wants"
        ):
            self.new_model().fit(replace(dataset, events=events))

    def test_a_loss_that_runs_away_stops_the_night(self, dataset: Dataset) -> None:
        with pytest.raises(NightError, match="sequence: the loss must stay finite"):
            SequenceModel(replace(_config(), learning_rate=float("nan"))).fit(dataset)

    def test_a_model_that_was_not_fitted_is_not_saved(self, tmp_path: Path) -> None:
        with pytest.raises(NightError, match="must be fitted"):
            self.new_model().save(tmp_path / DAY)


@pytest.mark.parametrize("encoder", ["transformer", "gru", "lstm"])
def test_no_place_looks_at_later_ones_nor_at_padding(encoder: Encoder) -> None:
    config = replace(_config(), encoder=encoder)
    network = build_encoder({"event_type": 4}, config, title_dim=3)
    rng = np.random.default_rng(1)
    one: dict[str, np.ndarray] = {
        "history": rng.normal(size=(2, 6, 8 + 3)).astype(np.float32),
        "event_types": rng.integers(2, 4, (2, 6)),
        "gaps": rng.integers(0, 9, (2, 6)),
    }
    other = {name: values.copy() for name, values in one.items()}
    for values in other.values():
        values[:, 4:] = 0
    seen, alike = (ops.convert_to_numpy(network(inputs, training=False)) for inputs in (one, other))
    np.testing.assert_allclose(alike[:, :4], seen[:, :4], rtol=1e-5, atol=1e-6)
    assert not np.allclose(alike[:, 4:], seen[:, 4:])
    shorter = ops.convert_to_numpy(network({name: values[:, :4] for name, values in one.items()}, training=False))
    np.testing.assert_allclose(shorter, seen[:, :4], rtol=1e-5, atol=1e-6)


def test_like_titles_are_near_before_anything_is_learnt() -> None:
    rarity = np.array([9, 9, 3, 3, 3, 0.1], dtype=np.float32)
    layer = TitleVector(6, 64, rarity)
    titles = np.array([[2, 3, 5, 0], [3, 2, 0, 0], [4, 5, 0, 0], [1, 0, 0, 0]])
    vectors = ops.convert_to_numpy(layer(titles))
    nearness = vectors @ vectors.T
    assert nearness[0, 1] > 0.9, "the common piece says little, and the order of pieces nothing"
    assert abs(nearness[0, 2]) < 0.4
    np.testing.assert_array_equal(vectors[3], 0)
    np.testing.assert_allclose(np.diag(nearness)[:3], 1.0, rtol=1e-3)


def test_a_recent_sum_by_hand() -> None:
    layer = RecentSum()
    sequence = np.array([[[1.0, 0.0], [0.0, 2.0], [4.0, 0.0]]], dtype=np.float32)
    found = ops.convert_to_numpy(layer(sequence))[0]
    keeps = 1 / (1 + np.exp(-1.4))
    np.testing.assert_allclose(found, 3 * np.array([[1, 0], [keeps, 2], [keeps**2 + 4, 2 * keeps]]), rtol=1e-5)


def test_rare_pieces_of_titles_count_more(dataset: Dataset) -> None:
    rarity = title_rarity(dataset, dataset.sizes["token"])
    assert rarity[2] == pytest.approx(rarity[3], rel=0.2)
    assert rarity[2] > rarity[4] + 0.5, "every title holds the last one"


def test_what_is_popular_is_expected_beforehand_where_the_config_says_so(dataset: Dataset) -> None:
    batches, plain = _batches(dataset, popularity_discount=1.0), _batches(dataset)
    counts = np.bincount(dataset.events.item_index[dataset.events.is_target], minlength=dataset.num_items)
    (inputs, *_), (without, *_) = batches[0], plain[0]
    known = batches.known_items
    expected = without["log_inclusion"][known] - np.log(1 + counts[known])
    np.testing.assert_allclose(inputs["log_inclusion"][known], expected, rtol=1e-5)


@pytest.fixture
def uneven(lake: Lake, world_shop: Shop) -> Dataset:
    """Some bought twice as much as the others."""
    bought = community_events()
    later = [(user, item, time + timedelta(hours=1)) for user, item, time in bought if user < 8]
    write_world(lake, sorted(bought + later, key=lambda event: (event[0], event[2])))
    return load_dataset(lake, world_shop, DAY)


def test_the_first_two_batches_show_that_widths_vary_and_each_epoch_has_its_own_order(uneven: Dataset) -> None:
    batches = _batches(uneven, max_length=50, batch_size=3)
    orders = []
    for _ in range(8):
        first, second = (batches[n][0]["items"].shape[1] for n in (0, 1))
        assert first != second
        np.testing.assert_array_equal(batches[1][0]["items"], batches[1][0]["items"])
        orders.append(tuple(tuple(group) for group in batches.order))
        batches.on_epoch_end()
    assert len(set(orders)) == 8


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it is TensorFlow that traces")
def test_a_step_is_traced_once_whatever_the_widths(uneven: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    traced, original = [], NextItem.call

    def call(self: NextItem, inputs: dict[str, Any], training: bool = False) -> Any:
        traced.append(training)
        return original(self, inputs, training)

    monkeypatch.setattr(NextItem, "call", call)
    SequenceModel(replace(_config(), max_length=50, batch_size=3, epochs=3)).fit(uneven)
    assert traced.count(True) == 1


def test_a_sequence_begins_with_its_start_and_ends_in_padding(dataset: Dataset) -> None:
    snapshot = Snapshot(dataset, dataset.end)
    inputs, lengths = latest_sequences(snapshot, np.array([2, SILENT_USER]), max_length=6)
    events = dataset.events
    latest = events.item_index[events.offsets[3] - 5 : events.offsets[3]]
    assert inputs["items"].tolist() == [[1, *latest], [1, 0, 0, 0, 0, 0]]
    assert lengths.tolist() == [5, 0]


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bce"])
@pytest.mark.parametrize("max_length", [3, 8, 50])
def test_every_wanted_event_is_asked_for_once_after_what_came_before_it(
    dataset: Dataset, loss: str, max_length: int
) -> None:
    asked = _asked_of(_batches(dataset, max_length=max_length, loss=loss, batch_size=5))
    histories = _histories(dataset)
    assert sorted(target for _, target in asked) == sorted(item for history in histories for item in history)
    for before, target in asked:
        stretch = [*before, target]
        assert any(stretch == h[n : n + len(stretch)] for h in histories for n in range(len(h))), stretch


def test_all_of_a_basket_is_asked_for_from_what_came_before_it(dataset: Dataset) -> None:
    offsets = dataset.events.offsets
    nth = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
    # Two events a basket: the first is asked for after an even number of events, and so is the second.
    baskets = replace(dataset, events=replace(dataset.events, time=nth // 2))
    asked = _asked_of(_batches(baskets, max_length=50))
    expected = [
        (tuple(history[: n - n % 2]), item) for history in _histories(dataset) for n, item in enumerate(history)
    ]
    assert sorted(asked) == sorted(expected)


@pytest.mark.parametrize("max_length", [3, 4])
def test_no_basket_is_asked_for_from_nothing_where_a_history_is_cut(dataset: Dataset, max_length: int) -> None:
    offsets = dataset.events.offsets
    nth = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
    batches = _batches(replace(dataset, events=replace(dataset.events, time=nth // 3)), max_length=max_length)
    asked = _asked_of(batches)
    assert len(asked) == batches.num_examples
    firsts = Counter(item for history in _histories(dataset) for item in history[:3])
    assert not Counter(target for before, target in asked if not before) - firsts


def _histories(dataset: Dataset) -> list[list[int]]:
    events = dataset.events
    return [events.item_index[events.offsets[u] : events.offsets[u + 1]].tolist() for u in USERS]


def _asked_of(batches: NextItemBatches) -> list[tuple[tuple[int, ...], int]]:
    """Of every event that an epoch asks for: what was read before the place that is asked, and its item."""
    asked = []
    for inputs, came, weight in batches:
        width = inputs["items"].shape[1]
        listed = inputs["item_index"]
        for row, column in came[weight > 0].tolist():
            sequence, step = divmod(int(inputs["places"][row]), width)
            assert step < batches.max_length
            assert column < len(inputs["log_inclusion"])
            before = tuple(listed[inputs["items"][sequence, 1 : step + 1]].tolist())
            asked.append((before, int(listed[column])))
    return asked


def test_a_new_item_is_known_by_its_features_alone(dataset: Dataset) -> None:
    batches = _batches(dataset, item_dropout=0.5)
    inputs, *_ = batches[0]
    share = (inputs["item_index"][2:22] == 1).mean()
    assert 0.1 < share < 0.9
    assert set(inputs["item_index"][2:22]) <= {1, *ITEMS}


def test_generalized_binary_cross_entropy_by_hand() -> None:
    logits = np.array([[7.0, 7.0, 7.0, 7.0], [0.5, -1.0, 2.0, 9.0]], dtype=np.float32)
    sigmoid = 1 / (1 + np.exp(-logits[1]))
    # Of row 1 came one of the three negatives, which is none for itself, and the item beside them.
    among = -0.3 * np.log(sigmoid[2]) - np.log(1 - sigmoid[0]) - np.log(1 - sigmoid[1])
    beside = -0.3 * np.log(sigmoid[3]) - np.log(1 - sigmoid[:3]).sum()
    loss = GeneralizedBinaryCrossentropy(num_negatives=3, power=0.3)
    np.testing.assert_allclose(float(loss(np.array([[1, 2]]), logits)), among, rtol=1e-5)
    np.testing.assert_allclose(float(loss(np.array([[1, 2], [1, 3]]), logits)), (among + beside) / 2, rtol=1e-5)


def test_softmax_cross_entropy_is_what_keras_says_of_one_item_a_row() -> None:
    rng = np.random.default_rng(0)
    logits, columns, weight = rng.normal(size=(3, 5)).astype(np.float32), np.array([4, 0, 2]), np.array([1.0, 0.0, 2.0])
    keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    ours = SoftmaxCrossentropy()(np.stack([np.arange(3), columns], axis=1), logits, weight)
    np.testing.assert_allclose(float(ours), float(keras_loss(columns, logits, weight)), rtol=1e-5)


def test_the_power_is_one_without_calibration_and_the_sampled_share_with_all_of_it() -> None:
    assert calibrated_power(0.01, 0.0) == pytest.approx(1.0)
    assert calibrated_power(0.01, 1.0) == pytest.approx(0.01)


def _config() -> SequenceModelConfig:
    config: SequenceModelConfig = TestSequence().new_model().config  # type: ignore[attr-defined]
    return config


def _batches(dataset: Dataset, **settings: Any) -> NextItemBatches:
    few: dict[str, Any] = {
        "max_length": 8,
        "batch_size": 8,
        "loss": "softmax",
        "num_candidates": 6,
        "popularity_discount": 0.0,
        "item_dropout": 0.0,
    }
    return NextItemBatches(dataset, ITEM_CONTENT, **{**few, **settings})
