"""The Keras networks of a model: fed by the names of their inputs, saved beside the config, read back by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from expectations.tables import NightError
from models.model import save_config


def picked(network: keras.Model, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arrays that the network has inputs for."""
    return {x.name: arrays[x.name] for x in network.inputs}


def answered(network: keras.Model, arrays: Mapping[str, Any]) -> np.ndarray:
    """What the network makes of the arrays, outside of training."""
    return as_numpy(network(picked(network, arrays), training=False))


def as_numpy(tensor: Any) -> np.ndarray:
    """A tensor of any backend as float32."""
    return np.asarray(ops.convert_to_numpy(tensor), dtype=np.float32)


def fitted(model: str, network: keras.Model | None) -> keras.Model:
    """The network.

    Raises:
        NightError: there is none yet.
    """
    if network is None:
        raise NightError(f"{model} must be fitted or loaded first: it has no weights yet.")
    return network


def save_networks(path: Path, model: str, config: Any, networks: Mapping[str, keras.Model | None]) -> None:
    """Writes the config and one `.keras` file for each network.

    Raises:
        NightError: the model was never fitted; nothing is written.
    """
    found = {name: fitted(model, network) for name, network in networks.items()}
    save_config(path, config)
    for name, network in found.items():
        network.save(path / f"{name}.keras")


def load_network(path: Path, name: str) -> keras.Model:
    """Reads what `save_networks` wrote. Keras refuses code in the file: only weights and registered layers load."""
    return keras.saving.load_model(path / f"{name}.keras", compile=False)
