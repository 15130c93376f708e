"""Estimates by the Open Bandit Pipeline; a script of its own, for an environment that holds it and not Nightjar.

    python open_bandit_peer.py LOG.npz ANSWER.json

LOG.npz holds the rows of a log, `reward`, `action`, `position` and `propensity` of shape (num_rows,), `target` of shape
(num_actions, num_positions) and `rewards`, a model's answers for each action at the row's position, of shape (num_rows,
num_actions). ANSWER.json gets estimator -> value, low, high, and `library`. Works with obp 0.5.7.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

CONFIDENCE, NUM_RESAMPLES, SEED, SWITCH_AT = 0.95, 1000, 1, 10.0


def main(log: str, answer: str) -> None:
    """Judges the target on the log."""
    import obp
    from obp import ope

    estimators = {
        "ips": ope.InverseProbabilityWeighting(),
        "snips": ope.SelfNormalizedInverseProbabilityWeighting(),
        "dm": ope.DirectMethod(),
        "dr": ope.DoublyRobust(),
        "switch_dr": ope.SwitchDoublyRobust(lambda_=SWITCH_AT),
    }
    with np.load(log) as found:
        rows = dict(found)
    num_rows, num_positions = len(rows["reward"]), rows["target"].shape[1]
    asked = {
        "reward": rows["reward"],
        "action": rows["action"],
        "pscore": rows["propensity"],
        "position": rows["position"],
        "action_dist": np.tile(rows["target"], (num_rows, 1, 1)),
        "estimated_rewards_by_reg_model": np.repeat(rows["rewards"][:, :, None], num_positions, axis=2),
    }
    resampling = {"alpha": 1 - CONFIDENCE, "n_bootstrap_samples": NUM_RESAMPLES, "random_state": SEED}
    told: dict[str, Any] = {"library": f"obp {obp.__version__}"}
    for name, estimator in estimators.items():
        found = estimator.estimate_interval(**asked, **resampling)
        low, high = (found[f"{CONFIDENCE:.1%} CI ({side})"] for side in ("lower", "upper"))
        told[name] = [estimator.estimate_policy_value(**asked), low, high]
    Path(answer).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
