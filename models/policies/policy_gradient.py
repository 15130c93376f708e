"""A policy learnt from logged lists by policy gradients, corrected for which policy made the lists.

Each place of a logged list is one action: a candidate taken given the places above it. Its log-probability under the
policy of `models.policies.plackett_luce` is pushed up where it returned more than `models.policies.value_baseline`
expects, and down where it returned less. Since another policy made the lists, each place counts pi / b times: by how
much likelier this policy makes it than the logged one did, capped, so that few places never rule. Where the log has no
propensities, b is learnt beforehand (`models.policies.behaviour_policy`).

Being conservative: the policy starts as the ranker's, or from what users choose where no list leads them
(`models.policies.organic_choice_model`), whichever a capped, self-normalized estimate on users held out likes better;
it pays `nearness` times its KL divergence from the ranker's at every place, and stops where that estimate no longer
rises. What it learnt counts where the estimate has risen beyond its own error; else the lists that it started from
stay.

Sources: Chen et al., "Top-K Off-Policy Correction for a REINFORCE Recommender System", WSDM 2019: eq. 6 and the cap
of section 4.4 (weights), eq. 8 (lambda_K = K (1 - pi)^(K - 1)).
What differs:
- clicks in a list are few and owed to the list, too; what users find alone says more of their wants, and says it at
  once. So the policy starts from there.
- a place's probability is conditional on the places above, and exact, where the paper draws K items independently and
  drops doubles. So lambda stands for what is left: an item not taken at rank k may still be taken at the K - k ranks
  below, and K in the formula is K - k + 1. At the last rank it is 1.
- what came later than a list's day may be told by what is to be expected after such a day
(`models.policies.surrogate_index`).
- returns are held against a baseline, and told in standard deviations of what is left, so that `nearness` and `entropy`
  mean the same in every shop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from models.interface.config_checks import require_at_least, require_shares
from models.interface.model import TrainingHistory
from models.nn.network_fitting import as_numpy
from models.nn.training_setup import guarded_fit, prepare_training
from models.policies.behaviour_policy import known_propensities
from models.policies.holdout_estimate import Estimate
from models.policies.organic_choice_model import wants
from models.policies.plackett_luce import PlackettLucePolicy, build_network, lead_by
from models.policies.slate_training import (
    ListBatches,
    PlacedLists,
    compile_steps,
    log_shares,
    of_taken,
    require_lists,
    trained_epoch,
)
from models.policies.surrogate_index import expected_later
from models.policies.value_baseline import expected_returns
from models.slates.slates import Choices, Slates

_LOWEST = 1e-6
"""A propensity is not taken to be less, whatever a learnt behaviour policy says."""


@dataclass(frozen=True)
class PolicyGradientConfig:
    """See models/configs/policy_gradient.toml."""

    hidden_dim: int
    sharpness: float
    nearness: float
    weight_cap: float
    top_k_correction: bool
    entropy: float
    held_out_share: float
    patience: int
    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int

    def __post_init__(self) -> None:
        require_at_least(1, self, "hidden_dim", "weight_cap", "patience", "batch_size", "epochs")
        require_at_least(0, self, "sharpness", "nearness", "entropy", "weight_decay")
        require_shares(self, "held_out_share")


def fit(
    choices: Choices,
    slates: Slates,
    returns: np.ndarray,
    config: PolicyGradientConfig,
    seed: int,
    *,
    at_once: np.ndarray | None = None,
    beside: np.ndarray | None = None,
    is_found: np.ndarray | None = None,
) -> tuple[PlackettLucePolicy, TrainingHistory]:
    """A policy for the lists of users as these.

    Args:
        slates: the lists that were shown; a propensity is NaN where nobody wrote it down.
        returns: of each place; see `models.slates.rewards.returns`. Shape (num_slates, top_k).
        at_once: the part of them that a place earned on its day; see `models.slates.rewards.place_rewards`. Where it is
            given, what came later is told by `models.policies.surrogate_index`, which a short log needs. Same shape.
        beside: what the user earned on that day with other items, a part of the returns, too; see
            `models.slates.rewards.rewards_beside`. Shape (num_slates,). None: nothing.
        is_found: which candidates users met on the list's day without being led there; they tell where the policy
            starts, see `models.policies.organic_choice_model`. Shape (num_slates, num_candidates). None: as the ranker.

    Raises:
        ValueError: there are no lists, or a return is no number.
        TrainingFailed: see `models.nn.training_setup`.
    """
    require_lists(choices, slates, returns)
    prepare_training(seed)
    network = build_network(choices.features.shape[-1], config.hidden_dim, config.sharpness)
    if np.isinf(config.nearness):
        return PlackettLucePolicy(network), TrainingHistory(facts={"lists": float(len(choices))})
    rng = np.random.default_rng(seed)
    is_held_out = some_users(choices.user, config.held_out_share, rng)
    learnt = np.flatnonzero(~is_held_out)
    if at_once is not None:
        that_day = np.zeros(len(choices)) if beside is None else beside
        returns = smoothed(choices, slates, returns, at_once, that_day, ~is_held_out)
    propensity = known_propensities(choices, slates, learnt, config, rng)
    further = {
        "log_propensity": np.log(np.maximum(propensity, _LOWEST)),
        "advantage": advantages(choices, slates, returns, ~is_held_out),
    }
    trained, batches = PolicyGradient(network, config), ListBatches(choices, slates, further)
    held_out = np.flatnonzero(is_held_out)
    goes_by_wants = is_found is not None and _starts_from_wants(trained, batches, learnt, held_out, is_found)
    history = _trained(trained, batches, learnt, held_out, rng)
    if goes_by_wants and is_found is not None and not history.facts["best_epoch"]:
        # Nothing was learnt that holds, so that those who were held out to say so may tell of their wants, too.
        _lead_by_wants(trained, choices, slates, is_found)
    return PlackettLucePolicy(network), history


def smoothed(
    choices: Choices,
    slates: Slates,
    returns: np.ndarray,
    at_once: np.ndarray,
    beside: np.ndarray,
    is_learnt: np.ndarray,
) -> np.ndarray:
    """Returns in which what came later is what was to be expected after such a day. Shape (num_slates, top_k).

    What users found alone that day tells what came later, but is not held against the places itself: next to what a
    place earns it is all chance.
    """
    is_there = slates.place >= 0
    others = np.where(is_there, returns - at_once, 0.0).sum(axis=1) / np.maximum(is_there.sum(axis=1), 1)
    evening = np.where(is_there, at_once, 0.0).sum(axis=1) + beside
    later = expected_later(choices, evening, others - beside, is_learnt)
    return np.where(is_there, at_once + later[:, None], 0.0)


def advantages(choices: Choices, slates: Slates, returns: np.ndarray, is_learnt: np.ndarray) -> np.ndarray:
    """What each place returned beyond the baseline, in standard deviations; 0 where a list has ended.

    Args:
        is_learnt: the rows that baseline and deviation are taken from.
    """
    is_there = slates.place >= 0
    expected = expected_returns(choices, slates.place, returns, is_learnt)
    beyond = np.where(is_there, returns - expected, 0.0)
    return np.asarray(beyond / (beyond[is_learnt][is_there[is_learnt]].std() + 1e-9))


class PolicyGradient(PlacedLists):
    """See the module's docstring."""

    def __init__(self, network: keras.Model, config: PolicyGradientConfig) -> None:
        super().__init__(network)
        self.config = config

    def place_costs(self, x: dict[str, Any], logits: Any) -> Any:
        config, shares = self.config, log_shares(x, logits)
        taken = of_taken(x, shares)
        push = self.weights_of(x, taken) * x["advantage"]
        if config.top_k_correction:
            others = ops.maximum(x["num_places_left"] - 1, 0)  # an ended place has none left, and is not learnt from
            push = push * x["num_places_left"] * (1 - ops.exp(taken)) ** others
        entropy = -ops.sum(ops.where(x["is_left"], ops.exp(shares) * shares, 0.0), axis=-1)
        straying = config.nearness * self.divergence(x, shares) - config.entropy * entropy
        return straying - ops.stop_gradient(push) * taken

    def weights_of(self, x: dict[str, Any], taken: Any) -> Any:
        """How much likelier this policy makes each place than the logged one did, capped. Shape (batch, top_k)."""
        return ops.minimum(ops.exp(taken - x["log_propensity"]), self.config.weight_cap)

    def divergence(self, x: dict[str, Any], shares: Any) -> Any:
        """KL from the ranker's policy at every place. Shape (batch, top_k)."""
        of_ranker = log_shares(x, self.config.sharpness * x["features"][:, None, :, 0])
        apart = ops.where(x["is_left"], shares - of_ranker, 0.0)
        return ops.sum(ops.exp(shares) * apart, axis=-1)

    def estimate(self, batches: Iterable[dict[str, np.ndarray]]) -> Estimate:
        """What places would earn under this policy."""
        lists = [np.empty((0, 4))]
        for x in batches:
            shares = log_shares(x, self(x))
            weights = as_numpy(self.weights_of(x, of_taken(x, shares))) * x["is_there"]
            straying = as_numpy(self.divergence(x, shares)) * x["is_there"]
            lists.append(np.stack([weights * x["advantage"], weights, straying, x["is_there"]], axis=-1).sum(axis=1))
        return Estimate(np.concatenate(lists), self.config.nearness)


def _starts_from_wants(
    trained: PolicyGradient, batches: ListBatches, learnt: np.ndarray, held_out: np.ndarray, is_found: np.ndarray
) -> bool:
    """Leads the network by wants if that is estimated to earn no less than the ranker; says whether it did.

    Where no users are held out wants are taken at their word.
    """
    as_ranker, by_ranker = trained.network.get_weights(), _estimated(trained, batches, held_out)
    if not _lead_by_wants(trained, batches.choices.rows(learnt), batches.slates.rows(learnt), is_found[learnt]):
        return False
    by_wants = _estimated(trained, batches, held_out)
    if by_ranker is None or by_wants is None or by_wants.value >= by_ranker.value:
        return True
    trained.network.set_weights(as_ranker)
    return False


def _lead_by_wants(trained: PolicyGradient, choices: Choices, slates: Slates, is_found: np.ndarray) -> bool:
    """Returns whether anybody met anything that tells of wants; else the network stays as it is."""
    weights = wants(choices, slates, is_found)
    if weights is not None:
        lead_by(trained.network, weights, trained.config.sharpness)
    return weights is not None


def _estimated(trained: PolicyGradient, batches: ListBatches, held_out: np.ndarray) -> Estimate | None:
    """None where no users are held out."""
    return trained.estimate(batches.in_order(held_out, trained.config.batch_size)) if len(held_out) else None


def _trained(
    trained: PolicyGradient,
    batches: ListBatches,
    learnt: np.ndarray,
    held_out: np.ndarray,
    rng: np.random.Generator,
) -> TrainingHistory:
    """Trains until the held-out estimate no longer rises, and leaves the network as it was at its best.

    That is as it started (epoch 0), unless what it learnt is better than that beyond the estimate's own error.
    """
    config, network, user = trained.config, trained.network, batches.choices.user[held_out]
    compile_steps(trained, config, len(learnt))
    losses: list[float] = []
    values: list[float] = []
    started = _estimated(trained, batches, held_out)
    best, best_epoch, best_gain = network.get_weights(), 0, 0.0
    with guarded_fit("policy_gradient", network, config.epochs, config.batch_size) as guard:
        for epoch in range(config.epochs):
            guard.on_epoch_begin(epoch)
            losses.append(trained_epoch(trained, batches, learnt, config, rng))
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
    facts = {"lists": float(len(learnt)), "best_epoch": float(best_epoch)}
    return TrainingHistory({"loss": losses, "estimate": values}, facts)


def some_users(user: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Whether each list is of one of so many users, drawn at random. Shape (num_slates,)."""
    users = np.unique(user)
    return np.isin(user, rng.permutation(users)[: int(share * len(users))])
