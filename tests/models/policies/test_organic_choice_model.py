"""What users choose where no list leads them, in worlds where it is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.policies.organic_choice_model import choice_weights, is_shown
from models.policies.plackett_luce import policy_outputs
from models.policies.policy_gradient import fit
from models.slates.slates import Slates
from tests.models.policies.test_policy_gradient import config
from tests.worlds.slate_worlds import Log, bandit

NUM_LISTS = 400


def met_by(utility: np.ndarray, log: Log, rng: np.random.Generator, is_unseen: bool = True) -> np.ndarray:
    """Two candidates of each list, in proportion to exp(worth); of those that were not shown if `is_unseen`."""
    taken = is_shown(log.candidates, log.slates) == is_unseen
    keys = np.where(taken, -np.inf, utility + rng.gumbel(size=utility.shape))
    return keys >= -np.sort(-keys, axis=1)[:, 1:2]


@pytest.fixture
def log() -> Log:
    return bandit(NUM_LISTS, np.random.default_rng(0))


def test_choice_weights_come_from_organic_events(log: Log) -> None:
    rng = np.random.default_rng(1)
    utility = 1.5 * log.candidates.features[..., 2] - 0.5 * log.candidates.features[..., 1]
    found = choice_weights(log.candidates, log.slates, met_by(utility, log, rng))
    assert found is not None
    assert found[1] / found[2] == pytest.approx(-1 / 3, abs=0.1)
    assert (log.candidates.features @ found).std(axis=1).mean() == pytest.approx(1.0)
    assert abs(found[0]) < 0.1, "the ranker's score is noise here"


def test_exposed_events_give_no_choice_weights(log: Log) -> None:
    utility = log.candidates.features[..., 2]
    assert (
        choice_weights(log.candidates, log.slates, met_by(utility, log, np.random.default_rng(1), is_unseen=False))
        is None
    )
    assert choice_weights(log.candidates, log.slates, np.zeros(log.candidates.item.shape, dtype=bool)) is None


def test_visits_without_a_list_are_all_free(log: Log) -> None:
    slots = np.argsort(-log.candidates.features[..., 2], axis=1)[:, :2]
    visits = Slates(slots, np.full(slots.shape, np.nan))
    assert not is_shown(log.candidates, visits).any()
    is_organic = np.zeros(log.candidates.item.shape, dtype=bool)
    np.put_along_axis(is_organic, slots, True, axis=1)
    found = choice_weights(log.candidates, visits, is_organic)
    assert found is not None and found[2] > 0.9


def first_feature_of(log: Log, is_organic: np.ndarray) -> float:
    """The mean of what is clicked for, over lists by a policy that was told what users met, and hardly trained."""
    settings = config(epochs=1, learning_rate=1e-6, held_out_share=0.3)
    policy, _ = fit(log.candidates, log.slates, log.returns, settings, 1, is_organic=is_organic)
    asked = bandit(300, np.random.default_rng(5)).candidates
    slots = policy.draw(asked, 2, None).slots
    return float(np.take_along_axis(asked.features[..., 2], slots, axis=1).mean())


def test_a_policy_starts_from_the_choice_model_where_it_earns_more_than_the_ranker(log: Log) -> None:
    wanted = 2 * log.candidates.features[..., 2]
    exposures = first_feature_of(log, met_by(wanted, log, np.random.default_rng(1)))
    misled = first_feature_of(log, met_by(-wanted, log, np.random.default_rng(1)))
    assert exposures > 0.8
    assert abs(misled) < 0.2, "the lists of the ranker, whose score is noise, earn more than those of such wants"


def test_without_held_out_users_the_policy_starts_from_the_choice_model(log: Log) -> None:
    is_organic = met_by(2 * log.candidates.features[..., 2], log, np.random.default_rng(1))
    settings = config(epochs=1, learning_rate=1e-6, held_out_share=0.0)
    policy, history = fit(log.candidates, log.slates, log.returns, settings, 1, is_organic=is_organic)
    slots = policy.draw(replace(log.candidates), 1, None).slots[:, 0]
    best = log.candidates.features[..., 2].argmax(axis=1)
    assert (slots == best).mean() > 0.8
    assert history.curves["estimate"] == []


def test_where_nothing_is_learnt_held_out_users_count_for_the_choice_model_too(log: Log) -> None:
    is_organic = met_by(2 * log.candidates.features[..., 2], log, np.random.default_rng(1))
    settings = config(epochs=1, learning_rate=1e-9, held_out_share=0.5)
    policy, history = fit(log.candidates, log.slates, log.returns, settings, 1, is_organic=is_organic)
    assert history.facts == {"lists": len(log.candidates) / 2, "best_epoch": 0}
    everybodys = choice_weights(log.candidates, log.slates, is_organic)
    assert everybodys is not None
    utility, _ = policy_outputs(policy.network, log.candidates)
    assert utility == pytest.approx(settings.inverse_temperature * (log.candidates.features @ everybodys), abs=1e-4)
