"""One line of log for every epoch of a fit, since a fit may take hours."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import keras

logger = logging.getLogger(__name__)


class EpochLog(keras.callbacks.Callback):
    """Logs a Keras fit; a loop of one's own calls the two hooks itself. Epochs are counted from 0."""

    def __init__(self, name: str, epochs: int) -> None:
        super().__init__()
        self.name, self.epochs = name, epochs
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        told = " ".join(f"{name}={value:.4f}" for name, value in (logs or {}).items())
        seconds = time.monotonic() - self.started
        logger.info("epoch: model=%s epoch=%d/%d %s seconds=%.1f", self.name, epoch + 1, self.epochs, told, seconds)
