"""Which agents can learn to re-rank, and how each is fitted to the examples of a night."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from expectations.shop.shop import Shop
from expectations.shop.toml_settings import settings_from_mapping
from models.interface.model import TrainingHistory
from models.interface.registry import CONFIGS
from models.policies.cross_fitting import NUM_FOLDS, CrossFitted, folds_of
from models.policies.plackett_luce import PlackettLucePolicy
from models.slates.training_slates import Examples


@dataclass(frozen=True)
class LearntPolicy:
    """A policy, and how its parts were learnt: a history for each fold."""

    policy: CrossFitted
    histories: tuple[TrainingHistory, ...]

    @property
    def curves(self) -> dict[str, list[float]]:
        """Name and fold -> one value an epoch."""
        return {
            f"{name}, fold {fold}": list(values)
            for fold, history in enumerate(self.histories, start=1)
            for name, values in history.curves.items()
        }

    def save(self, folder: Path) -> None:
        """Writes the network of each fold, without pickle."""
        for fold, policy in enumerate(self.policy.policies, start=1):
            assert isinstance(policy, PlackettLucePolicy), "`learnt` makes no others"
            policy.save(folder / f"fold-{fold}")


def agent_values(shop: Shop) -> dict[str, Any]:
    """What the agent's config file says, with the shop's `nearness` in its place where it has one."""
    agent, nearness = shop.policy.agent, shop.policy.nearness
    values = tomllib.loads((CONFIGS / "policies" / f"{agent}.toml").read_text(encoding="utf-8"))
    return values if nearness is None else {**values, "nearness": nearness}


def learnt(examples: Examples, shop: Shop, values: Mapping[str, Any], last_day: float) -> LearntPolicy:
    """Fits the shop's agent to each half of the users.

    Args:
        values: what `agent_values` gives.
        last_day: until when the log goes, in days since 1970.

    Raises:
        ValueError: a half has no list.
        TrainingFailed: see `models.nn.training_setup`.
    """
    folds = folds_of(examples.choices.user)
    parts = [_fitted(examples.rows(np.flatnonzero(folds != fold)), shop, values, last_day) for fold in range(NUM_FOLDS)]
    return LearntPolicy(CrossFitted([policy for policy, _ in parts]), tuple(history for _, history in parts))


def _fitted(
    examples: Examples, shop: Shop, values: Mapping[str, Any], last_day: float
) -> tuple[PlackettLucePolicy, TrainingHistory]:
    choices, slates = examples.choices, examples.slates
    where = f"models/configs/policies/{shop.policy.agent}.toml"
    if shop.policy.agent == "policy_gradient":
        from models.policies import policy_gradient

        config = settings_from_mapping(policy_gradient.PolicyGradientConfig, values, where)
        told = {"at_once": examples.at_once, "is_found": examples.is_found}
        return policy_gradient.fit(choices, slates, examples.returns, config, shop.seed, **told)
    from models.policies import q_learning

    asked, discount = settings_from_mapping(q_learning.QLearningConfig, values, where), shop.reward.discount
    return q_learning.fit(choices, slates, examples.at_once, asked, shop.seed, discount=discount, last_day=last_day)
