"""Estimators of single actions, against values computed by hand in a small world."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.off_policy.estimators import evaluate
from models.off_policy.report import OffPolicyReport
from tests.worlds.small_models_world import EARNS, LOGGED, TARGET, UNIFORM, Log, drawn_log, expected_log, value

WRONG_MODEL = np.array([[0.5, 0.2, 0.1], [0.3, 0.3, 0.3]])
WRONG_PROPENSITY = np.array([[0.3, 0.3, 0.4], [0.3, 0.3, 0.4]])


def judged(
    log: Log, propensity: np.ndarray = LOGGED, model: np.ndarray | None = None, target: np.ndarray = TARGET, **more: Any
) -> OffPolicyReport:
    """The target on a log, with tables of (contexts, actions) instead of columns."""
    more = {"seed": 1, "num_resamples": 200, **more}
    if model is not None:
        more |= {"predicted": log.of(model), "predicted_target": log.mean_of(model, target)}
    return evaluate(log.reward, log.of(propensity), log.of(target), **more)


def test_expectations_by_weights_are_the_true_value() -> None:
    report = judged(expected_log())
    assert report.estimate("ips").value == pytest.approx(value(TARGET))
    assert report.estimate("snips").value == pytest.approx(value(TARGET))
    assert report.on_policy.value == pytest.approx(value(LOGGED))
    assert report.gain("ips").value == pytest.approx(value(TARGET) - value(LOGGED))
    assert value(TARGET) == pytest.approx(0.538)
    assert value(LOGGED) == pytest.approx(0.224)


def test_snips_divides_by_the_weights() -> None:
    report = evaluate(np.array([1.0, 0, 3]), np.array([0.5, 0.5, 0.25]), np.array([0.5, 0.25, 0.75]), seed=1)
    assert report.estimate("ips").value == pytest.approx((1 * 1 + 0.5 * 0 + 3 * 3) / 3)
    assert report.estimate("snips").value == pytest.approx((1 * 1 + 0.5 * 0 + 3 * 3) / (1 + 0.5 + 3))


def test_the_direct_method_is_what_its_model_says() -> None:
    assert judged(expected_log(), model=WRONG_MODEL).estimate("dm").value == pytest.approx(value(TARGET, WRONG_MODEL))


@pytest.mark.parametrize(
    ("propensity", "model"),
    [(LOGGED, WRONG_MODEL), (WRONG_PROPENSITY, EARNS)],
    ids=["wrong model", "wrong propensities"],
)
def test_doubly_robust_needs_only_one_of_its_two_to_be_right(propensity: np.ndarray, model: np.ndarray) -> None:
    assert judged(expected_log(), propensity, model).estimate("dr").value == pytest.approx(value(TARGET))


def test_with_both_wrong_no_estimator_is_right() -> None:
    report = judged(expected_log(), WRONG_PROPENSITY, WRONG_MODEL)
    assert all(abs(estimate.value - value(TARGET)) > 0.02 for estimate in report.estimates)


def test_switching_leaves_what_weighs_too_much_to_the_model() -> None:
    is_heavy = TARGET / LOGGED > 3  # the third item for the first visitors (4), the first for the second (5)
    assert is_heavy.tolist() == [[False, False, True], [True, False, False]]
    switched = judged(expected_log(), model=WRONG_MODEL, switch_at=3.0).estimate("switch_dr")
    assert switched.value == pytest.approx(value(TARGET, np.where(is_heavy, WRONG_MODEL, EARNS)))
    trusting = judged(expected_log(), model=WRONG_MODEL, switch_at=5.0)
    assert trusting.estimate("switch_dr").value == pytest.approx(trusting.estimate("dr").value)


def test_replay_averages_the_rows_that_show_what_the_target_shows() -> None:
    log = expected_log(UNIFORM, 3000)
    chosen = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    agreed = log.reward[log.of(chosen) == 1]
    replay = judged(log, UNIFORM, target=chosen).estimate("replay")
    assert replay.value == agreed.mean() == pytest.approx(value(chosen))


def test_replay_draws_the_actions_of_a_target_that_draws(rng: np.random.Generator) -> None:
    replay = judged(drawn_log(UNIFORM, 20_000, rng), UNIFORM).estimate("replay")
    assert replay.low < value(TARGET) < replay.high
    assert replay.high - replay.low < 0.06


def test_replay_of_a_log_that_is_not_uniform_is_refused() -> None:
    with pytest.raises(KeyError, match="No estimate by `replay`"):
        judged(expected_log()).estimate("replay")


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    truths = {"ips": value(TARGET), "snips": value(TARGET), "dr": value(TARGET), "gain": value(TARGET) - value(LOGGED)}
    held = dict.fromkeys(truths, 0)
    for seed in range(300):
        report = judged(drawn_log(LOGGED, 400, np.random.default_rng(seed)), model=WRONG_MODEL)
        for name, truth in truths.items():
            found = report.gain("snips") if name == "gain" else report.estimate(name)
            held[name] += found.low <= truth <= found.high
    # 95 % of 300 is 285; three standard deviations of the count are 11, and percentile intervals are a little narrow.
    assert all(268 <= count <= 297 for count in held.values()), held


def test_rows_of_one_user_count_once() -> None:
    log = drawn_log(LOGGED, 300, np.random.default_rng(3))
    four_times = Log(*(np.repeat(column, 4) for column in (log.context, log.action, log.reward)))
    alone, together = judged(log), judged(four_times, unit=np.repeat([f"user {n:03d}" for n in range(300)], 4))
    assert together.num_units == 300
    for once, again in zip(alone.estimates[:2], together.estimates[:2], strict=True):
        assert (again.value, again.low, again.high) == pytest.approx((once.value, once.low, once.high))
    apart = judged(four_times).estimate("ips")
    assert apart.high - apart.low < 0.7 * (alone.estimate("ips").high - alone.estimate("ips").low)


def test_users_with_more_rows_weigh_more() -> None:
    unit = np.array([0, 0, 0, 1])
    report = evaluate(np.array([1.0, 1, 1, 0]), np.full(4, 0.5), np.full(4, 0.5), unit=unit, seed=1)
    assert (report.on_policy.value, report.on_policy.low, report.on_policy.high) == (0.75, 0.0, 1.0)


def test_overlap_is_reported() -> None:
    propensity, target = np.array([0.5, 0.25, 0.25, 0.5]), np.array([0.5, 0.5, 0.0, 0.25])
    overlap = evaluate(np.array([1.0, 0, 1, 1]), propensity, target, seed=1).overlap  # weights 1, 2, 0, 0.5
    assert overlap.effective_rows == pytest.approx(3.5**2 / 5.25)
    assert overlap.effective_share == pytest.approx(3.5**2 / 5.25 / 4)
    assert (overlap.largest_weight, overlap.share_without_weight, overlap.rewarded_rows) == (2.0, 0.25, 2)
    assert overlap.mean_weight.value == pytest.approx(3.5 / 4)


def test_what_the_log_never_shows_is_missing_from_the_mean_weight() -> None:
    never_third = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]])
    overlap = judged(expected_log(never_third), never_third).overlap
    assert overlap.share_never_shown == pytest.approx(0.4 * 0.8)  # the first visitors would see it in 8 of 10 cases


def test_the_mean_weight_tells_right_propensities_from_wrong_ones(rng: np.random.Generator) -> None:
    log = drawn_log(LOGGED, 5_000, rng)
    right, wrong = (judged(log, propensity).overlap.mean_weight for propensity in (LOGGED, WRONG_PROPENSITY))
    assert right.low < 1 < right.high
    assert not wrong.low < 1 < wrong.high


def test_a_log_without_a_row_that_speaks_for_the_target_says_nothing() -> None:
    report = evaluate(np.ones(4), np.full(4, 0.5), np.zeros(4), seed=1)
    for name in ("ips", "snips", "replay"):
        assert np.isnan(report.estimate(name).value)
        assert (report.estimate(name).low, report.estimate(name).high) == (-np.inf, np.inf)
        assert not report.gain(name).low > -0.01


def test_a_single_row_that_speaks_for_the_target_does_not_look_certain() -> None:
    target = np.array([1.0, *np.zeros(9)])  # a third of the resamples lack the row
    found = evaluate(np.ones(10), np.full(10, 0.5), target, seed=1).estimate("snips")
    assert (found.value, found.low, found.high) == (1.0, -np.inf, np.inf)


def test_rows_of_a_single_unit_make_no_interval() -> None:
    report = evaluate(np.array([1.0, 0, 1]), np.full(3, 0.5), np.full(3, 0.5), unit=np.zeros(3), seed=1)
    found = report.estimate("snips")
    assert (found.value, found.low, found.high) == (pytest.approx(2 / 3), -np.inf, np.inf)
    assert not report.gain("snips").low > -0.01


@settings(deadline=None, max_examples=25)
@given(rewards=st.lists(st.floats(-100, 100), min_size=2, max_size=30), propensity=st.floats(1e-3, 1))
def test_the_policy_of_the_log_gains_nothing_over_itself(rewards: list[float], propensity: float) -> None:
    reward, chance = np.array(rewards), np.full(len(rewards), propensity)
    report = evaluate(reward, chance, chance, seed=1, num_resamples=20)
    for name in ("ips", "snips"):
        assert report.estimate(name).value == pytest.approx(reward.mean(), abs=1e-9)
        assert (report.gain(name).low, report.gain(name).high) == pytest.approx((0, 0), abs=1e-9)
    assert report.overlap.effective_rows == pytest.approx(len(reward))


def test_the_same_seed_gives_the_same_report() -> None:
    log = drawn_log(UNIFORM, 200, np.random.default_rng(5))
    once, again, other = (judged(log, UNIFORM, seed=seed) for seed in (1, 1, 2))
    assert once == again
    assert other.estimate("ips").value == once.estimate("ips").value
    assert other.estimate("ips") != once.estimate("ips")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"propensity": np.array([0.5, 0.0])}, r"`propensity` must be above 0 .* Received: 0.0 at \[1\]"),
        ({"propensity": np.array([np.nan, 0.5])}, r"nobody wrote down. Received: nan at \[0\]"),
        ({"propensity": np.array([0.5, 1.5])}, "Received: 1.5"),
        ({"target_probability": np.array([0.5, -0.1])}, r"`target_probability` must be from 0 to 1"),
        ({"target_probability": np.array([0.5])}, r"one row for each logged row, 2. Received: shape \(1,\)"),
        ({"reward": np.array([np.inf, 0])}, r"`reward` must be finite. Received: inf at \[0\]"),
        ({"reward": np.array([])}, "A log without rows"),
        ({"predicted": np.zeros(2)}, "belong together"),
        ({"predicted": np.zeros(2), "predicted_target": np.array([0, np.nan])}, "`predicted_target` must be finite"),
        ({"unit": np.zeros(3)}, r"`unit` must have one row for each logged row, 2"),
        ({"switch_at": 0}, "switch_at=0"),
        ({"confidence": 95}, "confidence=95"),
        ({"num_resamples": 0}, "num_resamples=0"),
    ],
)
def test_what_cannot_be_a_log_is_refused(changed: dict[str, Any], message: str) -> None:
    log = {"reward": np.array([0.0, 1]), "propensity": np.full(2, 0.5), "target_probability": np.full(2, 0.5)}
    with pytest.raises(ValueError, match=message):
        evaluate(**{**log, "seed": 1, **changed})
