"""Starts a network from the weights of an earlier one, whose vocabularies have grown since.

While a vocabulary grows from its anchor, no index is given to another value, so that a row of an embedding keeps its
meaning. A new row starts as a copy of the unknown value's row, which stood for the new value until now.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from expectations.tables import UNKNOWN_INDEX, NightError


def take_over(model: str, networks: Mapping[str, keras.Model], before: Mapping[str, keras.Model]) -> None:
    """Sets the weights of each network from those of the network of the same name in `before`.

    Raises:
        NightError: a network is built in another way, or a vocabulary has shrunk.
    """
    for name, network in networks.items():
        pairs = zip(network.weights, before[name].weights, strict=False)
        if len(network.weights) != len(before[name].weights):
            raise NightError(_refusal(model, name, f"{len(before[name].weights)} arrays", len(network.weights)))
        for weight, earlier in pairs:
            weight.assign(grown(model, weight.path, np.asarray(earlier), tuple(weight.shape)))


def grown(model: str, name: str, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns `rows` in their dtype, with copies of the unknown value's row below them up to `shape`.

    Args:
        model: its name, for errors.
        name: of the weight, for errors.
        rows: an earlier weight, whose first axis is a vocabulary. Shape (num_rows, ...).
        shape: of the new weight; only its first axis may be larger.

    Raises:
        NightError: more than the number of rows differs, or there are to be fewer.
    """
    if rows.shape == shape:
        return rows
    if rows.shape[1:] != shape[1:] or rows.shape[0] > shape[0]:
        raise NightError(_refusal(model, name, f"shape {rows.shape}", shape))
    new = np.repeat(rows[UNKNOWN_INDEX : UNKNOWN_INDEX + 1], shape[0] - len(rows), axis=0)
    return np.concatenate([rows, new])


def _refusal(model: str, name: str, received: str, expected: object) -> str:
    return (
        f"{model}: weights go on from those of an anchor when nothing but vocabularies grew. Received for {name}: "
        f"{received}, expected {expected}. Was a model of another config loaded?"
    )
