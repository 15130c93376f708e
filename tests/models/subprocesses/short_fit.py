"""Fits every deep model for a few epochs on the two communities, under the backend that KERAS_BACKEND names.

A program of its own, since Keras settles on a backend when it is imported. Prints a line of JSON: the backend, how many
devices shared the batches, and for every model (or those that are named) the loss of each epoch and whether all scores
are finite.

    KERAS_BACKEND=jax python -m tests.models.subprocesses.short_fit FOLDER '{"precision": "float32"}'
"""

from __future__ import annotations

import json
import sys

import keras
import numpy as np

from expectations.runtime.lake import Lake
from models.data.dataset import load_dataset
from models.interface.registry import MODELS, build_model, trained_models
from tests.models.conftest import communities_shop
from tests.worlds.communities import DAY, USERS, community_events, write_world

NUM_EPOCHS = 4
CHANGES: dict[str, dict[str, float]] = {"content": {"epochs": 12}, "cross_domain": {"learning_rate": 0.03}}
"""Of so few users, what is hidden by chance outweighs what so few epochs learn at these models' own settings."""
LOSSES = {"deep_cf": "earlier_windows_loss"}
"""The curve with a figure for each epoch, where it is not `loss`: deep_cf chooses how many it trains for."""


def main(root: str, changes: str, *names: str) -> None:
    """Writes the world under `root` and fits."""
    lake = Lake(root)
    write_world(lake, community_events())
    dataset = load_dataset(lake, communities_shop(), DAY)
    details: dict[str, object] = {"backend": keras.backend.backend()}
    for name in names or [name for name in trained_models(MODELS) if MODELS[name].kind == "deep"]:
        model = build_model(name, {"epochs": NUM_EPOCHS, **CHANGES.get(name, {}), **json.loads(changes)})
        history = model.fit(dataset)
        finite = bool(np.isfinite(model.scores(dataset, np.array(USERS))).all())
        details[name] = {"losses": history.curves[LOSSES.get(name, "loss")], "finite": finite}
    shared = keras.distribution.distribution()
    details["num_devices"] = 1 if shared is None else shared.device_mesh.devices.size
    print(json.dumps(details))


if __name__ == "__main__":
    main(*sys.argv[1:])
