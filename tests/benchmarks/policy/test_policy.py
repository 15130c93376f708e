"""The simulated shop learns from its own log alone, and the plain policies tell the truth about what they draw."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from expectations.shop.reward import Reward
from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.environment import DemoShopEnv
from models.slates.slates import CandidateSets, SlatePolicy
from tests.benchmarks.policy.charts import by_week, movement_figure, nights_figure, values_figure
from tests.benchmarks.policy.checkpoints import Run, SeedResult
from tests.benchmarks.policy.intervals import gain_over, mean_reward
from tests.benchmarks.policy.simple_policies import EpsilonGreedyPolicy, RankerPolicy
from tests.benchmarks.policy.simulated_nights import (
    OPENING_NIGHTS,
    Outcome,
    at_random,
    in_demand,
    logged,
    outcome,
    shown,
)
from tests.benchmarks.policy.simulated_shop import SimulatedShop

LIVELY = WorldConfig(seed=3, num_users=300, num_items=126, mean_visit_rate=0.3)
NUM_NIGHTS = OPENING_NIGHTS + 7


def opened() -> SimulatedShop:
    return SimulatedShop.opened(DemoShopEnv(LIVELY, num_nights=2 * NUM_NIGHTS), seed=3)


def one_list(scores: list[float], num_rows: int) -> CandidateSets:
    """The same candidates for many lists."""
    shape = (num_rows, len(scores))
    features = np.tile(np.array(scores, dtype=np.float32), (num_rows, 1))[..., None]
    rows = np.arange(num_rows)
    return CandidateSets(
        rows, rows, np.tile(np.arange(len(scores)), (num_rows, 1)), np.full(shape, -1), features[..., 0] > -9, features
    )


@pytest.mark.parametrize("policy", [RankerPolicy(1.5), EpsilonGreedyPolicy(0.4)])
def test_lists_come_as_often_as_their_propensities_say(policy: SlatePolicy) -> None:
    candidates = one_list([1.0, 0.2, -0.5, -10.0], 40_000)
    slates = policy.draw(candidates, 2, np.random.default_rng(1))
    np.testing.assert_allclose(policy.propensity(candidates, slates), slates.propensity, rtol=1e-5)
    orders, rows, counts = np.unique(slates.slots, axis=0, return_index=True, return_counts=True)
    assert len(orders) == 6  # of three candidates; the fourth is none
    probability = slates.propensity[rows].prod(axis=1)
    np.testing.assert_allclose(counts / counts.sum(), probability, atol=0.01)
    assert probability.sum() == pytest.approx(1)


def test_lists_that_are_not_drawn_are_the_ranker_s_own() -> None:
    candidates = one_list([0.1, 0.7, 0.3], 2)
    for policy in (RankerPolicy(0.5), EpsilonGreedyPolicy(0.4)):
        assert policy.draw(candidates, 2, None).slots.tolist() == [[1, 2], [1, 2]]


def test_the_ranker_learns_whom_to_show_what() -> None:
    shop = opened()
    log = logged(shop, NUM_NIGHTS, Reward())
    rewards = {
        name: outcome(shop, RankerPolicy(), scores, log.is_member, 14, Reward(), False).of_lists
        for name, scores in (("ranker", None), ("demand", in_demand), ("random", at_random))
    }
    assert rewards["ranker"] > 1.2 * rewards["demand"]
    assert rewards["demand"] > 1.05 * rewards["random"]


def test_twins_live_alike_and_leave_the_shop_as_it_was() -> None:
    shop = opened()
    log = logged(shop, NUM_NIGHTS, Reward())
    first, second = (outcome(shop, RankerPolicy(1.0), None, log.is_member, 3, Reward(), True) for _ in range(2))
    np.testing.assert_array_equal(first.reward, second.reward)
    assert shop.day == NUM_NIGHTS


def test_lists_do_not_know_who_else_comes() -> None:
    shop = opened()
    logged(shop, NUM_NIGHTS, Reward())
    world = shop.environment.world
    users = world.visitors()

    def lists(asked: np.ndarray) -> np.ndarray:
        log_odds = shop.ranker.log_odds(shop.ranker.features(asked, world.goods))
        candidates = shop.candidates(asked, log_odds)
        return shown(candidates, RankerPolicy().draw(candidates, 10, None))

    np.testing.assert_array_equal(lists(np.arange(300))[users], lists(users))


def test_slot_rewards_and_other_rewards_add_up_to_all_rewards() -> None:
    log = logged(opened(), NUM_NIGHTS, Reward())
    assert (log.immediate_reward >= 0).all() and log.immediate_reward.sum() > 0
    assert (log.other_reward >= 0).all() and log.other_reward.sum() > 0
    assert np.isfinite(log.slates.propensity).all()


def test_a_gain_compares_the_same_users() -> None:
    rng = np.random.default_rng(1)
    seeds = [result_of(rng.gamma(1.0, 10.0, 400)) for _ in range(3)]
    gain, low, high = gain_over(seeds, "better", "plain")
    assert [gain, low, high] == pytest.approx([0.1] * 3)  # each user earned a tenth more
    mean, low, high = mean_reward(seeds, "plain")
    assert low < mean < high and high - low == pytest.approx(2 * 1.96 * 10 / np.sqrt(1200), rel=0.2)


def test_weeks_are_whole() -> None:
    nights = np.tile(np.arange(16.0), (3, 1))
    assert by_week(nights).tolist() == [[3.0, 10.0]] * 3


def test_charts_show_every_policy() -> None:
    seeds = [result_of(np.arange(1.0, 30)) for _ in range(2)]
    for figure in (nights_figure(seeds), movement_figure(seeds)):
        assert labels(figure) == ["plain", "better"]
    assert labels(values_figure(seeds))[:2] == ["a", "b"]


def labels(figure: Figure) -> list[object]:
    return figure.axes[-1].get_legend_handles_labels()[1]


def test_a_seed_that_is_kept_is_the_same(tmp_path: Path) -> None:
    run = Run("as it is", 1, 29, 126, 20, 14)
    written = SeedResult(run, **vars(result_of(np.arange(1.0, 30))), seconds={"all": 2.5})
    written.save(tmp_path)
    read = SeedResult.load(tmp_path / run.file_name)
    assert (read.run, read.truth, read.estimate, read.seconds) == (run, written.truth, written.estimate, {"all": 2.5})
    assert list(read.outcomes) == ["plain", "better"]
    np.testing.assert_array_equal(read.outcomes["better"].reward, written.outcomes["better"].reward)


def result_of(reward: np.ndarray) -> Any:
    """A seed in which one policy earned a tenth more of each user."""
    nights = np.tile(reward / 14, (14, 1))
    told = np.ones(14)
    outcomes = {
        name: Outcome(factor * nights, nights > 0, 1.0, told, told)
        for name, factor in (("plain", 1.0), ("better", 1.1))
    }
    return SimpleNamespace(outcomes=outcomes, truth={"a": 1.0, "b": 2.0}, estimate={"a": 1.1, "b": 1.9})
