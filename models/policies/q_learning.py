"""A policy learnt from logged lists by Q-learning: what a list earns, now and later, is the sum of what its places add.

The value of a list A in state s is Q(s, A) = b(s) + sum over ranks k of e_k (u(s, a_k) - t(s, a_k) n_k): what comes
anyway, and what each candidate is worth, less its tiring times the number of its kind above it, in proportion to how
much rank k is looked at. u and t have two parts. What a place earns at once is regressed on what it earned. What a list
adds besides, b included, is held against what the user found alone that day and the discounted value of their next
list, as the policy would fill it now: the list that is best by the network, valued by the network of an epoch ago
(double Q-learning), and taken on the mean over evenings like this one (`models.policies.surrogate_index`). The best
list is filled greedily, place by place, as `models.policies.plackett_luce` draws.

A supervised head on the same state tells which candidate is touched next, and keeps the encoder to what the log is rich
in. With `acts_by = "actor"` that head is the policy, and its examples weigh by their Q-values: who clicked what pays
only tonight says less.

Sources: Xin et al., "Self-Supervised Reinforcement Learning for Recommender Systems", SIGIR 2020 (SQN: Q-learning
beside the next item on one encoder; SAC: Q-values as weights of the supervised loss); Ie et al., "SlateQ: A Tractable
Decomposition for Reinforcement Learning with Recommendation Sets", IJCAI 2019 (a list's value as a sum over its items);
van Hasselt et al., "Deep Reinforcement Learning with Double Q-learning", AAAI 2016.
What differs: an action is a list, where SQN's is one item of the catalogue; candidates are told by features too; days
that pass are discounted, not steps; the target network is that of an epoch ago, not a second one in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from models.interface.config_checks import require_at_least, require_divisor, require_shares
from models.interface.model import TrainingHistory
from models.nn.network_fitting import as_numpy, select_inputs
from models.nn.sequence_encoder import Encoder
from models.nn.training_setup import guarded_fit, prepare_training
from models.policies.plackett_luce import LISTS_AT_ONCE, PlackettLucePolicy, drawn, policy_inputs
from models.policies.q_network import MixedWithRanker, build_q_network
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
from models.slates.slate_features import HISTORY_LENGTH
from models.slates.slates import Choices, Slates
from models.slates.trajectories import Chain, chain_of


@dataclass(frozen=True)
class QLearningConfig:
    """See models/configs/q_learning.toml."""

    acts_by: Literal["q", "actor"]
    encoder: Encoder
    embedding_dim: int
    num_blocks: int
    num_heads: int
    hidden_dim: int
    dropout: float
    supervised_weight: float
    weight_cap: float
    sharpness: float
    nearness: float
    gone_after_days: float
    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int

    def __post_init__(self) -> None:
        require_at_least(1, self, "embedding_dim", "num_blocks", "num_heads", "hidden_dim")
        require_at_least(1, self, "weight_cap", "batch_size", "epochs")
        require_at_least(0, self, "supervised_weight", "sharpness", "nearness", "gone_after_days", "weight_decay")
        require_shares(self, "dropout")
        require_divisor(self)

    @property
    def max_length(self) -> int:
        """Of what the encoder reads."""
        return HISTORY_LENGTH


def fit(
    choices: Choices,
    slates: Slates,
    rewards: np.ndarray,
    config: QLearningConfig,
    seed: int,
    *,
    discount: float,
    beside: np.ndarray | None = None,
    last_day: float | None = None,
) -> tuple[PlackettLucePolicy, TrainingHistory]:
    """A policy for the lists of users as these.

    Args:
        choices: with histories; several lists of a user are linked by their days.
        slates: the lists that were shown and seen. Propensities are not needed.
        rewards: what each place earned at once; see `models.slates.rewards.place_rewards`. Shape (num_slates, top_k).
        discount: what a reward is worth that comes a day later.
        beside: what else each list's user earned on that day; see `models.slates.rewards.rewards_beside`. Shape
            (num_slates,). None: nothing.
        last_day: until when the log knows who came back; None: the day of the last list.

    Raises:
        ValueError: there are no lists, no histories, or a reward is no number.
        TrainingFailed: see `models.nn.training_setup`.
    """
    require_lists(choices, slates, rewards)
    if choices.history is None:
        raise ValueError(
            "Q-learning reads histories. Received: `Choices` without `history`. See `models.slates.slate_features`"
        )
    prepare_training(seed)
    num_kinds = int(max(choices.kind.max(), choices.history[..., 0].max() - 2)) + 1
    network = build_q_network(choices.features.shape[-1], num_kinds, config, config.hidden_dim)
    chain = chain_of(choices, config.gone_after_days, last_day)
    beside = np.zeros(len(choices)) if beside is None else beside
    evening = np.where(slates.place >= 0, rewards, 0.0).sum(axis=1) + beside
    came_later = beside + expected_later(choices, evening, chain.discounted(evening, discount), chain.is_known)
    units = Units.of(rewards[slates.place >= 0], came_later)
    trained = ListValues(network, units, config, _looked_at(rewards))
    history = _trained(trained, choices, slates, rewards, beside, chain, discount, np.random.default_rng(seed))
    return _policy(trained, choices), history


@dataclass(frozen=True)
class Units:
    """What the network's figures mean: errors of each part are told in its standard deviations.

    Attributes:
        place: of what a place earns at once.
        later: of what a list earns later; 0 stands for `later_mean`.
    """

    place: float
    later: float
    later_mean: float

    @classmethod
    def of(cls, at_once: np.ndarray, later: np.ndarray) -> Units:
        spread = later.std() if len(later) else 0.0
        return cls(float(at_once.std()) or 1.0, float(spread) or 1.0, float(later.mean()) if len(later) else 0.0)

    def total(self, at_once: Any, later: Any) -> Any:
        """What both parts come to, in rewards."""
        return self.place * at_once + self.later * later


class ListValues(PlacedLists):
    """The Q-values of lists, and the supervised head beside them. Used in training only."""

    def __init__(self, network: keras.Model, units: Units, config: QLearningConfig, looked_at: np.ndarray) -> None:
        """Args: `looked_at`: how much each rank is, at first; the first rank counts 1. Shape (top_k,)."""
        super().__init__(network)
        self.units, self.config = units, config
        log_share = keras.initializers.Constant(np.log(looked_at))
        self.log_looked_at = self.add_weight(shape=looked_at.shape, initializer=log_share, name="log_looked_at")

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """What each candidate adds at each rank, at once and later; the actor's logits; what comes later anyway.

        In `units`, of shape (batch, top_k, num_candidates) but for the last one's (batch,).
        """
        said, later = self.network(select_inputs(self.network, inputs), training=training)
        parts = [said[:, None, :, n] - said[:, None, :, n + 1] * inputs["num_alike"] for n in (0, 2, 4)]
        looked_at = ops.exp(self.log_looked_at)[None, :, None]
        return looked_at * parts[0], looked_at * parts[1], parts[2], later[:, 0]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Squared errors of what is earned at once and later, and the cross entropy of what was touched."""
        at_once, adds_later, actor, later = y_pred
        error = (of_taken(x, at_once) - x["at_once"]) * x["is_there"]
        later = later + ops.sum(of_taken(x, adds_later) * x["is_there"], axis=1)
        later_error = (later - x["later"]) * x["is_known"]
        squares = ops.sum(error**2) / ops.maximum(ops.sum(x["is_there"]), 1.0) + ops.mean(later_error**2)
        examples = self._examples(x, self.units.total(at_once, adds_later)) * x["is_there"]
        touched = -ops.sum(of_taken(x, log_shares(x, actor)) * examples) / ops.maximum(ops.sum(examples), 1e-6)
        return squares + self.config.supervised_weight * touched

    def _examples(self, x: dict[str, Any], values: Any) -> Any:
        """How much each place counts as an example of what is wanted. Shape (batch, top_k)."""
        is_touched = ops.cast(x["is_touched"] > 0, "float32")
        if self.config.acts_by == "q":
            return is_touched
        worth = ops.stop_gradient(of_taken(x, values))
        usual = ops.mean(ops.abs(worth)) + 1e-6
        return is_touched * ops.clip(worth / usual, 0.0, self.config.weight_cap)


def _trained(
    trained: ListValues,
    choices: Choices,
    slates: Slates,
    rewards: np.ndarray,
    beside: np.ndarray,
    chain: Chain,
    discount: float,
    rng: np.random.Generator,
) -> TrainingHistory:
    config, rows, units = trained.config, np.arange(len(choices)), trained.units
    of_place = {"at_once": rewards / units.place, "is_touched": rewards}
    batches = ListBatches(choices, slates, {**of_place, "is_known": chain.is_known, "later": np.zeros(len(rows))})
    evening = np.where(slates.place >= 0, rewards, 0.0).sum(axis=1) + beside
    losses: list[float] = []
    trained(batches.of(rows[:1]))  # makes the weights
    before = said_by(trained, choices)
    compile_steps(trained, config, len(rows))
    with guarded_fit("q_learning", trained.network, config.epochs, config.batch_size) as guard:
        for epoch in range(config.epochs):
            now = said_by(trained, choices)
            worth, tiring = (units.total(now.candidates[..., n], now.candidates[..., n + 2]) for n in (0, 1))
            best = drawn(choices, worth, tiring, slates.place.shape[1], None)
            value = list_values(best, choices, before, trained)
            later = np.where(chain.following >= 0, discount**chain.days * value[chain.following], 0.0)
            later = beside + expected_later(choices, evening, later, chain.is_known)
            batches.further["later"] = (later - units.later_mean) / units.later
            before = now
            guard.on_epoch_begin(epoch)
            losses.append(trained_epoch(trained, batches, rows, config, rng))
            guard.on_epoch_end(epoch, {"loss": losses[-1]})
    return TrainingHistory({"loss": losses}, {"lists": float(len(rows))})


@dataclass(frozen=True)
class Said:
    """What a network said of lists: `candidates` of shape (num_slates, num_candidates, 6), `later` (num_slates,)."""

    candidates: np.ndarray
    later: np.ndarray
    looked_at: np.ndarray


def said_by(trained: ListValues, choices: Choices) -> Said:
    """What the network says now of every candidate and state."""
    candidates, later = [], []
    for start in range(0, len(choices), LISTS_AT_ONCE):
        block = choices.rows(np.arange(start, min(start + LISTS_AT_ONCE, len(choices))))
        said, of_state = trained.network(policy_inputs(block), training=False)
        candidates.append(as_numpy(said))
        later.append(as_numpy(of_state)[:, 0])
    return Said(np.concatenate(candidates), np.concatenate(later), np.exp(as_numpy(trained.log_looked_at)))


def list_values(slates: Slates, choices: Choices, said: Said, trained: ListValues) -> np.ndarray:
    """What lists earn, at once and later. Shape (num_slates,)."""
    place, is_there = np.maximum(slates.place, 0), slates.place >= 0
    kind = np.where(is_there, np.take_along_axis(choices.kind, place, axis=1), -1)
    above = np.tri(kind.shape[1], k=-1, dtype=bool)
    num_alike = ((kind[:, :, None] == kind[:, None, :]) & above & (kind >= 0)[:, :, None]).sum(axis=2)
    of_taken = np.take_along_axis(said.candidates, place[..., None], axis=1)  # (num_slates, top_k, 6)
    adds = said.looked_at[:, None] * (of_taken[..., 0:4:2] - of_taken[..., 1:4:2] * num_alike[..., None])
    at_once, later = (adds * is_there[..., None]).sum(axis=1).T
    units = trained.units
    return np.asarray(units.place * at_once + units.later_mean + units.later * (later + said.later))


def _looked_at(rewards: np.ndarray) -> np.ndarray:
    """How much each rank earned of what the first did, within bounds: a first word on how much it is looked at."""
    means = np.abs(rewards).mean(axis=0) + 1e-6
    return np.asarray(np.clip(means / means[0], 0.05, 1.0))


def _policy(trained: ListValues, choices: Choices) -> PlackettLucePolicy:
    """Q-values, or the actor's logits, in standard deviations of a list's candidates, beside the ranker's."""
    network, units, config = trained.network, trained.units, trained.config
    weights = [0.0, 0.0, 1.0] if config.acts_by == "actor" else [units.place, units.later, 0.0]
    combined = said_by(trained, choices).candidates[..., ::2] @ np.array(weights)
    num = choices.is_candidate.sum(axis=1, keepdims=True)
    mean = np.where(choices.is_candidate, combined, 0).sum(axis=1, keepdims=True) / np.maximum(num, 1)
    deviation = np.sqrt(np.mean((combined - mean)[choices.is_candidate] ** 2))
    layer = MixedWithRanker([w / (deviation + 1e-9) for w in weights], config.nearness, config.sharpness)
    inputs = {x.name: x for x in network.inputs}
    return PlackettLucePolicy(keras.Model(inputs, layer(network.outputs[0], inputs["features"]), name="policy"))
