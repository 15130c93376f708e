from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from expectations.tables import NightError
from models.batches.masked_domain_batches import DomainBatches, HistoryReading
from models.data.dataset import Dataset
from models.families.cross_domain import CrossDomain
from models.interface.model import Model, Vectors
from tests.models.contract import ModelContract
from tests.worlds.communities import ITEMS, SILENT_USER, USERS

READING = HistoryReading(bucket_days=30, num_time_buckets=4, bucket_smoothing_days=30)
LOW, HIGH = 2, 3
"""Departments: items below 12, and those from 12 on."""


def two_departments(dataset: Dataset) -> Dataset:
    """The communities' world, in which every community buys in both departments."""
    items = np.arange(dataset.num_items)
    domain = np.where(items < 12, LOW, HIGH).astype(np.int32)
    sizes = {**dataset.sizes, "domain": 4}
    return replace(dataset, sizes=sizes, item_features={**dataset.item_features, "domain_index": domain})


def spread_by_hand(age_days: float, bucket_days: float, num_time_buckets: int, spread_days: float) -> np.ndarray:
    """The shares of all time_buckets in one event."""
    own = min(int(age_days // bucket_days), num_time_buckets - 1)
    near = np.exp([-(((own - bucket) * bucket_days / spread_days) ** 2) / 2 for bucket in range(num_time_buckets)])
    return (near / near.sum()).astype(np.float32)  # type: ignore[no-any-return]


def batches_of(dataset: Dataset, random_mask_share: float = 1.0) -> DomainBatches:
    return DomainBatches(
        dataset,
        READING,
        hidden_share=0.5,
        random_mask_share=random_mask_share,
        batch_size=8,
        min_steps=1,
        num_candidates=100,
        max_length=8,
        user_weight_exponent=0.5,
    )


class TestCrossDomain(ModelContract):
    name = "cross_domain"
    settings: ClassVar[dict] = {
        "embedding_dim": 8,
        "feature_dim": 4,
        "max_length": 8,
        "learning_rate": 0.05,
        "batch_size": 8,
        "min_steps": 8,
        "epochs": 40,
        "item_dropout": 0.2,
        "dropout": 0.0,
    }

    def test_vectors_multiply_to_the_scores(self, fitted: Model, dataset: Dataset) -> None:
        vectors = fitted.retrieval(dataset)
        assert isinstance(vectors, Vectors)
        product = (vectors.user @ vectors.item.T)[[4, SILENT_USER]]
        np.testing.assert_allclose(product, fitted.scores(dataset, np.array([4, SILENT_USER])), rtol=1e-4, atol=1e-5)

    def test_a_user_is_the_sum_of_what_was_met_and_when(self, fitted: Model, dataset: Dataset) -> None:
        vectors = fitted.retrieval(dataset)
        assert isinstance(vectors, Vectors) and vectors.history is not None
        pairs = dataset.interactions
        part = slice(pairs.offsets[4], pairs.offsets[5])
        strengths = np.sqrt(pairs.weight[part] / pairs.weight[part].sum())
        times = sum(
            s**2 * spread_by_hand(age, 180, 32, 250) for s, age in zip(strengths, pairs.age_days[part], strict=True)
        )
        expected = strengths @ vectors.history[pairs.item_index[part]][:, :-1]
        expected += fitted.networks["time_tower"]({"times": times[None]}).numpy()[0]  # type: ignore[attr-defined]
        np.testing.assert_allclose(vectors.user[4], [*expected, 1.0], rtol=1e-4, atol=1e-5)

    def test_a_department_that_was_never_entered_is_distinguished_from_the_other(self, dataset: Dataset) -> None:
        both = two_departments(dataset)
        pairs = both.interactions
        newcomers = (4, 5)
        is_kept = ~(
            np.isin(pairs.user_index, newcomers) & (both.item_features["domain_index"][pairs.item_index] == HIGH)
        )
        offsets = np.concatenate([[0], np.cumsum(np.bincount(pairs.user_index[is_kept], minlength=both.num_users))])
        arrays = {
            name: getattr(pairs, name)[is_kept] for name in ("user_index", "item_index", "weight", "demand", "age_days")
        }
        known = replace(both, interactions=replace(pairs, offsets=offsets, **arrays))
        model = self.new_model()
        model.fit(known)
        high = np.array([item for item in ITEMS if item >= 12])
        best = high[np.argsort(-model.scores(known, np.array(newcomers))[:, high], axis=1)[:, :4]]
        assert (best % 2 == np.array(newcomers)[:, None] % 2).mean() > 0.8

    def test_nobody_with_several_items_is_refused(self, dataset: Dataset) -> None:
        pairs = dataset.interactions
        none = replace(pairs, demand=np.zeros_like(pairs.demand))
        with pytest.raises(NightError, match="cross_domain as of 2024-03-10: nobody met several items"):
            self.new_model().fit(replace(dataset, interactions=none))

    def test_a_share_of_nothing_shown_is_refused(self) -> None:
        config = self.new_model().config  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="`hidden_share`"):
            CrossDomain(replace(config, hidden_share=1.0))


def test_a_batch_hides_a_whole_department_and_asks_for_it(dataset: Dataset) -> None:
    both = two_departments(dataset)
    batches, domain = batches_of(both), both.item_features["domain_index"]
    hidden = [n for n, (question, _) in enumerate(batches.order) if question.domain is not None]
    assert {batches.order[n][0].domain for n in hidden} == {LOW, HIGH}
    for n in hidden:
        question, users = batches.order[n]
        inputs, shares, _ = batches[n]
        shown = inputs["history"][inputs["history"] > 0]
        assert (domain[shown] != question.domain).all()
        assert (domain[inputs["candidates"]] == question.domain).all()
        for user, row in zip(users, shares, strict=True):
            met = set(both.seen_by(np.array([user])).indices.tolist())
            assert set(inputs["candidates"][row > 0]) == {item for item in met if domain[item] == question.domain}


def test_a_batch_hides_items_by_chance_and_asks_for_these_alone(dataset: Dataset) -> None:
    batches = batches_of(dataset)
    assert {question.domain for question, _ in batches.order} == {None}
    num_shown = num_asked = 0
    for n, (_, users) in enumerate(batches.order):
        inputs, shares, weights = batches[n]
        for user, history, row in zip(users, inputs["history"], shares, strict=True):
            met = set(dataset.seen_by(np.array([user])).indices.tolist())
            shown, asked = set(history[history > 0].tolist()), set(inputs["candidates"][row > 0].tolist())
            assert shown | asked == met and not shown & asked
            num_shown, num_asked = num_shown + len(shown), num_asked + len(asked)
        np.testing.assert_allclose((inputs["strengths"] ** 2).sum(axis=1).max(), 1.0, rtol=1e-5)
        np.testing.assert_allclose(inputs["times"].sum(axis=1), (inputs["strengths"] ** 2).sum(axis=1), rtol=1e-5)
        assert np.isfinite(weights).all()
    assert 0.3 < num_shown / (num_shown + num_asked) < 0.7


def test_an_epoch_asks_a_share_of_the_users_for_what_is_hidden_by_chance(dataset: Dataset) -> None:
    batches = batches_of(two_departments(dataset), random_mask_share=0.25)
    asked = [question.domain for question, _ in batches.order]
    assert {domain: asked.count(domain) for domain in (None, LOW, HIGH)} == {None: 1, LOW: 3, HIGH: 3}
    assert len(batches_of(dataset, random_mask_share=0.25)) == 3, "without a department to hide, everybody is asked"


def test_the_first_two_batches_tell_that_departments_differ_in_size(dataset: Dataset) -> None:
    batches = batches_of(two_departments(dataset))
    for _ in range(10):
        lengths = [len(question.items) for question, _ in batches.order]
        assert lengths[:2] == [min(lengths), max(lengths)]
        batches.on_epoch_end()


def test_every_user_with_several_items_is_asked(dataset: Dataset) -> None:
    asked = {int(user) for _, users in batches_of(dataset).order for user in users}
    assert asked == set(USERS)
