"""The policy that made logged lists, where nobody wrote down with which probabilities it drew them.

A network of the policies' own form (`models.policies.plackett_luce`) is fitted to the places that were filled. It
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
    ListBatches,
    PlacedLists,
    StepsConfig,
    compile_steps,
    log_shares,
    of_taken,
    trained_epoch,
)
from models.slates.slates import Choices, Slates


class BehaviourConfig(StepsConfig, Protocol):
    """What is read of the config of the policy that learns; see models/configs/policy_gradient.toml."""

    @property
    def hidden_dim(self) -> int: ...

    @property
    def sharpness(self) -> float: ...


def known_propensities(
    choices: Choices,
    slates: Slates,
    learnt: np.ndarray,
    config: BehaviourConfig,
    rng: np.random.Generator,
) -> np.ndarray:
    """The log's propensities, and those of a learnt behaviour policy where there are none. Shape of `slates.place`."""
    is_unknown = np.isnan(slates.propensity).any(axis=1)
    if not is_unknown.any():
        return slates.propensity
    asked = np.flatnonzero(is_unknown)
    told_by = np.intersect1d(learnt, asked) if np.isin(learnt, asked).any() else asked
    behaviour = fit_behaviour(choices.rows(told_by), slates.rows(told_by), config, rng)
    propensity = slates.propensity.copy()
    estimated = behaviour.propensity(choices.rows(asked), slates.rows(asked))
    propensity[asked] = np.where(np.isnan(propensity[asked]), estimated, propensity[asked])
    return propensity


def fit_behaviour(
    choices: Choices, slates: Slates, config: BehaviourConfig, rng: np.random.Generator
) -> PlackettLucePolicy:
    """The policy under which the lists are likeliest."""
    network = build_network(choices.features.shape[-1], config.hidden_dim, config.sharpness)
    trained, rows = Imitation(network), np.arange(len(choices))
    compile_steps(trained, config, len(rows))
    with guarded_fit("behaviour", network, config.epochs, config.batch_size) as guard:
        for epoch in range(config.epochs):
            guard.on_epoch_begin(epoch)
            guard.on_epoch_end(
                epoch, {"loss": trained_epoch(trained, ListBatches(choices, slates, {}), rows, config, rng)}
            )
    return PlackettLucePolicy(network)


class Imitation(PlacedLists):
    """Makes the logged places likely."""

    def place_costs(self, x: dict[str, Any], logits: Any) -> Any:
        return -of_taken(x, log_shares(x, logits))
