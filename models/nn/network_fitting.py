"""The Keras networks of a model: called with arrays by name, trained, saved beside the config, and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from expectations.tables import NightError
from models.interface.model import TrainingHistory, save_config
from models.nn.training_setup import EpochGuard, guarded_fit, steps_are_compiled


class Batches(Protocol):
    """What `fit_network` needs of a `keras.utils.PyDataset`.

    Attributes:
        num_examples: examples in an epoch.
    """

    num_examples: int

    def __len__(self) -> int: ...


def select_inputs(network: keras.Model, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of the arrays that the network has inputs for, by name."""
    return {x.name: arrays[x.name] for x in network.inputs}


def predict_arrays(network: keras.Model, arrays: Mapping[str, Any]) -> np.ndarray:
    """Calls the network on arrays, outside of training.

    Args:
        network: has one output.
        arrays: an array for each of its inputs, by name; more are left out.

    Returns:
        The shape of the network's output, float32.
    """
    return as_numpy(network(select_inputs(network, arrays), training=False))


def as_numpy(tensor: Any) -> np.ndarray:
    """Copies a tensor of any backend. Keeps its shape; returns float32."""
    return np.asarray(ops.convert_to_numpy(tensor), dtype=np.float32)


def require_fitted(model: str, network: keras.Model | None) -> keras.Model:
    """Returns the network.

    Raises:
        NightError: there is none yet.
    """
    if network is None:
        raise NightError(f"{model} must be fitted or loaded first: it has no weights yet.")
    return network


def require_examples(model: str, as_of: str, num_examples: int, reason: str) -> None:
    """Refuses a fit that has nothing to learn from.

    Args:
        reason: why there are no examples, as the beginning of a sentence.

    Raises:
        NightError: `num_examples` is 0.
    """
    if not num_examples:
        raise NightError(
            f"{model} as of {as_of}: {reason}, so that there is nothing to learn from. Leave it out of `models`."
        )


def compile_network(
    network: keras.Model, loss: keras.losses.Loss | None, config: Any, num_batches: int, final_rate: float = 0.0
) -> None:
    """Compiles with AdamW, whose rate falls from `learning_rate` to its share `final_rate` along a cosine.

    Args:
        network: is trained.
        loss: None for a network that computes its own.
        config: with `learning_rate`, `weight_decay` and `epochs`.
        num_batches: steps of an epoch.
        final_rate: share of the learning rate that is left at the end.
    """
    steps = config.epochs * num_batches
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps, alpha=final_rate)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay)
    compile_with(optimizer, network, loss)


def compile_with(optimizer: keras.optimizers.Optimizer, network: keras.Model, loss: keras.losses.Loss | None) -> None:
    """Compiles the network, and makes the optimizer's variables.

    Left to the first step, they would have TensorFlow trace it twice: three seconds of a fit that may last twenty.
    """
    network.compile(optimizer=optimizer, loss=loss, jit_compile=steps_are_compiled())
    network.optimizer.build(network.trainable_variables)


def fit_network(
    model: str,
    network: keras.Model,
    batches: Any,
    config: Any,
    *,
    loss: keras.losses.Loss | None = None,
    final_rate: float = 0.0,
) -> TrainingHistory:
    """Trains for `config.epochs`.

    Args:
        model: its name, for logs and errors.
        network: is trained in place.
        batches: a `keras.utils.PyDataset` that is `Batches`, too.
        config: see `compile_network`; with `batch_size`, for errors.
        loss: by default the cross-entropy of logits against a distribution.
        final_rate: see `compile_network`.

    Raises:
        TrainingFailed: a loss is not finite, or memory does not suffice.
    """
    loss = loss or keras.losses.CategoricalCrossentropy(from_logits=True)
    compile_network(network, loss, config, len(batches), final_rate)
    with guarded_fit(model, network, config.epochs, config.batch_size) as guard:
        history = network.fit(batches, epochs=config.epochs, shuffle=False, verbose=0, callbacks=[guard])
    return training_history([float(value) for value in history.history["loss"]], guard, batches)


def training_history(losses: list[float], guard: EpochGuard, batches: Batches) -> TrainingHistory:
    """The loss of each epoch, the number of examples, and the last epoch's steps a second: the first ones compile."""
    speed = len(batches) / max(guard.seconds, 1e-9)
    return TrainingHistory({"loss": losses}, {"examples": float(batches.num_examples), "steps_per_second": speed})


def shared_logits(queries: Any, candidates: Any, log_inclusion: Any) -> Any:
    """Dot products of all queries with all candidates, corrected by logQ, in float32 whatever the vectors' precision.

    Args:
        queries: vectors of users or positions. Shape (n, dim).
        candidates: vectors of items. Shape (m, dim).
        log_inclusion: log of the probability that each candidate is among the batch's. Shape (m,).

    Returns:
        Shape (n, m), float32.

    Source: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", RecSys 2019, eq.
        5.
    """
    products = ops.cast(ops.matmul(queries, ops.transpose(candidates)), "float32")
    return products - log_inclusion[None, :]


def save_networks(path: Path, model: str, config: Any, networks: Mapping[str, keras.Model | None]) -> None:
    """Writes the config and one `.keras` file for each network.

    Raises:
        NightError: the model was never fitted; nothing is written.
    """
    found = {name: require_fitted(model, network) for name, network in networks.items()}
    save_config(path, config)
    for name, network in found.items():
        network.save(path / f"{name}.keras")


def load_network(path: Path, name: str) -> keras.Model:
    """Reads what `save_networks` wrote.

    Keras refuses code in the file: only weights and registered layers are loaded.
    """
    return keras.saving.load_model(path / f"{name}.keras", compile=False)
