"""Fits every deep model for one epoch on the two communities, under the backend that KERAS_BACKEND names.

A program of its own, since Keras settles on a backend when it is imported. Prints a line of JSON: the backend, how many
devices shared the batches, and for every model (or those that are named) a loss and whether all scores are finite.

    KERAS_BACKEND=jax python -m tests.models.subprocesses.one_epoch FOLDER '{"precision": "float32"}'
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


def main(root: str, changes: str, *names: str) -> None:
    """Writes the world under `root` and fits."""
    lake = Lake(root)
    write_world(lake, community_events())
    dataset = load_dataset(lake, communities_shop(), DAY)
    told: dict[str, object] = {"backend": keras.backend.backend()}
    for name in names or [name for name in trained_models(MODELS) if MODELS[name].kind == "deep"]:
        model = build_model(name, {"epochs": 1, **json.loads(changes)})
        history = model.fit(dataset)
        finite = bool(np.isfinite(model.scores(dataset, np.array(USERS))).all())
        told[name] = {"loss": history.curves["loss"][-1], "finite": finite}
    shared = keras.distribution.distribution()
    told["num_devices"] = 1 if shared is None else shared.device_mesh.devices.size
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
