from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.batches.negative_sampling import NEVER, NegativeSampler, shared_candidates
from models.batches.ranking_batches import SamplingConfig, WindowRows
from models.data.dataset import Dataset
from models.data.item_similarity import SimilarityConfig
from models.data.snapshot import training_windows


def test_items_are_drawn_by_popularity_mixed_with_uniform(rng: np.random.Generator) -> None:
    demand = np.array([0.0, 0.0, 16.0, 1.0, 0.0])
    sampler = NegativeSampler.from_demand(np.array([2, 3, 4]), demand, exponent=0.5, uniform_share=0.3)
    shares = np.bincount(sampler.draw((200_000,), rng), minlength=5) / 200_000
    np.testing.assert_allclose(shares, [0, 0, 0.7 * 0.8 + 0.1, 0.7 * 0.2 + 0.1, 0.1], atol=0.005)


def test_without_any_demand_all_items_are_alike(rng: np.random.Generator) -> None:
    sampler = NegativeSampler.from_demand(np.array([2, 3]), np.zeros(4), exponent=0.75, uniform_share=0.3)
    np.testing.assert_allclose(np.diff(sampler.cumulative, prepend=0), [0.5, 0.5])


def test_a_small_catalogue_is_taken_whole_and_padded(rng: np.random.Generator) -> None:
    found = shared_candidates(np.array([3]), np.zeros(6), np.array([2, 3, 5]), size=4, rng=rng)
    assert found.items.tolist() == [2, 3, 5, 0]
    assert found.log_inclusion.tolist() == [0, 0, 0, NEVER]


def test_inclusion_probabilities_match_what_is_drawn(rng: np.random.Generator) -> None:
    known, frequency = np.arange(2, 12), np.array([0, 0, 0.5, 0.3, 0.2, 0, 0, 0, 0, 0, 0, 0])
    counts, expected = np.zeros(12), np.zeros(12)
    for _ in range(4000):
        found = shared_candidates(rng.choice(12, 3, p=frequency), frequency, known, size=6, rng=rng)
        counts[found.items] += 1 / 4000
        expected[found.items] = np.maximum(expected[found.items], np.exp(found.log_inclusion))
    np.testing.assert_allclose(
        counts[2:5], [0.875 + 0.125 * 0.55, 0.657 + 0.343 * 0.55, 0.488 + 0.512 * 0.55], atol=0.06
    )
    assert (expected[2:] <= 1).all()


def test_no_drawn_negative_is_a_positive(dataset: Dataset) -> None:
    window_of = training_windows(dataset, 1)[0]

    @given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 8), st.integers(0, 4))
    @settings(deadline=None, max_examples=50)
    def holds(seed: int, positives: int, from_catalogue: int, from_history: int) -> None:
        sampling = SamplingConfig(positives, from_catalogue, from_history, 0.75, 0.3)
        window = WindowRows(dataset, window_of, sampling, SimilarityConfig(10, 60.0, 1.0, 1000))
        rows = window.draw(window.users, np.random.default_rng(seed))
        for row, user in enumerate(window.users.tolist()):
            counted = rows.weights[row] > 0
            is_wanted = np.isin(rows.items[row][counted], window.wanted[user])
            assert np.array_equal(is_wanted, rows.labels[row][counted] == 1)

    holds()
