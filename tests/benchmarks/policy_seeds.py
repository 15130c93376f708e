"""One seed of one setting of `tests.benchmarks.policy`: logs, fits, nights, and what the log says of policies."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from expectations.reward import Reward
from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.environment import DemoShopEnv
from models.off_policy_slates import evaluate_slates
from tests.benchmarks.policy_contenders import contenders, judged_by_log
from tests.benchmarks.policy_results import Run, SeedResult
from tests.benchmarks.simulated_nights import Log, logged, outcome
from tests.benchmarks.simulated_shop import SimulatedShop

SETTINGS = {"as it is": {}, "without satiation": {"satiation_weight": 0.0}}
"""What differs from the demo world's constants."""
VALUE_NIGHTS = 30
"""By which the log's word about a policy is judged."""


def run_seed(run: Run) -> SeedResult:
    """Lives through it all."""
    started, seconds = time.monotonic(), {}
    constants: dict[str, Any] = SETTINGS[run.setting]
    config = replace(WorldConfig(num_users=run.num_users, num_items=run.num_items), **constants)
    reward = Reward()
    environment = DemoShopEnv(config, reward.event_weights, num_nights=run.log_nights + run.num_nights)
    shop = SimulatedShop.opened(environment, run.seed)
    log = logged(shop, run.log_nights, reward)
    seconds["log"] = time.monotonic() - started
    found = contenders(shop, log, reward, run.seed)
    seconds["fit"] = time.monotonic() - started - seconds["log"]
    outcomes = {
        name: outcome(shop, one.policy, one.scores, log.is_member, run.num_nights, reward, one.is_drawn)
        for name, one in found.items()
    }
    truth, estimate = {}, {}
    if not constants:
        for name, policy in judged_by_log(found).items():
            num_nights = min(VALUE_NIGHTS, run.num_nights)
            truth[name] = outcome(shop, policy, None, log.is_member, num_nights, reward, True).of_lists
            estimate[name] = estimated(policy, log, run.seed)
    seconds["all"] = time.monotonic() - started
    return SeedResult(run, outcomes, truth, estimate, seconds)


def estimated(policy: Any, log: Log, seed: int) -> float:
    """What a list would earn, by the estimator that is recommended for lists."""
    told = policy.propensity(log.choices, log.slates)
    report = evaluate_slates(log.slates, log.at_once, told, unit=log.choices.user, seed=seed)
    return report.estimate("sequential_snips").value
