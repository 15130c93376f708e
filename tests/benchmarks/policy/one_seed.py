"""One seed of one setting of `policy`: logs, fits, nights, and what the log says of policies."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from expectations.shop.reward import Reward
from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.environment import DemoShopEnv
from models.off_policy.slate_estimators import evaluate_slates
from tests.benchmarks.policy.checkpoints import Run, SeedResult
from tests.benchmarks.policy.contenders import Contender, contenders, judged_by_log
from tests.benchmarks.policy.peers import PEERS, PeerPolicy
from tests.benchmarks.policy.simulated_nights import Log, logged, outcome
from tests.benchmarks.policy.simulated_shop import SimulatedShop

SETTINGS = {"as it is": {}, "without satiation": {"satiation_weight": 0.0}}
"""What differs from the demo world's constants."""
VALUE_NIGHTS = 30
"""By which the log's word about a policy is judged."""


def run_seed(run: Run, peers: str | None) -> SeedResult:
    """Lives through it all.

    Args:
        peers: Python of an environment that holds the peers; None leaves them out.
    """
    started, seconds = time.monotonic(), {}
    constants: dict[str, Any] = SETTINGS[run.setting]
    config = replace(WorldConfig(num_users=run.num_users, num_items=run.num_items), **constants)
    reward = Reward()
    environment = DemoShopEnv(config, reward.event_weights, num_nights=run.log_nights + run.num_nights)
    shop = SimulatedShop.opened(environment, run.seed)
    log = logged(shop, run.log_nights, reward)
    seconds["log"] = time.monotonic() - started
    found = contenders(shop, log, reward, run.seed)
    with ExitStack() as stack:
        lent = {name: stack.enter_context(PeerPolicy(peer, log, peers)) for name, peer in PEERS.items() if peers}
        libraries = {name: peer.library for name, peer in lent.items()}
        seconds["fit"] = time.monotonic() - started - seconds["log"]
        everybody = found | {name: Contender(peer) for name, peer in lent.items()}
        outcomes = {
            name: outcome(shop, one.policy, one.scores, log.is_member, run.num_nights, reward, one.is_drawn)
            for name, one in everybody.items()
        }
    truth, estimate = {}, {}
    if not constants:
        for name, policy in judged_by_log(found).items():
            num_nights = min(VALUE_NIGHTS, run.num_nights)
            truth[name] = outcome(shop, policy, None, log.is_member, num_nights, reward, True).of_lists
            estimate[name] = estimated(policy, log, run.seed)
    seconds["all"] = time.monotonic() - started
    return SeedResult(run, outcomes, truth, estimate, seconds, libraries)


def estimated(policy: Any, log: Log, seed: int) -> float:
    """What a list would earn, by the estimator that is recommended for lists."""
    told = policy.propensity(log.candidates, log.slates)
    report = evaluate_slates(log.slates, log.immediate_reward, told, unit=log.candidates.user, seed=seed)
    return report.estimate("sequential_snips").value
