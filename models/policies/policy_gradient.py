"""A policy learnt from logged lists by policy gradients, corrected for which policy made the lists.

Each slot of a logged list is one action: a candidate chosen given the slots above it. Its log-probability under the
policy of `models.policies.plackett_luce` is pushed up where it returned more than `models.policies.value_baseline`
expects, and down where it returned less. Since another policy made the lists, each slot counts pi / b times: by how
much likelier this policy makes it than the logged one did, capped, so that few slots never rule. Where the log has no
propensities, b is estimated beforehand (`models.policies.behaviour_policy`).

The policy is conservative. It starts as the ranker's, or from the organic choice model
(`models.policies.organic_choice_model`), whichever a capped, self-normalized estimate on held-out users likes better.
It pays `kl_weight` times its KL divergence from the ranker's policy at every slot, and stops where that estimate no
longer rises. What it learnt counts where the estimate has risen beyond its own error; else the lists that it started
from stay.

Sources: Chen et al., "Top-K Off-Policy Correction for a REINFORCE Recommender System", WSDM 2019: eq. 6 and the cap
of section 4.4 (weights), eq. 8 (lambda_K = K (1 - pi)^(K - 1)).
What differs:
- clicks in a list are few and owed to the list, too; organic events say more of what users want, and say it on the same
  day. So the policy may start from there.
- a slot's probability is conditional on the slots above, and exact, where the paper draws K items independently and
  drops doubles. So lambda stands for what is left: an item not chosen at rank k may still be chosen at the K - k ranks
  below, and K in the formula is K - k + 1. At the last rank it is 1.
- the future reward may be replaced by the one expected after such a day (`models.policies.surrogate_index`).
- advantages are in standard deviations of returns less the baseline, so that `kl_weight` and `entropy` mean the same in
  every shop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from expectations.shop.bounds import AtLeastOne, Bounded, NotNegative, OneOrMore, ShareBelowOne
from models.interface.model import TrainingHistory
from models.nn.network_fitting import as_numpy
from models.nn.training_setup import guarded_fit, prepare_training
from models.policies.behaviour_policy import known_propensities
from models.policies.holdout_estimate import HoldoutEstimate
from models.policies.organic_choice_model import choice_weights
from models.policies.plackett_luce import PlackettLucePolicy, build_network, set_utility_weights
from models.policies.slate_training import (
    SlateBatches,
    SlateTrainer,
    chosen_values,
    compile_steps,
    require_slates,
    slot_log_probs,
    train_epoch,
)
from models.policies.surrogate_index import surrogate_index
from models.policies.value_baseline import expected_returns
from models.slates.slates import CandidateSets, Slates

_LOWEST = 1e-6
"""A propensity is not taken to be less, whatever a fitted behaviour policy says."""


@dataclass(frozen=True)
class PolicyGradientConfig(Bounded):
    """See models/configs/policy_gradient.toml."""

    hidden_dim: AtLeastOne
    inverse_temperature: NotNegative = field(metadata={"old_names": ("sharpness",)})
    kl_weight: NotNegative = field(metadata={"old_names": ("nearness",)})
    weight_cap: OneOrMore
    top_k_correction: bool
    entropy: NotNegative
    held_out_share: ShareBelowOne
    patience: AtLeastOne
    learning_rate: float
    weight_decay: NotNegative
    batch_size: AtLeastOne
    epochs: AtLeastOne


def fit(
    candidates: CandidateSets,
    slates: Slates,
    returns: np.ndarray,
    config: PolicyGradientConfig,
    seed: int,
    *,
    immediate_reward: np.ndarray | None = None,
    other_reward: np.ndarray | None = None,
    is_organic: np.ndarray | None = None,
) -> tuple[PlackettLucePolicy, TrainingHistory]:
    """Returns a policy for the lists of users as these, and how the training went.

    Args:
        slates: the lists that were shown; a propensity is NaN where nobody wrote it down.
        returns: of each slot; see `models.slates.rewards.returns`. Shape (num_slates, top_k), float64.
        immediate_reward: the part of them that a slot earned on its day; see `models.slates.rewards.slot_rewards`.
            Where it is given, `models.policies.surrogate_index` takes the place of what came later, which a short log
            needs. Same shape.
        other_reward: what the user earned on that day with other items, a part of the returns, too; see
            `models.slates.rewards.other_rewards`. Shape (num_slates,), float64. None: nothing.
        is_organic: which candidates users met on the list's day without having been shown them; they tell where the
            policy starts, see `models.policies.organic_choice_model`. Shape (num_slates, num_candidates), bool. None:
            it starts as the ranker.

    Raises:
        ValueError: there are no lists, or a return is no number.
        TrainingFailed: see `models.nn.training_setup`.
    """
    require_slates(candidates, slates, returns)
    prepare_training(seed)
    network = build_network(candidates.features.shape[-1], config.hidden_dim, config.inverse_temperature)
    if np.isinf(config.kl_weight):
        return PlackettLucePolicy(network), TrainingHistory(facts={"lists": float(len(candidates))})
    rng = np.random.default_rng(seed)
    is_held_out = some_users(candidates.user, config.held_out_share, rng)
    training_rows = np.flatnonzero(~is_held_out)
    if immediate_reward is not None:
        that_day = np.zeros(len(candidates)) if other_reward is None else other_reward
        returns = smoothed(candidates, slates, returns, immediate_reward, that_day, ~is_held_out)
    propensity = known_propensities(candidates, slates, training_rows, config, rng)
    further = {
        "log_propensity": np.log(np.maximum(propensity, _LOWEST)),
        "advantage": advantages(candidates, slates, returns, ~is_held_out),
    }
    trained, batches = PolicyGradient(network, config), SlateBatches(candidates, slates, further)
    held_out = np.flatnonzero(is_held_out)
    starts_from_choice_model = is_organic is not None and _starts_from_choice_model(
        trained, batches, training_rows, held_out, is_organic
    )
    history = _trained(trained, batches, training_rows, held_out, rng)
    if starts_from_choice_model and is_organic is not None and not history.facts["best_epoch"]:
        # Training brought nothing that holds, so that the held-out users may count for the choice model, too.
        _start_from_choice_weights(trained, candidates, slates, is_organic)
    return PlackettLucePolicy(network), history


def smoothed(
    candidates: CandidateSets,
    slates: Slates,
    returns: np.ndarray,
    immediate_reward: np.ndarray,
    other_reward: np.ndarray,
    is_training: np.ndarray,
) -> np.ndarray:
    """Returns `returns` with the surrogate index in place of what came later.

    Organic rewards of the day count for the index, but are not part of a slot's return: next to what a slot earns they
    are all chance.

    Args:
        returns, immediate_reward: of each slot. Shape (num_slates, top_k), float64.
        other_reward: shape (num_slates,), float64.
        is_training: the lists that the index is fitted to. Shape (num_slates,), bool.

    Returns:
        Shape (num_slates, top_k), float64.
    """
    is_filled = slates.slots >= 0
    others = np.where(is_filled, returns - immediate_reward, 0.0).sum(axis=1) / np.maximum(is_filled.sum(axis=1), 1)
    same_day_reward = np.where(is_filled, immediate_reward, 0.0).sum(axis=1) + other_reward
    future_reward = surrogate_index(candidates, same_day_reward, others - other_reward, is_training)
    return np.where(is_filled, immediate_reward + future_reward[:, None], 0.0)


def advantages(candidates: CandidateSets, slates: Slates, returns: np.ndarray, is_training: np.ndarray) -> np.ndarray:
    """Returns what each slot returned beyond the baseline, in standard deviations; 0 where a list has ended.

    Args:
        returns: of each slot. Shape (num_slates, top_k), float64.
        is_training: the lists that baseline and deviation are taken from. Shape (num_slates,), bool.

    Returns:
        Shape (num_slates, top_k), float64.
    """
    is_filled = slates.slots >= 0
    expected = expected_returns(candidates, slates.slots, returns, is_training)
    beyond = np.where(is_filled, returns - expected, 0.0)
    return np.asarray(beyond / (beyond[is_training][is_filled[is_training]].std() + 1e-9))


class PolicyGradient(SlateTrainer):
    """See the module's docstring."""

    def __init__(self, network: keras.Model, config: PolicyGradientConfig) -> None:
        super().__init__(network)
        self.config = config

    def slot_losses(self, x: dict[str, Any], logits: Any) -> Any:
        config, shares = self.config, slot_log_probs(x, logits)
        taken = chosen_values(x, shares)
        push = self.weights_of(x, taken) * x["advantage"]
        if config.top_k_correction:
            others = ops.maximum(x["num_slots_left"] - 1, 0)  # an ended slot has none left, and is not learnt from
            push = push * x["num_slots_left"] * (1 - ops.exp(taken)) ** others
        entropy = -ops.sum(ops.where(x["is_left"], ops.exp(shares) * shares, 0.0), axis=-1)
        straying = config.kl_weight * self.divergence(x, shares) - config.entropy * entropy
        return straying - ops.stop_gradient(push) * taken

    def weights_of(self, x: dict[str, Any], taken: Any) -> Any:
        """How much likelier this policy makes each slot than the logged one did, capped. Shape (batch, top_k)."""
        return ops.minimum(ops.exp(taken - x["log_propensity"]), self.config.weight_cap)

    def divergence(self, x: dict[str, Any], shares: Any) -> Any:
        """KL from the ranker's policy at every slot. Shape (batch, top_k)."""
        of_ranker = slot_log_probs(x, self.config.inverse_temperature * x["features"][:, None, :, 0])
        apart = ops.where(x["is_left"], shares - of_ranker, 0.0)
        return ops.sum(ops.exp(shares) * apart, axis=-1)

    def estimate(self, batches: Iterable[dict[str, np.ndarray]]) -> HoldoutEstimate:
        """Returns what slots would earn under this policy.

        Args:
            batches: inputs as `SlateBatches` makes them: name -> shape (batch, ...), float32.
        """
        lists = [np.empty((0, 4))]
        for x in batches:
            shares = slot_log_probs(x, self(x))
            weights = as_numpy(self.weights_of(x, chosen_values(x, shares))) * x["is_filled"]
            straying = as_numpy(self.divergence(x, shares)) * x["is_filled"]
            lists.append(np.stack([weights * x["advantage"], weights, straying, x["is_filled"]], axis=-1).sum(axis=1))
        return HoldoutEstimate(np.concatenate(lists), self.config.kl_weight)


def _starts_from_choice_model(
    trained: PolicyGradient,
    batches: SlateBatches,
    training_rows: np.ndarray,
    held_out: np.ndarray,
    is_organic: np.ndarray,
) -> bool:
    """Starts from the choice model if that is estimated to earn no less than the ranker. Returns whether it did.

    Where no users are held out nothing is estimated, and the choice model is taken.
    """
    as_ranker, by_ranker = trained.network.get_weights(), _estimated(trained, batches, held_out)
    if not _start_from_choice_weights(
        trained, batches.candidates.rows(training_rows), batches.slates.rows(training_rows), is_organic[training_rows]
    ):
        return False
    by_choice_model = _estimated(trained, batches, held_out)
    if by_ranker is None or by_choice_model is None or by_choice_model.value >= by_ranker.value:
        return True
    trained.network.set_weights(as_ranker)
    return False


def _start_from_choice_weights(
    trained: PolicyGradient, candidates: CandidateSets, slates: Slates, is_organic: np.ndarray
) -> bool:
    """Sets the choice weights. Returns whether there are any; without them the network stays as it is."""
    weights = choice_weights(candidates, slates, is_organic)
    if weights is not None:
        set_utility_weights(trained.network, weights, trained.config.inverse_temperature)
    return weights is not None


def _estimated(trained: PolicyGradient, batches: SlateBatches, held_out: np.ndarray) -> HoldoutEstimate | None:
    """None where no users are held out."""
    return trained.estimate(batches.in_order(held_out, trained.config.batch_size)) if len(held_out) else None


def _trained(
    trained: PolicyGradient,
    batches: SlateBatches,
    training_rows: np.ndarray,
    held_out: np.ndarray,
    rng: np.random.Generator,
) -> TrainingHistory:
    """Trains until the held-out estimate no longer rises, and leaves the network as it was at its best.

    That is as it started (epoch 0), unless what it learnt is better than that beyond the estimate's own error.
    """
    config, network, user = trained.config, trained.network, batches.candidates.user[held_out]
    compile_steps(trained, config, len(training_rows))
    losses: list[float] = []
    values: list[float] = []
    started = _estimated(trained, batches, held_out)
    best, best_epoch, best_gain = network.get_weights(), 0, 0.0
    with guarded_fit("policy_gradient", network, config.epochs, config.batch_size) as guard:
        for epoch in range(config.epochs):
            guard.on_epoch_begin(epoch)
            losses.append(train_epoch(trained, batches, training_rows, config, rng))
            guard.on_epoch_end(epoch, {"loss": losses[-1]})
            estimate = _estimated(trained, batches, held_out)
            gain = np.inf
            if estimate is not None and started is not None:
                values.append(estimate.value)
                gain = estimate.sure_gain(started, user)
            if gain > best_gain or estimate is None:
                best, best_epoch, best_gain = network.get_weights(), epoch + 1, gain
            elif epoch + 1 - best_epoch >= config.patience:
                break
    network.set_weights(best)
    facts = {"lists": float(len(training_rows)), "best_epoch": float(best_epoch)}
    return TrainingHistory({"loss": losses, "estimate": values}, facts)


def some_users(user: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Returns which lists belong to a random share of the users.

    Args:
        user: of each list. Shape (num_slates,), int64.

    Returns:
        Shape (num_slates,), bool.
    """
    users = np.unique(user)
    return np.isin(user, rng.permutation(users)[: int(share * len(users))])
