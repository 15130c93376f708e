"""Who competes in `tests.benchmarks.policy.policy`, and how the agents learn from the log."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from typing import Any

from expectations.shop.reward import Reward
from expectations.tables import AGENTS
from models.interface.registry import CONFIGS
from models.policies import policy_gradient, q_learning
from models.policies.plackett_luce import PlackettLucePolicy
from models.policies.policy_gradient import PolicyGradientConfig
from models.policies.q_learning import QLearningConfig
from models.slates.rewards import returns
from models.slates.slates import SlatePolicy
from tests.benchmarks.policy.simple_policies import EpsilonGreedyPolicy, RankerPolicy
from tests.benchmarks.policy.simulated_nights import BEHAVIOUR, Log, at_random, by_true_want, in_demand, shown
from tests.benchmarks.policy.simulated_shop import Leader, Scores, SimulatedShop

GREEDY, NO_LISTS = "greedy ranking", "no lists"
EPSILON, SHARP = 0.1, 2.0
HORIZON_DAYS = 21


@dataclass(frozen=True)
class Contender:
    """A policy that leads the simulated shop, and how its lists come about.

    Attributes:
        policy: None shows nothing, and leaves people to find their own way.
        scores: where candidates come from; None: the best of the ranker.
        is_drawn: whether lists are drawn, or the best ones.
    """

    policy: Leader | None
    scores: Scores | None = None
    is_drawn: bool = False


def contenders(shop: SimulatedShop, log: Log, reward: Reward, seed: int) -> dict[str, Contender]:
    """The policies whose nights are compared."""
    tonight = replace(reward, discount=0.0)
    return {
        NO_LISTS: Contender(None),
        "random": Contender(RankerPolicy(), at_random),
        "popularity": Contender(RankerPolicy(), in_demand),
        GREEDY: Contender(RankerPolicy()),
        f"epsilon-greedy, epsilon = {EPSILON}": Contender(EpsilonGreedyPolicy(EPSILON), is_drawn=True),
        "greedy by what people truly want, which no shop knows": Contender(RankerPolicy(), by_true_want),
        "policy_gradient for tonight alone": Contender(by_policy_gradient(shop, log, tonight, seed)),
        "policy_gradient": Contender(by_policy_gradient(shop, log, reward, seed)),
        "q_learning": Contender(by_q_learning(log, reward, seed)),
    }


def judged_by_log(found: dict[str, Contender]) -> dict[str, SlatePolicy]:
    """The five policies that are drawn from the ranker's candidates, so that the behaviour policy's log can tell."""
    agents = {name: found[name].policy for name in AGENTS}
    return {
        "any candidate": RankerPolicy(0.0),
        "ranker, drawn as logged": BEHAVIOUR,
        "ranker, drawn closely": RankerPolicy(SHARP),
        **{name: policy for name, policy in agents.items() if isinstance(policy, PlackettLucePolicy)},
    }


def by_policy_gradient(shop: SimulatedShop, log: Log, reward: Reward, seed: int) -> SlatePolicy:
    """Fitted to the lists whose horizon lies within the log."""
    is_told = log.candidates.day + HORIZON_DAYS <= log.last_day
    candidates, slates = log.candidates.rows(is_told), log.slates.rows(is_told)
    items = shown(candidates, slates)
    slot_returns = returns(candidates.user, candidates.day, items, shop.event_log(), reward, horizon_days=HORIZON_DAYS)
    config = PolicyGradientConfig(**_settings("policy_gradient"))
    of_day = {
        "immediate_reward": log.immediate_reward[is_told],
        "other_reward": log.other_reward[is_told],
        "is_organic": log.is_organic[is_told],
    }
    return policy_gradient.fit(candidates, slates, slot_returns, config, seed, **of_day)[0]


def by_q_learning(log: Log, reward: Reward, seed: int) -> SlatePolicy:
    """Fitted to all lists; those of whom nobody knows yet whether they came back are left to the agent."""
    config = QLearningConfig(**_settings("q_learning"))
    found, _ = q_learning.fit(
        log.candidates,
        log.slates,
        log.immediate_reward,
        config,
        seed,
        discount=reward.discount,
        other_reward=log.other_reward,
        last_day=log.last_day,
    )
    return found


def _settings(name: str) -> dict[str, Any]:
    """As they are shipped."""
    return tomllib.loads((CONFIGS / "policies" / f"{name}.toml").read_text(encoding="utf-8"))
