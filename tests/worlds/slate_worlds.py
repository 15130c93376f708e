"""Small worlds of lists with known answers, for the agents that learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from expectations.shop.reward import Reward
from models.policies.plackett_luce import drawn
from models.slates.event_log import CLICK, EventLog
from models.slates.rewards import returns, slot_rewards
from models.slates.slate_features import NUM_FEATURES
from models.slates.slates import CandidateSets, Slates

LURE, FRIEND = 0, 1
"""Items of the chain: the lure pays more tonight and ends the user."""


@dataclass(frozen=True)
class Log:
    """A log with known rewards.

    Attributes:
        immediate_reward: of each slot. Shape (num_slates, top_k).
        returns: of each slot. Shape (num_slates, top_k).
    """

    candidates: CandidateSets
    slates: Slates
    immediate_reward: np.ndarray
    returns: np.ndarray

    def without_propensities(self) -> Log:
        slates = replace(self.slates, propensity=np.full(self.slates.slots.shape, np.nan))
        return replace(self, slates=slates)


def choices_from(features: np.ndarray, kind: np.ndarray) -> CandidateSets:
    """The first columns of the features, one user a list, all candidates there, in the order of their items."""
    num_slates, num_candidates = kind.shape
    padded = np.zeros((num_slates, num_candidates, NUM_FEATURES), dtype=np.float32)
    padded[..., : features.shape[-1]] = features
    item = np.tile(np.arange(num_candidates), (num_slates, 1))
    history = np.zeros((num_slates, 3, 3), dtype=np.int32)
    return CandidateSets(
        np.arange(num_slates), np.zeros(num_slates), item, kind, np.ones(item.shape, dtype=bool), padded, history
    )


def uniform_lists(candidates: CandidateSets, top_k: int, rng: np.random.Generator) -> Slates:
    """What a policy without an opinion shows."""
    nothing = np.zeros(candidates.item.shape)
    return drawn(candidates, nothing, nothing, top_k, rng)


def bandit(num_slates: int, rng: np.random.Generator, num_candidates: int = 8, top_k: int = 2) -> Log:
    """Clicks come by the third feature alone; the ranker's score, the first, is noise."""
    features = rng.normal(size=(num_slates, num_candidates, 3)).astype(np.float32)
    candidates = choices_from(features, np.full((num_slates, num_candidates), -1))
    slates = uniform_lists(candidates, top_k, rng)
    wanted = np.take_along_axis(features[..., 2], slates.slots, axis=1)
    clicks = 1.0 * (rng.random(wanted.shape) < 1 / (1 + np.exp(1 - 1.5 * wanted)))
    return Log(candidates, slates, clicks, clicks)


def rivals(num_slates: int, rng: np.random.Generator) -> Log:
    """Two kinds of four; whoever sees one of a kind wants no other of it. The ranker likes the first kind best."""
    kind = np.tile(np.repeat([0, 1], 4), (num_slates, 1))
    score = np.where(kind == 0, 1.0, -1.0) + 0.1 * rng.normal(size=kind.shape)
    candidates = choices_from(score[..., None].astype(np.float32), kind)
    slates = uniform_lists(candidates, 2, rng)
    shown = np.take_along_axis(kind, slates.slots, axis=1)
    chance = np.where(shown == 0, 0.6, 0.4)
    chance[:, 1] = np.where(shown[:, 1] == shown[:, 0], 0.02, chance[:, 1])
    clicks = 1.0 * (rng.random(shown.shape) < chance)
    return Log(candidates, slates, clicks, clicks)


def trajectories(num_users: int, discount: float, rng: np.random.Generator) -> Log:
    """One slot, two items. Whoever is shown the friend comes back the day after, up to the third day, and clicks.

    The lure is clicked three times tonight, the friend twice: 3 against 2 + 2 + 3 at most.
    """
    parts, events = [], []
    here = np.arange(num_users)
    for day in range(3):
        candidates = choices_from(np.tile([[-1.0], [1.0]], (len(here), 1, 1)), np.full((len(here), 2), -1))
        candidates.features[..., 0] *= 0  # the ranker has no opinion
        candidates.features[:, :, 1] = [0.0, 1.0]
        candidates.features[..., -1] = day
        candidates = replace(candidates, user=here, day=np.full(len(here), float(day)))
        slates = uniform_lists(candidates, 1, rng)
        shown = candidates.item[np.arange(len(here)), slates.slots[:, 0]]
        num_clicks = np.where(shown == LURE, 3, 2)
        events.append(np.stack([np.repeat(column, num_clicks) for column in (here, shown, np.full(len(here), day))]))
        parts.append((candidates, slates))
        here = here[shown == FRIEND]
    user, item, days = np.concatenate(events, axis=1)
    event_log = EventLog.of(user, item, days + 0.5, np.full(len(user), CLICK))
    candidates = _joined(CandidateSets, [part for part, _ in parts])
    slates = _joined(Slates, [part for _, part in parts])
    listed = np.take_along_axis(candidates.item, slates.slots, axis=1)
    reward = Reward(discount=discount)
    asked = candidates.user, candidates.day, listed, event_log, reward
    return Log(candidates, slates, slot_rewards(*asked), returns(*asked, horizon_days=10))


def _joined(cls: Any, parts: Sequence[Any]) -> Any:
    columns = [[getattr(part, f.name) for part in parts] for f in fields(cls)]
    return cls(*(np.concatenate(column) for column in columns))
