"""The policy that made logged lists, where nobody wrote down with which probabilities it drew them.

A network of the policies' own form (`models.policies.plackett_luce`) is fitted to the slots that were filled. It
shares no weights with the policy that learns from them.

Source: Chen et al., "Top-K Off-Policy Correction for a REINFORCE Recommender System", WSDM 2019, section 4.2.
What differs: a small network of its own in place of another head, whose gradient would have to be stopped.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from models.nn.training_setup import guarded_fit
from models.policies.plackett_luce import PlackettLucePolicy, build_network
from models.policies.slate_training import (
    SlateBatches,
    SlateTrainer,
    StepsConfig,
    chosen_values,
    compile_steps,
    slot_log_probs,
    train_epoch,
)
from models.slates.slates import CandidateSets, Slates


class BehaviourConfig(StepsConfig, Protocol):
    """What is read of the config of the policy that learns; see models/configs/policy_gradient.toml."""

    @property
    def hidden_dim(self) -> int: ...

    @property
    def inverse_temperature(self) -> float: ...


def known_propensities(
    candidates: CandidateSets,
    slates: Slates,
    training_rows: np.ndarray,
    config: BehaviourConfig,
    rng: np.random.Generator,
) -> np.ndarray:
    """Returns the log's propensities, and those of a fitted behaviour policy where there are none.

    Args:
        training_rows: rows of the lists that the behaviour policy is fitted to, where any of them lack propensities.
            Shape (num_training,), int64.

    Returns:
        Shape of `slates.slots`, float64.
    """
    is_unknown = np.isnan(slates.propensity).any(axis=1)
    if not is_unknown.any():
        return slates.propensity
    asked = np.flatnonzero(is_unknown)
    told_by = np.intersect1d(training_rows, asked) if np.isin(training_rows, asked).any() else asked
    behaviour = fit_behaviour(candidates.rows(told_by), slates.rows(told_by), config, rng)
    propensity = slates.propensity.copy()
    estimated = behaviour.propensity(candidates.rows(asked), slates.rows(asked))
    propensity[asked] = np.where(np.isnan(propensity[asked]), estimated, propensity[asked])
    return propensity


def fit_behaviour(
    candidates: CandidateSets, slates: Slates, config: BehaviourConfig, rng: np.random.Generator
) -> PlackettLucePolicy:
    """Returns the policy under which the lists are likeliest."""
    network = build_network(candidates.features.shape[-1], config.hidden_dim, config.inverse_temperature)
    trained, rows = Imitation(network), np.arange(len(candidates))
    compile_steps(trained, config, len(rows))
    with guarded_fit("behaviour", network, config.epochs, config.batch_size) as guard:
        for epoch in range(config.epochs):
            guard.on_epoch_begin(epoch)
            guard.on_epoch_end(
                epoch, {"loss": train_epoch(trained, SlateBatches(candidates, slates, {}), rows, config, rng)}
            )
    return PlackettLucePolicy(network)


class Imitation(SlateTrainer):
    """Makes the logged slots likely."""

    def slot_losses(self, x: dict[str, Any], logits: Any) -> Any:
        return -chosen_values(x, slot_log_probs(x, logits))
