"""A policy learnt from logged lists by Q-learning: a list's rewards, now and later, are sums of what its slots add.

The value of a list A in state s is Q(s, A) = b(s) + sum over ranks k of e_k (u(s, a_k) - t(s, a_k) n_k): the state's
own value, and each candidate's utility less its satiation penalty times the number n_k of its kind above it, weighted
by the examination e_k of rank k. u and t have two parts. The immediate reward of a slot is regressed on what the slot
earned. What a list adds besides, b included, is regressed on the organic rewards of that day and the discounted value
of the user's next list, as the policy would fill it now: the list that is best by the network, valued by the network of
an epoch ago (double Q-learning), and averaged over days like this one (`models.policies.surrogate_index`). The best
list is filled greedily, slot by slot, as `models.policies.plackett_luce` draws.

A supervised head on the same state predicts which candidate the user interacts with next, and keeps the encoder to what
the log is rich in. With `acts_by = "actor"` that head is the policy, and its examples are weighted by their Q-values.

Sources: Xin et al., "Self-Supervised Reinforcement Learning for Recommender Systems", SIGIR 2020 (SQN: Q-learning
beside the next item on one encoder; SAC: Q-values as weights of the supervised loss); Ie et al., "SlateQ: A Tractable
Decomposition for Reinforcement Learning with Recommendation Sets", IJCAI 2019 (a list's value as a sum over its items);
van Hasselt et al., "Deep Reinforcement Learning with Double Q-learning", AAAI 2016.
What differs: an action is a list, where SQN's is one item of the catalogue; candidates have features, too; days that
pass are discounted, not steps; the target network is that of an epoch ago, not a second one in training.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from expectations.shop.bounds import AtLeastOne, Bounded, NotNegative, OneOrMore, ShareBelowOne
from models.interface.cross_field_rules import require_heads_divide
from models.interface.model import TrainingHistory
from models.nn.network_fitting import as_numpy, select_inputs
from models.nn.sequence_encoder import Encoder
from models.nn.training_setup import guarded_fit, prepare_training
from models.policies.plackett_luce import LISTS_AT_ONCE, PlackettLucePolicy, drawn, policy_inputs
from models.policies.q_network import MixedWithRanker, build_q_network
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
from models.slates.slate_features import HISTORY_LENGTH
from models.slates.slates import CandidateSets, Slates
from models.slates.trajectories import Trajectories, link_slates


@dataclass(frozen=True)
class QLearningConfig(Bounded):
    """See models/configs/q_learning.toml."""

    acts_by: Literal["q", "actor"]
    encoder: Encoder
    embedding_dim: AtLeastOne
    num_blocks: AtLeastOne
    num_heads: AtLeastOne
    hidden_dim: AtLeastOne
    dropout: ShareBelowOne
    supervised_weight: NotNegative
    weight_cap: OneOrMore
    inverse_temperature: NotNegative = field(metadata={"old_names": ("sharpness",)})
    kl_weight: NotNegative = field(metadata={"old_names": ("nearness",)})
    gone_after_days: NotNegative
    learning_rate: float
    weight_decay: NotNegative
    batch_size: AtLeastOne
    epochs: AtLeastOne

    def __post_init__(self) -> None:
        super().__post_init__()
        require_heads_divide(self)

    @property
    def max_length(self) -> int:
        """How many events the encoder reads."""
        return HISTORY_LENGTH


def fit(
    candidates: CandidateSets,
    slates: Slates,
    rewards: np.ndarray,
    config: QLearningConfig,
    seed: int,
    *,
    discount: float,
    other_reward: np.ndarray | None = None,
    last_day: float | None = None,
) -> tuple[PlackettLucePolicy, TrainingHistory]:
    """Returns a policy for the lists of users as these, and how the training went.

    Args:
        candidates: with histories; several lists of a user are linked by their days.
        slates: the lists that were shown and seen. Propensities are not needed.
        rewards: what each slot earned on the list's day; see `models.slates.rewards.slot_rewards`. Shape (num_slates,
            top_k), float64.
        discount: what a reward is worth that comes a day later.
        other_reward: what else each list's user earned on that day; see `models.slates.rewards.other_rewards`. Shape
            (num_slates,), float64. None: nothing.
        last_day: until when the log knows who came back; None: the day of the last list.

    Raises:
        ValueError: there are no lists, no histories, or a reward is no number.
        TrainingFailed: see `models.nn.training_setup`.
    """
    require_slates(candidates, slates, rewards)
    if candidates.history is None:
        raise ValueError(
            "Q-learning reads histories. Received: `CandidateSets` without `history`. See `models.slates.slates`"
        )
    prepare_training(seed)
    num_kinds = int(max(candidates.kind.max(), candidates.history[..., 0].max() - 2)) + 1
    network = build_q_network(candidates.features.shape[-1], num_kinds, config, config.hidden_dim)
    trajectories = link_slates(candidates, config.gone_after_days, last_day)
    other_reward = np.zeros(len(candidates)) if other_reward is None else other_reward
    same_day_reward = np.where(slates.slots >= 0, rewards, 0.0).sum(axis=1) + other_reward
    future_reward = other_reward + surrogate_index(
        candidates, same_day_reward, trajectories.discounted(same_day_reward, discount), trajectories.is_known
    )
    units = Units.of(rewards[slates.slots >= 0], future_reward)
    trained = SlateValues(network, units, config, _initial_examination(rewards))
    history = _trained(
        trained, candidates, slates, rewards, other_reward, trajectories, discount, np.random.default_rng(seed)
    )
    return _policy(trained, candidates), history


@dataclass(frozen=True)
class Units:
    """What the network's figures mean: errors of each part are in its standard deviations.

    Attributes:
        immediate: of what a slot earns on the list's day.
        future: of what a list earns later; 0 stands for `future_mean`.
    """

    immediate: float
    future: float
    future_mean: float

    @classmethod
    def of(cls, immediate_reward: np.ndarray, future_reward: np.ndarray) -> Units:
        """Takes the units from rewards.

        Args:
            immediate_reward: of filled slots. Shape (num_filled,), float64.
            future_reward: of lists. Shape (num_slates,), float64.
        """
        spread = future_reward.std() if len(future_reward) else 0.0
        return cls(
            float(immediate_reward.std()) or 1.0,
            float(spread) or 1.0,
            float(future_reward.mean()) if len(future_reward) else 0.0,
        )

    def total(self, immediate_reward: Any, future_reward: Any) -> Any:
        """Returns what both parts come to, in rewards."""
        return self.immediate * immediate_reward + self.future * future_reward


class SlateValues(SlateTrainer):
    """The Q-values of lists, and the supervised head beside them. Used in training only."""

    def __init__(self, network: keras.Model, units: Units, config: QLearningConfig, examination: np.ndarray) -> None:
        """Starts the learnt examination of the ranks.

        Args:
            examination: the initial examination of each rank, of which the first one counts 1. Shape (top_k,).
        """
        super().__init__(network)
        self.units, self.config = units, config
        log_share = keras.initializers.Constant(np.log(examination))
        self.log_examination = self.add_weight(shape=examination.shape, initializer=log_share, name="log_looked_at")

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Returns what each candidate adds at each rank, the actor's logits, and what comes later anyway.

        What a candidate adds on the list's day, and later, comes in `units`. All are float32, of shape (batch, top_k,
        num_candidates) but for the last one's (batch,).
        """
        outputs, future_reward = self.network(select_inputs(self.network, inputs), training=training)
        parts = [outputs[:, None, :, n] - outputs[:, None, :, n + 1] * inputs["num_same_kind"] for n in (0, 2, 4)]
        examination = ops.exp(self.log_examination)[None, :, None]
        return examination * parts[0], examination * parts[1], parts[2], future_reward[:, 0]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Adds the squared errors of immediate and future rewards to the cross entropy of what was interacted with."""
        immediate_reward, adds_future, actor, future_reward = y_pred
        error = (chosen_values(x, immediate_reward) - x["immediate_reward"]) * x["is_filled"]
        future_reward = future_reward + ops.sum(chosen_values(x, adds_future) * x["is_filled"], axis=1)
        future_error = (future_reward - x["future_reward"]) * x["is_known"]
        squares = ops.sum(error**2) / ops.maximum(ops.sum(x["is_filled"]), 1.0) + ops.mean(future_error**2)
        examples = self._examples(x, self.units.total(immediate_reward, adds_future)) * x["is_filled"]
        touched = -ops.sum(chosen_values(x, slot_log_probs(x, actor)) * examples) / ops.maximum(ops.sum(examples), 1e-6)
        return squares + self.config.supervised_weight * touched

    def _examples(self, x: dict[str, Any], values: Any) -> Any:
        """How much each slot counts as an example of what is wanted. Shape (batch, top_k)."""
        is_interacted = ops.cast(x["is_interacted"] > 0, "float32")
        if self.config.acts_by == "q":
            return is_interacted
        utility = ops.stop_gradient(chosen_values(x, values))
        usual = ops.mean(ops.abs(utility)) + 1e-6
        return is_interacted * ops.clip(utility / usual, 0.0, self.config.weight_cap)


def _trained(
    trained: SlateValues,
    candidates: CandidateSets,
    slates: Slates,
    rewards: np.ndarray,
    other_reward: np.ndarray,
    trajectories: Trajectories,
    discount: float,
    rng: np.random.Generator,
) -> TrainingHistory:
    config, rows, units = trained.config, np.arange(len(candidates)), trained.units
    of_slot = {"immediate_reward": rewards / units.immediate, "is_interacted": rewards}
    batches = SlateBatches(
        candidates, slates, {**of_slot, "is_known": trajectories.is_known, "future_reward": np.zeros(len(rows))}
    )
    same_day_reward = np.where(slates.slots >= 0, rewards, 0.0).sum(axis=1) + other_reward
    losses: list[float] = []
    trained(batches.of(rows[:1]))  # makes the weights
    before = network_outputs(trained, candidates)
    compile_steps(trained, config, len(rows))
    with guarded_fit("q_learning", trained.network, config.epochs, config.batch_size) as guard:
        for epoch in range(config.epochs):
            now = network_outputs(trained, candidates)
            utility, satiation_penalty = (
                units.total(now.per_candidate[..., n], now.per_candidate[..., n + 2]) for n in (0, 1)
            )
            best = drawn(candidates, utility, satiation_penalty, slates.slots.shape[1], None)
            value = slate_values(best, candidates, before, trained)
            future_reward = np.where(
                trajectories.next_slate >= 0, discount**trajectories.days * value[trajectories.next_slate], 0.0
            )
            future_reward = other_reward + surrogate_index(
                candidates, same_day_reward, future_reward, trajectories.is_known
            )
            batches.further["future_reward"] = (future_reward - units.future_mean) / units.future
            before = now
            guard.on_epoch_begin(epoch)
            losses.append(train_epoch(trained, batches, rows, config, rng))
            guard.on_epoch_end(epoch, {"loss": losses[-1]})
    return TrainingHistory({"loss": losses}, {"lists": float(len(rows))})


@dataclass(frozen=True)
class NetworkOutputs:
    """What a network computes of lists, see `models.policies.q_network.build_q_network`; all float32.

    Attributes:
        per_candidate: shape (num_slates, num_candidates, 6).
        future_reward: what comes later whatever is shown, in `Units.future`. Shape (num_slates,).
        examination: how much each rank is looked at. Shape (top_k,).
    """

    per_candidate: np.ndarray
    future_reward: np.ndarray
    examination: np.ndarray


def network_outputs(trained: SlateValues, candidates: CandidateSets) -> NetworkOutputs:
    """Returns what the network computes now of every candidate and state."""
    per_candidate, future_reward = [], []
    for start in range(0, len(candidates), LISTS_AT_ONCE):
        block = candidates.rows(np.arange(start, min(start + LISTS_AT_ONCE, len(candidates))))
        outputs, of_state = trained.network(policy_inputs(block), training=False)
        per_candidate.append(as_numpy(outputs))
        future_reward.append(as_numpy(of_state)[:, 0])
    return NetworkOutputs(
        np.concatenate(per_candidate), np.concatenate(future_reward), np.exp(as_numpy(trained.log_examination))
    )


def slate_values(
    slates: Slates, candidates: CandidateSets, outputs: NetworkOutputs, trained: SlateValues
) -> np.ndarray:
    """Returns what lists earn, on their day and later, in rewards.

    Returns:
        Shape (num_slates,), float64.
    """
    slots, is_filled = np.maximum(slates.slots, 0), slates.slots >= 0
    kind = np.where(is_filled, np.take_along_axis(candidates.kind, slots, axis=1), -1)
    above = np.tri(kind.shape[1], k=-1, dtype=bool)
    num_same_kind = ((kind[:, :, None] == kind[:, None, :]) & above & (kind >= 0)[:, :, None]).sum(axis=2)
    chosen = np.take_along_axis(outputs.per_candidate, slots[..., None], axis=1)  # (num_slates, top_k, 6)
    adds = outputs.examination[:, None] * (chosen[..., 0:4:2] - chosen[..., 1:4:2] * num_same_kind[..., None])
    immediate_reward, future_reward = (adds * is_filled[..., None]).sum(axis=1).T
    units = trained.units
    return np.asarray(
        units.immediate * immediate_reward + units.future_mean + units.future * (future_reward + outputs.future_reward)
    )


def _initial_examination(rewards: np.ndarray) -> np.ndarray:
    """How much each rank earned of what the first did, within bounds: where its examination starts."""
    means = np.abs(rewards).mean(axis=0) + 1e-6
    return np.asarray(np.clip(means / means[0], 0.05, 1.0))


def _policy(trained: SlateValues, candidates: CandidateSets) -> PlackettLucePolicy:
    """Q-values, or the actor's logits, in standard deviations of a list's candidates, beside the ranker's."""
    network, units, config = trained.network, trained.units, trained.config
    weights = [0.0, 0.0, 1.0] if config.acts_by == "actor" else [units.immediate, units.future, 0.0]
    combined = network_outputs(trained, candidates).per_candidate[..., ::2] @ np.array(weights)
    num = candidates.is_candidate.sum(axis=1, keepdims=True)
    mean = np.where(candidates.is_candidate, combined, 0).sum(axis=1, keepdims=True) / np.maximum(num, 1)
    deviation = np.sqrt(np.mean((combined - mean)[candidates.is_candidate] ** 2))
    layer = MixedWithRanker([w / (deviation + 1e-9) for w in weights], config.kl_weight, config.inverse_temperature)
    inputs = {x.name: x for x in network.inputs}
    return PlackettLucePolicy(keras.Model(inputs, layer(network.outputs[0], inputs["features"]), name="policy"))
