"""Fits both agents for two epochs on the rivals, under the backend that KERAS_BACKEND names.

A program of its own, since Keras settles on a backend when it is imported. Prints a line of JSON: the backend, and for
every agent its last loss and whether all propensities are finite.

    KERAS_BACKEND=jax python -m tests.models.subprocesses.one_policy
"""

from __future__ import annotations

import json

import keras
import numpy as np

from models.policies import policy_gradient, q_learning
from tests.models.policies.test_policy_gradient import config as policy_gradient_config
from tests.models.policies.test_q_learning import config as q_learning_config
from tests.worlds.slate_worlds import rivals


def main() -> None:
    """Fits and tells."""
    log = rivals(300, np.random.default_rng(0)).without_propensities()
    candidates, slates = log.candidates, log.slates
    learnt = {
        "policy_gradient": policy_gradient.fit(candidates, slates, log.returns, policy_gradient_config(epochs=2), 1),
        "q_learning": q_learning.fit(
            candidates, slates, log.immediate_reward, q_learning_config(epochs=2), 1, discount=0.5
        ),
    }
    told: dict[str, object] = {"backend": keras.backend.backend()}
    for name, (policy, history) in learnt.items():
        propensity = policy.propensity(candidates, slates)
        told[name] = {"loss": history.curves["loss"][-1], "finite": bool(np.isfinite(propensity).all())}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
