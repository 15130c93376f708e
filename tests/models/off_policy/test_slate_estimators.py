"""Estimators of lists, against the enumeration of all six lists of a small world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.off_policy.report import OffPolicyReport
from models.off_policy.slate_estimators import evaluate_slates
from models.slates.slates import Slates
from tests.worlds.slate_world import LISTS, LOGGED, TARGET, drawn_lists, expected_lists, propensity, slates

WORTH = np.array([0.2, 0.5, 0.9])
Reward = Callable[[np.ndarray], np.ndarray]


def by_item(lists: np.ndarray) -> np.ndarray:
    """A place earns what its item is worth."""
    return WORTH[lists]


def read_downwards(lists: np.ndarray) -> np.ndarray:
    """As above, but who finds the last item first reads on half as often."""
    return WORTH[lists] * np.where((lists[:, :1] == 2) & (np.arange(2) == 1), 0.5, 1.0)


def read_at_once(lists: np.ndarray) -> np.ndarray:
    """As above, but the first rank suffers from what stands below it."""
    return WORTH[lists] * np.where((lists[:, 1:] == 2) & (np.arange(2) == 0), 0.5, 1.0)


def value(favour: np.ndarray, reward: Reward) -> float:
    """What a policy's list earns, over all six."""
    return float(propensity(LISTS, favour).prod(axis=1) @ reward(LISTS).sum(axis=1))


def judged(lists: np.ndarray, reward: np.ndarray, **more: Any) -> OffPolicyReport:
    """The target on lists of the log's policy."""
    return evaluate_slates(
        slates(lists),
        reward,
        propensity(lists, TARGET),
        **{"seed": 1, "num_resamples": 200, "max_weight": np.inf, **more},
    )


@pytest.mark.parametrize(
    ("estimator", "reward", "is_right"),
    [
        ("ips", by_item, True),
        ("ips", read_downwards, True),
        ("ips", read_at_once, True),
        ("sequential_ips", by_item, True),
        ("sequential_ips", read_downwards, True),
        ("sequential_ips", read_at_once, False),
        ("independent_ips", read_downwards, False),
    ],
)
def test_an_estimator_is_right_where_its_assumption_holds(estimator: str, reward: Reward, is_right: bool) -> None:
    lists = expected_lists()
    report = judged(lists, reward(lists))
    error = abs(report.estimate(estimator).value - value(TARGET, reward))
    assert error < 1e-9 if is_right else error > 0.01
    assert report.on_policy.value == pytest.approx(value(LOGGED, reward))
    gain = report.estimate(estimator).value - value(LOGGED, reward)
    assert report.gain(estimator).value == pytest.approx(gain)


def test_independent_weights_fill_each_rank_below_the_ranks_of_the_log() -> None:
    lists = expected_lists()
    above, below = LISTS.T
    first_by_target = propensity(LISTS, TARGET).prod(axis=1) @ WORTH[above]
    second_by_target = (propensity(LISTS, LOGGED)[:, 0] * propensity(LISTS, TARGET)[:, 1]) @ WORTH[below]
    found = judged(lists, by_item(lists)).estimate("independent_ips").value
    assert found == pytest.approx(first_by_target + second_by_target)


@pytest.mark.parametrize("weights", ["", "sequential_", "independent_"])
def test_snips_is_ips_over_the_mean_weight_of_each_rank(weights: str, rng: np.random.Generator) -> None:
    lists = drawn_lists(LOGGED, 50, rng)
    change = propensity(lists, TARGET) / propensity(lists, LOGGED)
    expected = 0.0
    for rank in range(2):
        of_rank = {"": change[:, 0] * change[:, 1], "independent_": change[:, rank]}
        weight = of_rank.get(weights, change[:, : rank + 1].prod(axis=1))
        expected += (weight * WORTH[lists[:, rank]]).sum() / weight.sum()
    assert judged(lists, by_item(lists)).estimate(f"{weights}snips").value == pytest.approx(expected)


def test_a_gain_holds_the_truth_as_often_as_it_says_when_users_see_several_lists() -> None:
    truth, held = value(TARGET, read_downwards) - value(LOGGED, read_downwards), 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        lists = drawn_lists(LOGGED, 300, rng)
        clicks = (rng.random(lists.shape) < read_downwards(lists)).astype(np.float64)
        gain = judged(lists, clicks, unit=np.arange(300) // 3).gain("sequential_snips")
        held += gain.low <= truth <= gain.high
    assert 180 <= held <= 199  # 190 within three standard deviations


def test_slots_where_a_list_has_ended_change_nothing(rng: np.random.Generator) -> None:
    lists = drawn_lists(LOGGED, 40, rng)
    short = judged(lists, by_item(lists))
    ended = np.full((40, 1), -1)
    longer = Slates(np.c_[lists, ended], np.c_[propensity(lists, LOGGED), np.full(40, np.nan)])
    long = evaluate_slates(
        longer,
        np.c_[by_item(lists), np.zeros(40)],
        np.c_[propensity(lists, TARGET), np.ones(40)],
        seed=1,
        num_resamples=200,
        max_weight=np.inf,
    )
    assert [(e.estimator, e.value) for e in long.estimates] == [
        (e.estimator, pytest.approx(e.value)) for e in short.estimates
    ]


def test_weights_are_cut_down_to_the_cap_and_the_share_is_reported() -> None:
    lists = expected_lists()
    change = propensity(lists, TARGET) / propensity(lists, LOGGED)
    first, both = change[:, 0], change.prod(axis=1)
    report = judged(lists, by_item(lists), max_weight=2.0)
    expected = np.minimum(first, 2) @ WORTH[lists[:, 0]] + np.minimum(both, 2) @ WORTH[lists[:, 1]]
    assert report.estimate("sequential_ips").value == pytest.approx(expected / len(lists))
    assert report.overlap.largest_weight == 2.0
    assert [overlap.share_capped for overlap in report.overlaps] == [(first > 2).mean(), (both > 2).mean()]
    assert report.overlap.mean_weight.value == pytest.approx(np.minimum(both, 2).mean())


def test_overlap_is_reported_rank_by_rank() -> None:
    lists = expected_lists()
    change = propensity(lists, TARGET) / propensity(lists, LOGGED)
    first, both = judged(lists, by_item(lists)).overlaps
    assert first.effective_rows == pytest.approx(change[:, 0].sum() ** 2 / (change[:, 0] ** 2).sum())
    assert both.effective_rows == pytest.approx(change.prod(axis=1).sum() ** 2 / (change.prod(axis=1) ** 2).sum())
    assert (first.mean_weight.value, both.mean_weight.value) == (pytest.approx(1), pytest.approx(1))


def test_a_target_that_no_list_agrees_with_is_not_judged() -> None:
    lists = LISTS[:2]  # both begin with the first item
    never_first = np.c_[np.zeros(2), np.ones(2)]
    report = evaluate_slates(slates(lists), by_item(lists), never_first, seed=1)
    assert all(np.isnan(estimate.value) for estimate in report.estimates if not estimate.estimator.startswith("indep"))
    assert not report.gain("sequential_snips").low > -1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"target_propensity": np.full((2, 1), 0.5)}, r"must all be \(num_slates, top_k\)"),
        ({"reward": np.array([[0, 0], [0, 1.0]])}, r"0 where a list has ended. Received: 1.0 at \[1, 1\]"),
        ({"reward": np.array([[0, np.nan], [0, 0]])}, r"`reward` must be finite. Received: nan at \[0, 1\]"),
        ({"slates": Slates(np.array([[0, 1], [2, -1]]), np.full((2, 2), np.nan))}, "nobody wrote down"),
        ({"target_propensity": np.full((2, 2), 1.5)}, "`target_propensity` must be from 0 to 1"),
        ({"max_weight": 0}, "max_weight=0"),
        ({"unit": np.arange(3)}, "`unit` must have one row"),
    ],
)
def test_what_cannot_be_lists_is_refused(changed: dict[str, Any], message: str) -> None:
    log = {
        "slates": Slates(np.array([[0, 1], [2, -1]]), np.array([[0.5, 0.5], [0.5, np.nan]])),
        "reward": np.zeros((2, 2)),
        "target_propensity": np.full((2, 2), 0.5),
    }
    with pytest.raises(ValueError, match=message):
        evaluate_slates(**{**log, "seed": 1, **changed})
