"""Which agents can learn to re-rank, and how each is fitted to the examples of a night."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from expectations.shop.shop import Shop
from expectations.shop.toml_settings import settings_from_mapping
from models.interface.model import TrainingHistory
from models.interface.registry import CONFIGS, file_values
from models.policies.cross_fitting import NUM_FOLDS, CrossFitted, folds_of
from models.policies.plackett_luce import PlackettLucePolicy
from models.slates.training_slates import Examples


@dataclass(frozen=True)
class FittedAgent:
    """A policy, and how its parts were fitted: a history for each fold."""

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
            assert isinstance(policy, PlackettLucePolicy), "`fit_agent` makes no others"
            policy.save(folder / f"fold-{fold}")


def agent_values(shop: Shop) -> dict[str, Any]:
    """Returns the settings of the agent's config file, with the shop's `kl_weight` where it has one.

    Old keys come out under their new names, so that a fit does not depend on which were written.
    """
    agent, kl_weight = shop.policy.agent, shop.policy.kl_weight
    values = file_values(_config_class(agent), CONFIGS / "policies" / f"{agent}.toml")
    return values if kl_weight is None else {**values, "kl_weight": kl_weight}


def _config_class(agent: str) -> type[Any]:
    from models.policies import policy_gradient, q_learning

    return {"policy_gradient": policy_gradient.PolicyGradientConfig, "q_learning": q_learning.QLearningConfig}[agent]


def fit_agent(examples: Examples, shop: Shop, values: Mapping[str, Any], last_day: float) -> FittedAgent:
    """Fits the shop's agent to each half of the users.

    Args:
        values: what `agent_values` gives.
        last_day: until when the log goes, in days since 1970.

    Raises:
        ValueError: a half has no list.
        TrainingFailed: see `models.nn.training_setup`.
    """
    folds = folds_of(examples.candidates.user)
    parts = [_fitted(examples.rows(np.flatnonzero(folds != fold)), shop, values, last_day) for fold in range(NUM_FOLDS)]
    return FittedAgent(CrossFitted([policy for policy, _ in parts]), tuple(history for _, history in parts))


def _fitted(
    examples: Examples, shop: Shop, values: Mapping[str, Any], last_day: float
) -> tuple[PlackettLucePolicy, TrainingHistory]:
    candidates, slates = examples.candidates, examples.slates
    where = f"models/configs/policies/{shop.policy.agent}.toml"
    if shop.policy.agent == "policy_gradient":
        from models.policies import policy_gradient

        config = settings_from_mapping(policy_gradient.PolicyGradientConfig, values, where)
        details = {"immediate_reward": examples.immediate_reward, "is_organic": examples.is_organic}
        return policy_gradient.fit(candidates, slates, examples.returns, config, shop.seed, **details)
    from models.policies import q_learning

    settings = settings_from_mapping(q_learning.QLearningConfig, values, where)
    return q_learning.fit(
        candidates,
        slates,
        examples.immediate_reward,
        settings,
        shop.seed,
        discount=shop.reward.discount,
        last_day=last_day,
    )
