"""One line of log for every epoch of a fit, since a fit may take hours."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import keras

logger = logging.getLogger(__name__)


class EpochLog(keras.callbacks.Callback):
    """Logs a Keras fit. A loop of one's own calls `begin` and `end` itself."""

    def __init__(self, name: str, epochs: int) -> None:
        super().__init__()
        self.name, self.epochs = name, epochs
        self.started = 0.0

    def begin(self) -> None:
        """An epoch begins."""
        self.started = time.monotonic()

    def end(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Epoch `epoch`, counted from 0, has ended with these losses."""
        told = " ".join(f"{name}={value:.4f}" for name, value in figures.items())
        seconds = time.monotonic() - self.started
        logger.info("epoch: model=%s epoch=%d/%d %s seconds=%.1f", self.name, epoch + 1, self.epochs, told, seconds)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.begin()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.end(epoch, logs or {})
