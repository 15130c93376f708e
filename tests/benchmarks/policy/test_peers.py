"""What peers' agents are told of lists, and how they are asked."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from expectations.shop.reward import Reward
from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.environment import DemoShopEnv
from models.slates.event_log import VIEW
from tests.benchmarks.policy.peers import PeerPolicy, learnt_from, told_of
from tests.benchmarks.policy.peers_fit import NUM_EVENT_TYPES, candidate_lines, states_of
from tests.benchmarks.policy.simulated_nights import OPENING_NIGHTS, Log, logged
from tests.benchmarks.policy.simulated_shop import SimulatedShop


@pytest.fixture(scope="module")
def log() -> Log:
    config = WorldConfig(seed=3, num_users=100, num_items=126, mean_visit_rate=0.3)
    shop = SimulatedShop.opened(DemoShopEnv(config, num_nights=OPENING_NIGHTS + 2), seed=3)
    return logged(shop, OPENING_NIGHTS + 2, Reward())


def test_the_bandit_reads_candidates_and_not_the_user(log: Log) -> None:
    told = {**told_of(log.candidates), **learnt_from(log)}
    first, *candidates = candidate_lines(told, 0)
    assert first == "ccb shared |U"
    assert len(candidates) == log.candidates.is_candidate[0].sum() > 10
    values = dict(pair.split(":") for pair in candidates[3].removeprefix("ccb action |A ").split(" "))
    features = log.candidates.features[0, 3, : -told["num_user_features"]]
    assert sorted(map(int, values)) == np.flatnonzero(features).tolist()
    assert float(values["0"]) == pytest.approx(features[0], rel=1e-3)


def test_the_state_of_q_learning_counts_what_the_user_did_lately(log: Log) -> None:
    told = {**told_of(log.candidates), **learnt_from(log)}
    states, history = states_of(told), log.candidates.history
    assert history is not None
    assert len(states) == len(log.candidates)
    counts = np.expm1(states[:, : -told["num_user_features"]])
    np.testing.assert_allclose(counts.sum(axis=1), (history[..., 1] > 0).sum(axis=1), rtol=1e-4)
    row = int(np.flatnonzero(history[:, 0, 1] == VIEW + 1)[0])
    kind = history[row, 0, 0] - 2
    is_such = (history[row, :, 0] == kind + 2) & (history[row, :, 1] == VIEW + 1)
    assert counts[row, kind * NUM_EVENT_TYPES + VIEW] == pytest.approx(is_such.sum(), rel=1e-4)


def test_a_peer_that_is_not_there_ends_the_run(log: Log) -> None:
    with pytest.raises(RuntimeError, match=r"A peer ended with 1: .*/peers_fit\.py bandit"):
        PeerPolicy("bandit", log, sys.executable)
