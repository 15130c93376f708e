"""What every model must keep to. A model's test class inherits `ModelContract` and names the model."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from expectations.runtime.lake import Lake
from expectations.shop.shop import Shop
from expectations.shop.toml_settings import SettingsError, settings_from_mapping
from models.data.dataset import Dataset, load_dataset
from models.families.attribution import Explainable, attributions, candidate_causes
from models.interface.model import NO_ITEM, Model, TrainingHistory
from models.interface.registry import MODELS, build_model, config_values, model_class
from tests.worlds.best_items import recommend
from tests.worlds.communities import DAY, ITEMS, SILENT_USER, USERS, community_events, write_world

UNKNOWN_USER = 1


class ModelContract:
    """The tests. They share one fit."""

    name: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    """In place of the config file's: what makes the world's fit short."""
    is_personal: ClassVar[bool] = True
    """Whether different users get different lists."""
    same_seed_rtol: ClassVar[float] = 0.0
    """How far the scores of two fits by one seed may be apart; see `models.nn.training_setup.prepare_training`."""
    knows_unknown_users: ClassVar[bool] = True
    """Whether somebody without history gets items; otherwise none, and the tables fill the list."""

    @pytest.fixture(scope="class")
    def fit(self, dataset: Dataset) -> tuple[Model, TrainingHistory]:
        model = self.new_model()
        return model, model.fit(dataset)

    @pytest.fixture(scope="class")
    def fitted(self, fit: tuple[Model, TrainingHistory]) -> Model:
        return fit[0]

    def new_model(self) -> Model:
        config = self.config_from({**config_values(self.name), **self.settings})
        return model_class(self.name)(config)  # type: ignore[call-arg]

    def assert_same(self, scores: np.ndarray, others: np.ndarray) -> None:
        """That two fits by one seed score alike."""
        np.testing.assert_allclose(scores, others, rtol=self.same_seed_rtol, atol=self.same_seed_rtol)

    def config_from(self, values: dict[str, Any]) -> Any:
        module = import_module(MODELS[self.name].module)
        return settings_from_mapping(getattr(module, f"{MODELS[self.name].class_name}Config"), values, self.name)

    def test_the_registry_and_the_class_agree(self) -> None:
        entry, model = MODELS[self.name], build_model(self.name)
        assert (model.name, model.kind, model.role) == (self.name, entry.kind, entry.role)

    def test_a_config_survives_a_round_trip_through_json(self) -> None:
        config = self.new_model().config  # type: ignore[attr-defined]
        assert self.config_from(json.loads(json.dumps(asdict(config)))) == config

    def test_a_config_refuses_a_key_it_does_not_know(self) -> None:
        with pytest.raises(SettingsError, match="learning_rat"):
            self.config_from({**config_values(self.name), "learning_rat": 0.1})

    def test_a_model_that_can_be_asked_without_an_item_says_what_it_scores(
        self, fitted: Model, dataset: Dataset
    ) -> None:
        if not isinstance(fitted, Explainable):
            pytest.skip(f"{self.name} cannot be asked without an item")
        users, items = np.array(USERS), np.tile(ITEMS, (len(USERS), 1))
        logits, scores = fitted.logits(dataset, users, items), fitted.scores(dataset, users)[:, ITEMS]
        for mine, own in zip(logits, scores, strict=True):
            is_scored = np.isfinite(own)
            order = np.argsort(mine[is_scored], kind="stable")
            assert (np.diff(own[is_scored][order]) > -1e-6).all()
        nothing = np.zeros(len(users), dtype=np.int64)
        np.testing.assert_allclose(fitted.logits(dataset, users, items, nothing), logits, atol=1e-5)

    def test_what_a_score_owes_most_to_is_of_the_users_history_and_its_absence_costs(
        self, fitted: Model, dataset: Dataset
    ) -> None:
        if not isinstance(fitted, Explainable):
            pytest.skip(f"{self.name} cannot be asked without an item")
        users = np.array([*USERS, SILENT_USER])
        listed = recommend(fitted, dataset, users, 5, exclude_seen=False)[0]
        listed = np.where(listed == NO_ITEM, 0, listed)
        causes = candidate_causes(dataset, users, listed, None, num_causes=8)
        found = attributions(fitted, dataset, users, listed, causes)
        assert (found.cited_item[:-1] > 0).mean() > 0.5
        assert not found.cited_item[-1].any(), "who met nothing owes nothing to an item"
        seen = dataset.seen_by(users).toarray()
        for row, place in zip(*np.nonzero(found.cited_item), strict=True):
            cited, user, item = found.cited_item[row, [place]], users[[row]], listed[row, [[place]]]
            assert seen[row, cited[0]]
            drop = fitted.logits(dataset, user, item) - fitted.logits(dataset, user, item, cited)
            assert found.score_drop[row, place] == pytest.approx(float(drop[0, 0]), abs=1e-4)
            assert found.score_drop[row, place] > 0

    def test_a_loaded_model_gives_equal_scores(self, fitted: Model, dataset: Dataset, tmp_path: Path) -> None:
        fitted.save(tmp_path / "saved")
        loaded = model_class(self.name).load(tmp_path / "saved")
        users = np.array([2, 3, SILENT_USER])
        assert np.array_equal(loaded.scores(dataset, users), fitted.scores(dataset, users))

    def test_the_same_seed_gives_the_same_scores(self, fitted: Model, dataset: Dataset) -> None:
        again = self.new_model()
        again.fit(dataset)
        users = np.array(USERS)
        self.assert_same(again.scores(dataset, users), fitted.scores(dataset, users))

    def test_a_deep_model_goes_on_from_weights_whose_vocabularies_have_grown(
        self, fitted: Model, dataset: Dataset
    ) -> None:
        if MODELS[self.name].kind != "deep":
            pytest.skip(f"{self.name} has nothing to go on from")
        later = with_one_more_user_and_item(dataset)
        model, again = self.new_model(), self.new_model()
        for going_on in (model, again):
            going_on.refit(later, fitted)  # type: ignore[attr-defined]
        users = np.array(USERS)
        assert model.scores(later, users).shape == (len(USERS), dataset.num_items + 1)
        self.assert_same(model.scores(later, users), again.scores(later, users))
        self.test_the_two_communities_are_learnt(model, later)

    def test_a_deep_model_answers_for_a_later_day_with_the_weights_of_an_earlier_one(
        self, fitted: Model, dataset: Dataset
    ) -> None:
        if MODELS[self.name].kind != "deep":
            pytest.skip(f"{self.name} has nothing to carry over")
        model, users = self.new_model(), np.array(USERS)
        model.carry_over(dataset, fitted)  # type: ignore[attr-defined]
        self.assert_same(model.scores(dataset, users), fitted.scores(dataset, users))
        later = with_one_more_user_and_item(dataset)
        model.carry_over(later, fitted)  # type: ignore[attr-defined]
        assert model.scores(later, users).shape == (len(USERS), dataset.num_items + 1)
        self.test_the_two_communities_are_learnt(model, later)

    def test_seen_items_are_left_out_where_asked(self, fitted: Model, dataset: Dataset) -> None:
        items, _ = recommend(fitted, dataset, np.array(USERS), k=5, exclude_seen=True)
        for user, row in zip(USERS, items, strict=True):
            seen = set(dataset.seen_by(np.array([user])).indices.tolist())
            assert not seen & set(row.tolist())

    def test_more_items_than_the_catalogue_holds_end_in_no_item(self, fitted: Model, dataset: Dataset) -> None:
        items, scores = recommend(fitted, dataset, np.array([2]), k=100, exclude_seen=False)
        real = items[0][items[0] != NO_ITEM]
        assert items.shape == scores.shape == (1, 100)
        assert len(real) == len(set(real.tolist())) <= dataset.num_items - 2
        assert (items[0][len(real) :] == NO_ITEM).all()
        assert (np.diff(scores[0][: len(real)]) <= 0).all()

    @pytest.mark.parametrize("user", [UNKNOWN_USER, SILENT_USER])
    def test_a_user_without_history_falls_back(self, fitted: Model, dataset: Dataset, user: int) -> None:
        items, scores = recommend(fitted, dataset, np.array([user]), k=5, exclude_seen=True)
        if self.knows_unknown_users:
            assert set(items[0].tolist()) <= set(range(2, dataset.num_items))
            assert np.isfinite(scores).all()
        else:
            assert (items == NO_ITEM).all()

    def test_padding_never_changes_a_score(self, fitted: Model, dataset: Dataset) -> None:
        padded = replace(
            dataset, item_features=_padded(dataset.item_features), user_features=_padded(dataset.user_features)
        )
        users = np.array([2, 3, SILENT_USER])
        np.testing.assert_allclose(fitted.scores(padded, users), fitted.scores(dataset, users), rtol=1e-5, atol=1e-5)

    def test_the_future_never_changes_the_past(self, fitted: Model, world_shop: Shop, lake: Lake) -> None:
        """Asked as of an earlier day, a model says the same before and after it has seen a later one."""
        events, earlier = community_events(), "2024-02-20"
        write_world(lake, [event for event in events if event[2].isoformat() < "2024-02-21"], earlier)
        users = np.array([2, 3])
        before = fitted.scores(load_dataset(lake, world_shop, earlier), users)
        write_world(lake, events, DAY)
        fitted.scores(load_dataset(lake, world_shop, DAY), users)
        write_world(lake, events, earlier)
        assert np.array_equal(fitted.scores(load_dataset(lake, world_shop, earlier), users), before)

    def test_the_two_communities_are_learnt(self, fitted: Model, dataset: Dataset) -> None:
        if not self.is_personal:
            pytest.skip(f"{self.name} gives everybody the same list")
        users = np.array(USERS)
        scores = fitted.scores(dataset, users)[:, list(ITEMS)]
        scores = np.where(np.isneginf(scores), -1e9, scores)
        is_own = (users[:, None] % 2) == (np.array(ITEMS)[None, :] % 2)
        top = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        assert np.take_along_axis(is_own, top, axis=1).mean() > 0.9


def with_one_more_user_and_item(dataset: Dataset) -> Dataset:
    """Somebody came who met nothing yet, and something to buy that is like the last item."""
    events, pairs = dataset.events, dataset.interactions
    return replace(
        dataset,
        sizes={**dataset.sizes, "user_id": dataset.num_users + 1, "item_id": dataset.num_items + 1},
        events=replace(
            events,
            offsets=np.append(events.offsets, events.offsets[-1]),
            history_starts=np.append(events.history_starts, events.offsets[-1]),
        ),
        interactions=replace(pairs, offsets=np.append(pairs.offsets, pairs.offsets[-1])),
        user_features=_last_row_twice(dataset.user_features),
        item_features=_last_row_twice(dataset.item_features),
    )


def _last_row_twice(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([values, values[-1:]]) for name, values in features.items()}


def _padded(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """List columns with three more zeros."""
    return {name: np.pad(v, ((0, 0), (0, 3))) if v.ndim == 2 else v for name, v in features.items()}
