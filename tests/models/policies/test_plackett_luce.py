"""Lists drawn place by place, and their probabilities."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.policies.plackett_luce import PlackettLucePolicy, build_network, drawn, slot_states
from models.slates.slate_features import NUM_FEATURES
from models.slates.slates import CandidateSets, Slates
from tests.worlds.slate_worlds import choices_from


def some_choices(num_slates: int = 40, num_candidates: int = 6, seed: int = 0) -> CandidateSets:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(num_slates, num_candidates, NUM_FEATURES))
    candidates = choices_from(features, rng.integers(-1, 3, (num_slates, num_candidates)))
    is_candidate = rng.random((num_slates, num_candidates)) < 0.8
    return replace(candidates, is_candidate=is_candidate)


def untaught(inverse_temperature: float = 2.0) -> PlackettLucePolicy:
    return PlackettLucePolicy(build_network(NUM_FEATURES, 8, inverse_temperature))


def opinionated(seed: int = 0) -> PlackettLucePolicy:
    """A policy with weights that nobody taught it."""
    policy, rng = untaught(), np.random.default_rng(seed)
    policy.network.set_weights([rng.normal(0, 0.3, w.shape) for w in policy.network.get_weights()])
    return policy


def test_an_untaught_policy_gives_the_rankers_lists() -> None:
    candidates = some_choices()
    score = np.where(candidates.is_candidate, candidates.features[..., 0], -np.inf)
    expected = np.argsort(-score, axis=1, kind="stable")[:, :3]
    expected = np.where(np.isfinite(np.take_along_axis(score, expected, axis=1)), expected, -1)
    assert np.array_equal(untaught().draw(candidates, 3, None).slots, expected)


def test_equal_logits_go_by_item() -> None:
    candidates = some_choices()
    candidates = replace(candidates, item=candidates.item[:, ::-1], is_candidate=np.ones_like(candidates.is_candidate))
    nothing = np.zeros(candidates.item.shape)
    slots = drawn(candidates, nothing, nothing, 3, None).slots
    assert np.array_equal(np.take_along_axis(candidates.item, slots, axis=1), np.tile([0, 1, 2], (len(candidates), 1)))


def test_a_list_holds_no_candidate_twice_and_ends_where_there_are_no_more() -> None:
    candidates = some_choices()
    for rng in (None, np.random.default_rng(1)):
        slates = opinionated().draw(candidates, 8, rng)
        for slots, is_candidate in zip(slates.slots, candidates.is_candidate, strict=True):
            num = is_candidate.sum()
            assert sorted(slots[:num].tolist()) == np.flatnonzero(is_candidate).tolist()
            assert (slots[num:] == -1).all()


def test_a_policy_knows_the_propensities_that_it_wrote_down() -> None:
    candidates, policy = some_choices(), opinionated()
    slates = policy.draw(candidates, 8, np.random.default_rng(1))
    np.testing.assert_allclose(policy.propensity(candidates, slates), slates.propensity, rtol=1e-6)
    assert (slates.propensity[slates.slots < 0] == 1).all()


def test_the_propensities_of_all_lists_sum_to_one() -> None:
    candidates, policy = some_choices(num_slates=1, num_candidates=4, seed=3), opinionated()
    candidates = replace(candidates, is_candidate=np.ones((1, 4), dtype=bool))
    lists = np.array(list(permutations(range(4), 3)))
    everything = candidates.rows(np.zeros(len(lists), dtype=int))
    probability = policy.propensity(everything, Slates(lists, np.full(lists.shape, np.nan)))
    assert probability.prod(axis=1).sum() == pytest.approx(1.0)


def test_draws_come_as_often_as_their_propensities_say() -> None:
    candidates, policy = some_choices(num_slates=1, num_candidates=4, seed=3), opinionated()
    # Features that are all small leave every list its chance.
    candidates = replace(candidates, is_candidate=np.ones((1, 4), dtype=bool), features=0.3 * candidates.features)
    candidates = candidates.rows(np.zeros(20_000, dtype=int))
    slates = policy.draw(candidates, 2, np.random.default_rng(0))
    lists, first, count = np.unique(slates.slots, axis=0, return_index=True, return_counts=True)
    expected = slates.propensity[first].prod(axis=1) * len(candidates)
    assert len(lists) == 4 * 3
    assert (np.abs(count - expected) < 4.5 * np.sqrt(expected)).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), num_candidates=st.integers(1, 7), top_k=st.integers(1, 5))
def test_the_probabilities_of_a_slot_sum_to_one_over_what_is_left(seed: int, num_candidates: int, top_k: int) -> None:
    rng = np.random.default_rng(seed)
    candidates = some_choices(5, num_candidates, seed)
    utility, satiation_penalty = rng.normal(size=(2, 5, num_candidates))
    slates = drawn(candidates, utility, satiation_penalty, top_k, rng)
    is_left, num_same_kind = slot_states(candidates, slates.slots)
    shares = np.where(is_left, np.exp(utility[:, None] - satiation_penalty[:, None] * num_same_kind), 0)
    chosen_values = np.take_along_axis(shares, np.maximum(slates.slots, 0)[..., None], axis=2)[..., 0]
    is_filled = slates.slots >= 0
    expected = (chosen_values / np.maximum(shares.sum(axis=2), 1e-300))[is_filled]
    np.testing.assert_allclose(slates.propensity[is_filled], expected, rtol=1e-9)
    assert np.array_equal(is_filled, is_left.any(axis=2))


def test_what_is_tiring_makes_way_for_another_kind() -> None:
    candidates = choices_from(np.zeros((1, 4, 1)), np.array([[7, 7, 7, 9]]))
    utility, satiation_penalty = np.array([[1.0, 0.9, 0.8, 0.5]]), np.full((1, 4), 0.6)
    assert drawn(candidates, utility, np.zeros((1, 4)), 3, None).slots.tolist() == [[0, 1, 2]]
    assert drawn(candidates, utility, satiation_penalty, 3, None).slots.tolist() == [[0, 3, 1]]


def test_what_has_no_kind_is_like_nothing() -> None:
    candidates = choices_from(np.zeros((1, 3, 1)), np.full((1, 3), -1))
    _, num_same_kind = slot_states(candidates, np.array([[0, 1, 2]]))
    assert not num_same_kind.any()


def test_a_loaded_policy_draws_the_same(tmp_path: Path) -> None:
    candidates, policy = some_choices(), opinionated()
    policy.save(tmp_path / "policy")
    again = PlackettLucePolicy.load(tmp_path / "policy")
    ours, theirs = (p.draw(candidates, 4, np.random.default_rng(5)) for p in (policy, again))
    assert np.array_equal(ours.slots, theirs.slots)
    assert np.array_equal(ours.propensity, theirs.propensity)
