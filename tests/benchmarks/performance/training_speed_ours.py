"""Times the training steps of one of our models, as `training_speed_peers` times theirs: a process of its own.

    python -m tests.benchmarks.performance.training_speed_ours sequence PAIRS.npz SETTINGS

Prints one line of JSON. The first epochs compile the shapes that the batches have; the last one is measured.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import keras
import numpy as np

from expectations.tables import FIRST_VALUE_INDEX
from models.interface.registry import build_model
from tests.benchmarks.accuracy.gowalla import Pairs, dataset_of

EPOCHS = 3


def changes_of(model: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What the measured configuration says in place of the config file."""
    shared = {"batch_size": settings["batch_size"], "embedding_dim": settings["dim"], "epochs": EPOCHS}
    if model == "sequence":
        layers = {"num_blocks": settings["num_layers"], "num_heads": 2, "max_length": settings["length"]}
        return {**shared, **layers, "encoder": "transformer", "loss": "softmax"}
    graph = {
        "num_layers": settings["num_layers"],
        "num_candidates": settings["batch_size"],
        "feature_dim": 0,
        "min_steps": 1,
    }
    return {**shared, **graph, "propagation": "light", "node_dropout": 0.0}


def main(model: str, pairs: str, settings_text: str) -> None:
    """See the module's docstring."""
    with np.load(pairs) as arrays:
        read = Pairs(arrays["users"] + FIRST_VALUE_INDEX, arrays["items"] + FIRST_VALUE_INDEX)
    dataset = dataset_of(read, int(read.users.max()) + 1, int(read.items.max()) + 1)
    history = build_model(model, changes_of(model, json.loads(settings_text))).fit(dataset)
    library = f"this repository, Keras {keras.__version__} on {keras.backend.backend()}"
    print(json.dumps({"library": library, "steps_per_second": history.facts["steps_per_second"]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
