"""Losses over a few sampled items in place of all."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class GeneralizedBinaryCrossentropy(keras.losses.Loss):
    """Yes for the item that came, no for the sampled ones beside it; the mean over the weighted rows.

    A row's loss is -power x log sigmoid(s+) - sum of log(1 - sigmoid(s-)). Power 1 is binary cross-entropy.

    Source: Petrov, Macdonald, "gSASRec", RecSys 2023.
    """

    def __init__(self, num_negatives: int, power: float) -> None:
        super().__init__(reduction="mean_with_sample_weight")
        self.num_negatives = num_negatives
        self.power = power

    def call(self, target: Any, logits: Any) -> Any:
        """Shapes (rows,), the column that came, and (rows, columns), of which the first are the negatives."""
        target = ops.cast(target, "int32")[:, None]
        positive = ops.take_along_axis(logits, target, axis=1)[:, 0]
        is_other = ops.cast(ops.arange(self.num_negatives)[None, :] != target, logits.dtype)
        negatives = ops.softplus(logits[:, : self.num_negatives]) * is_other
        return self.power * ops.softplus(-positive) + ops.sum(negatives, axis=1)


def calibrated_power(sampled_share: float, calibration: float) -> float:
    """The power under which scores mean probabilities again, though only `sampled_share` of the items is sampled.

    Args:
        calibration: 0 leaves binary cross-entropy, 1 calibrates in full.

    Source: Petrov, Macdonald, "gSASRec", RecSys 2023.
    """
    return sampled_share * (calibration * (1 - 1 / sampled_share) + 1 / sampled_share)
