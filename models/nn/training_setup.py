"""How a network is trained, whatever its family: from one seed, in one precision, guarded from epoch to epoch.

A loss that diverges, or a device whose memory is full, ends a fit with an error; the network then holds the weights of
its last good epoch.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, Protocol, TypeVar

import keras
import numpy as np

from expectations.tables import NightError

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
"""`mixed_…`: weights are kept in float32 and multiplied in 16 bits, which the tensor cores of a GPU do many times
faster. A CPU gains nothing by it."""

logger = logging.getLogger(__name__)


class _Warm(Protocol):
    @property
    def warm_epochs(self) -> int: ...


C = TypeVar("C", bound=_Warm)


class TrainingFailed(NightError):
    """A fit ended early.

    Attributes:
        good_epochs: number of epochs that the weights that were kept have seen; 0: there are none worth keeping.
    """

    def __init__(self, message: str, good_epochs: int) -> None:
        super().__init__(message)
        self.good_epochs = good_epochs


def prepare_training(seed: int, precision: Precision = "float32", data_parallel: bool = False) -> None:
    """Seeds Python, NumPy and the backend, and has TensorFlow use ops that do not depend on the order of threads.

    One seed gives one result: on one CPU a fit gives the same weights every time; see `steps_are_compiled`. `content`,
    which alone has convolutions, is the exception: on a busy machine the last digits of its scores were seen to differ.

    Args:
        seed: any integer.
        precision: of the layers that are built from now on.
        data_parallel: whether all devices share each batch.

    Raises:
        NightError: devices are to share batches, and the backend cannot.
    """
    keras.utils.set_random_seed(seed % 2**32)
    keras.config.set_dtype_policy(precision)
    keras.distribution.set_distribution(shared_batches() if data_parallel else None)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def steps_are_compiled() -> bool:
    """Whether XLA compiles the steps of a training: under JAX, where a step is otherwise a thousand calls.

    TensorFlow promises the same weights from the same seed only for steps that are not compiled. Nothing is lost by it:
    on two cores a compiled epoch of deep_cf took five times as long, and one of two_tower half as long again.
    """
    return bool(keras.backend.backend() == "jax")


class SharedBatches(keras.distribution.DataParallel):
    """Splits an array of a batch between the devices where it splits evenly; each device gets other arrays whole.

    Either way a step computes what one device would: the backend exchanges what has to travel between the devices.
    """

    def get_data_layout(self, data_shape: tuple[int, ...]) -> keras.distribution.TensorLayout:
        """The layout of an array of this shape; see the class's docstring."""
        if data_shape[0] % self.device_mesh.devices.size:
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)
        return super().get_data_layout(data_shape)


def shared_batches() -> SharedBatches | None:
    """Returns a distribution over the devices of this machine; None for a single device.

    Raises:
        NightError: the backend cannot share a batch between devices.
    """
    if keras.backend.backend() != "jax":
        raise NightError(
            "`data_parallel = true` needs a backend that shares a batch between devices. Received: "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=jax, or data_parallel = false to train on one device."
        )
    devices = keras.distribution.list_devices()
    if len(devices) == 1:
        logger.info("data_parallel: there is one device: %s", devices[0])
        return None
    logger.info("data_parallel: devices=%s", ",".join(devices))
    return SharedBatches(devices=devices)


class EpochGuard(keras.callbacks.Callback):
    """Logs each epoch of a fit, since a fit may take hours, and keeps the weights of the last good one.

    A training loop without `fit` calls `on_epoch_begin` and `on_epoch_end` itself. Epochs are counted from 0.

    Attributes:
        seconds: duration of the last epoch.
        good_epochs: number of epochs that `good_weights` have seen.
    """

    def __init__(self, name: str, network: keras.Model, epochs: int) -> None:
        super().__init__()
        self.name, self.network, self.epochs = name, network, epochs
        self.started = self.seconds = 0.0
        self.good_epochs = 0
        self.good_weights: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Starts the clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Logs the losses, and keeps the weights if all of them are finite.

        Raises:
            TrainingFailed: a loss is NaN or infinite.
        """
        losses = " ".join(f"{name}={value:.4f}" for name, value in (logs or {}).items())
        self.seconds = time.monotonic() - self.started
        logger.info(
            "epoch: model=%s epoch=%d/%d %s seconds=%.1f", self.name, epoch + 1, self.epochs, losses, self.seconds
        )
        for loss in (logs or {}).values():
            if not math.isfinite(loss):
                raise self.failed(
                    f"{self.name}: the loss must stay finite. Received: {loss} in epoch {epoch + 1}. Lower "
                    f"`learning_rate` in models/configs/{self.name}.toml, or look for broken values in the features."
                )
        weights = self.network.get_weights()
        # The loss was measured before the epoch's last step, which may have been one too far.
        if all(np.isfinite(values).all() for values in weights):
            self.good_epochs, self.good_weights = epoch + 1, weights

    def failed(self, message: str) -> TrainingFailed:
        """Restores the weights of the last good epoch, and returns what the caller raises."""
        if self.good_epochs:
            self.network.set_weights(self.good_weights)
        return TrainingFailed(message, self.good_epochs)


def warm_config(config: C) -> C:
    """Returns the config of a fit that goes on from an earlier one: `warm_epochs` in place of `epochs`."""
    return replace(config, epochs=config.warm_epochs)  # type: ignore[type-var]


@contextmanager
def guarded_fit(name: str, network: keras.Model, epochs: int, batch_size: int) -> Iterator[EpochGuard]:
    """Guards the block, which trains the network for so many epochs.

    Args:
        name: of the model, for logs and errors.
        network: the one whose weights are kept.
        epochs: for the log.
        batch_size: for the errors.

    Raises:
        TrainingFailed: a loss is not finite, or the memory of the device or of the machine does not suffice.
    """
    guard = EpochGuard(name, network, epochs)
    try:
        yield guard
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise guard.failed(
            f"{name}: training must fit in the memory of the device. Received: {type(error).__name__} in epoch "
            f"{guard.good_epochs + 1} with batch_size = {batch_size}. Lower `batch_size` in "
            f"models/configs/{name}.toml, and then `embedding_dim`, or train on a larger device."
        ) from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether a backend says that memory is full. Each has its own error; the status in its text is the same."""
    signs = ("ResourceExhausted", "RESOURCE_EXHAUSTED", "OOM when allocating")
    return isinstance(error, MemoryError) or any(sign in f"{type(error).__name__}: {error}" for sign in signs)
